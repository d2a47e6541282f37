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

/// The outcome of a transaction.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionOutcome {
    Done,
    /// Conditions did not hold.
    Refused(Cancellation),
}

/// A transaction that was cancelled. Its writes are named by their positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancellation {
    /// The items that did not meet the conditions, empty if no item was found or none was asked for.
    refused: Vec<(usize, Item)>,
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
                Some(CONDITION_FAILED) => refused.push((position, reason.item().cloned().unwrap_or_default())),
                Some(code) => codes.push(code),
            }
        }
        let failure = CancellationFailure {
            is_transient: codes.iter().all(|code| TRANSIENT_REASONS.contains(code)),
            codes: codes.join(", "),
        };
        Self { refused, failure: (!codes.is_empty()).then_some(failure) }
    }

    /// Returns the item that did not meet the condition of the write at `position`; `None`: the condition held.
    pub fn refused(&self, position: usize) -> Option<&Item> {
        self.refused.iter().find(|(refused, _)| *refused == position).map(|(_, item)| item)
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

/// Returns the parts of a transaction.
///
/// # Errors
/// Internal, if one of them is incomplete.
pub fn parts(
    operation: &'static str,
    parts: impl IntoIterator<Item = Result<TransactWriteItem, BuildError>>,
) -> Result<Vec<TransactWriteItem>, PortError> {
    let parts = parts.into_iter().collect::<Result<_, _>>();
    parts.map_err(|error| PortError::internal_from(operation, error))
}

impl Table {
    /// Makes all writes or none.
    ///
    /// # Errors
    /// Transient or internal. Conditions that did not hold are an outcome.
    pub async fn transact(
        &self,
        operation: &'static str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<TransactionOutcome, PortError> {
        match self.client.transact_write_items().set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(TransactionOutcome::Done),
            Err(error) => refusal(operation, error).map(TransactionOutcome::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::item::{item, text};

    fn cancellation(codes: &[&str]) -> Cancellation {
        let reason = |code: &&str| CancellationReason::builder().code(*code).item("id", text(*code)).build();
        Cancellation::classify(&codes.iter().map(reason).collect::<Vec<_>>())
    }

    #[test]
    fn conditions_are_kept_apart_from_failures() {
        let both = cancellation(&["None", "ConditionalCheckFailed", "ThrottlingError"]);
        let found = item([("id", text("ConditionalCheckFailed"))]);
        assert_eq!([0, 1, 2, 3].map(|position| both.refused(position)), [None, Some(&found), None, None]);
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
