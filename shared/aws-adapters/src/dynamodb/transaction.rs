//! Transactions, and the classification of one that was cancelled.

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, TransactWriteItem},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::operation::BuildError;
use export_engine::ports::{ErrorKind, PortError};

use super::{item::Item, table::Table};
use crate::error::{port_error, port_error_of_kind};

/// Codes of the reasons for which a transaction is cancelled:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
const NO_REASON: &str = "None";
const CONDITION_FAILED: &str = "ConditionalCheckFailed";
/// A repeated transaction may succeed.
const TRANSIENT_REASONS: &[&str] = &["ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"];

/// The writes of a transaction, in their order.
#[derive(Clone, Debug)]
pub struct Transaction {
    operation: &'static str,
    writes: Vec<TransactWriteItem>,
}

/// A write of a transaction, by which the [`Cancellation`] of the same transaction is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(usize);

impl Transaction {
    pub fn new(operation: &'static str) -> Self {
        Self { operation, writes: Vec::new() }
    }

    /// Adds a write.
    ///
    /// # Errors
    /// Internal, if it is incomplete.
    pub fn push(&mut self, write: Result<TransactWriteItem, BuildError>) -> Result<Part, PortError> {
        self.writes.push(write.map_err(|error| PortError::internal_from(self.operation, error))?);
        Ok(Part(self.writes.len() - 1))
    }

    pub fn operation(&self) -> &'static str {
        self.operation
    }

    pub fn into_writes(self) -> Vec<TransactWriteItem> {
        self.writes
    }
}

/// The outcome of a transaction.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionOutcome {
    Done,
    /// Conditions did not hold.
    Refused(Cancellation),
}

/// A transaction that was cancelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancellation {
    /// The items that did not meet the conditions, empty if no item was found or none was asked for.
    refused: Vec<(Part, Item)>,
    /// A reason other than a condition.
    failure: Option<CancellationFailure>,
}

/// A reason other than a condition for which a transaction was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancellationFailure {
    pub is_transient: bool,
    /// The codes.
    pub codes: String,
}

impl Cancellation {
    /// Returns the cancellation that an error reports; `None`: it reports something else.
    pub fn of(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Self> {
        match error.as_service_error()? {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                Some(Self::classify(cancelled.cancellation_reasons()))
            }
            _ => None,
        }
    }

    fn classify(reasons: &[CancellationReason]) -> Self {
        let (mut refused, mut codes) = (Vec::new(), Vec::new());
        for (position, reason) in reasons.iter().enumerate() {
            match reason.code() {
                None | Some(NO_REASON) => {}
                Some(CONDITION_FAILED) => refused.push((Part(position), reason.item().cloned().unwrap_or_default())),
                Some(code) => codes.push(code),
            }
        }
        let failure = CancellationFailure {
            is_transient: codes.iter().all(|code| TRANSIENT_REASONS.contains(code)),
            codes: codes.join(", "),
        };
        Self { refused, failure: (!codes.is_empty()).then_some(failure) }
    }

    /// Returns the item that did not meet the condition of a write; `None`: the condition held.
    pub fn refused(&self, part: Part) -> Option<&Item> {
        self.refused.iter().find(|(refused, _)| *refused == part).map(|(_, item)| item)
    }

    /// Returns whether the condition of a write did not hold.
    pub fn is_refused(&self, part: Part) -> bool {
        self.refused(part).is_some()
    }

    pub fn failure(&self) -> Option<&CancellationFailure> {
        self.failure.as_ref()
    }

    /// Returns whether the same transaction may succeed later.
    pub fn is_transient(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.is_transient)
    }
}

/// Returns the cancellation of a transaction whose conditions did not hold.
///
/// # Errors
/// Transient or internal, if it failed for another reason.
pub fn refusal(
    operation: &'static str,
    error: SdkError<TransactWriteItemsError, HttpResponse>,
) -> Result<Cancellation, PortError> {
    let Some(cancellation) = Cancellation::of(&error) else { return Err(port_error(operation, error)) };
    if !cancellation.refused.is_empty() {
        return Ok(cancellation);
    }
    let kind = if cancellation.is_transient() { ErrorKind::Transient } else { ErrorKind::Internal };
    Err(port_error_of_kind(kind, operation, error))
}

impl Table {
    /// Makes all writes or none.
    ///
    /// # Errors
    /// Transient or internal. Conditions that did not hold are an outcome.
    pub async fn transact(&self, transaction: Transaction) -> Result<TransactionOutcome, PortError> {
        let Transaction { operation, writes } = transaction;
        match self.client.transact_write_items().set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(TransactionOutcome::Done),
            Err(error) => refusal(operation, error).map(TransactionOutcome::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::Delete;

    use super::*;
    use crate::dynamodb::{
        item::{item, text},
        write::Write,
    };

    #[test]
    fn a_cancellation_is_asked_about_a_write_wherever_it_is() {
        for has_first in [false, true] {
            let mut transaction = Transaction::new("test");
            let mut push = |id: &str| transaction.push(Write::delete(item([("id", text(id))])).part("table")).unwrap();
            let first = has_first.then(|| push("first"));
            let (second, third) = (push("second"), push("third"));
            let codes =
                if has_first { &["None", "ConditionalCheckFailed", "None"][..] } else { &["ConditionalCheckFailed"] };
            let cancellation = cancellation(codes);
            assert!(cancellation.is_refused(second) && !cancellation.is_refused(third));
            assert!(!first.is_some_and(|first| cancellation.is_refused(first)));
            assert_eq!(transaction.into_writes().len(), codes.len().max(2));
        }
    }

    #[test]
    fn an_incomplete_write_is_an_error_of_ours() {
        let incomplete = Delete::builder().build().map(|delete| TransactWriteItem::builder().delete(delete).build());
        let error = Transaction::new("test").push(incomplete).unwrap_err();
        assert_eq!((error.kind, error.operation), (ErrorKind::Internal, "test"));
    }

    fn cancellation(codes: &[&str]) -> Cancellation {
        let reason = |code: &&str| CancellationReason::builder().code(*code).item("id", text(*code)).build();
        Cancellation::classify(&codes.iter().map(reason).collect::<Vec<_>>())
    }

    #[test]
    fn conditions_are_kept_apart_from_failures() {
        let both = cancellation(&["None", "ConditionalCheckFailed", "ThrottlingError"]);
        let found = item([("id", text("ConditionalCheckFailed"))]);
        assert_eq!([0, 1, 2, 3].map(|position| both.refused(Part(position))), [None, Some(&found), None, None]);
        let failure = |is_transient, codes: &str| Some(CancellationFailure { is_transient, codes: codes.to_owned() });
        assert_eq!(both.failure().cloned(), failure(true, "ThrottlingError"));
        for (codes, expected) in [
            (&["None", "None"][..], None),
            (&["ConditionalCheckFailed"], None),
            (&["ProvisionedThroughputExceeded"], failure(true, "ProvisionedThroughputExceeded")),
            (&["TransactionConflict", "None"], failure(true, "TransactionConflict")),
            (&["TransactionConflict", "ThrottlingError"], failure(true, "TransactionConflict, ThrottlingError")),
            // A repeated transaction would meet the other failure.
            (&["ThrottlingError", "ValidationError"], failure(false, "ThrottlingError, ValidationError")),
            (
                &["ValidationError", "ItemCollectionSizeLimitExceeded"],
                failure(false, "ValidationError, ItemCollectionSizeLimitExceeded"),
            ),
        ] {
            assert_eq!(cancellation(codes).failure().cloned(), expected, "{codes:?}");
        }
    }
}
