//! Errors of ports.

use std::{error::Error, sync::Arc};

use domain::{
    block::{BlockId, CorruptBlock},
    connection::ConnectionFailure,
};

use crate::alarms::{CORRUPT_BLOCK, RUN_FAILED};

/// The operation of errors about a block that differs from what ingest wrote.
pub const READ_BLOCK: &str = "read block";

/// A failed call to a port.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {kind}: {detail}")]
pub struct PortError {
    pub kind: ErrorKind,
    /// The operation that failed, for the log.
    pub operation: &'static str,
    /// The cause in words, for an operator. It is logged once and never reaches a customer, so it repeats what the errors
    /// behind `source` say, and it never holds a secret.
    pub detail: String,
    /// The error that caused this one, if there is one. Comparisons leave it out.
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl PartialEq for PortError {
    fn eq(&self, other: &Self) -> bool {
        let Self { kind, operation, detail, source: _ } = self;
        (kind, operation, detail) == (&other.kind, &other.operation, &other.detail)
    }
}

impl Eq for PortError {}

/// The kind of an error, by who has to act on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The customer has to change something. A retry does not help.
    #[error("customer: {0}")]
    Customer(ConnectionFailure),
    /// Throttling, time-outs, 5xx. The message goes back to the queue.
    #[error("transient")]
    Transient,
    /// The customer's Region, which answered before, does not answer now. The message goes back to the queue.
    #[error("unreachable")]
    Unreachable,
    /// Another run holds the lease, and this one must stop.
    #[error("fenced out")]
    Fenced,
    /// A block of the events table differs from what was written. An operator has to restore it or approve to skip it.
    #[error("corrupt block {0}")]
    CorruptBlock(BlockId),
    /// An operator has to look into it.
    #[error("internal")]
    Internal,
}

impl PortError {
    /// Returns the value of the field `alarm` of the line about a run that failed with this error. `None`: it is tried again, or
    /// somebody else has to act.
    #[must_use]
    pub fn alarm(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::Internal | ErrorKind::CorruptBlock(_) if self.operation == READ_BLOCK => Some(CORRUPT_BLOCK),
            ErrorKind::Internal | ErrorKind::CorruptBlock(_) => Some(RUN_FAILED),
            _ => None,
        }
    }

    fn new(kind: ErrorKind, operation: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, operation, detail: detail.into(), source: None }
    }

    #[must_use]
    pub fn internal(operation: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, operation, detail)
    }

    #[must_use]
    pub fn transient(operation: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, operation, detail)
    }

    #[must_use]
    pub fn customer(operation: &'static str, failure: ConnectionFailure, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Customer(failure), operation, detail)
    }

    #[must_use]
    pub fn corrupt_block(block: BlockId, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::CorruptBlock(block), READ_BLOCK, detail)
    }

    /// Returns the error of a process that works on an earlier state. `detail`: what it has lost, or who has gone on.
    #[must_use]
    pub fn fenced(operation: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fenced, operation, detail)
    }

    /// Returns an internal error with the text of `source` as its detail.
    #[must_use]
    pub fn internal_from(operation: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::internal(operation, source.to_string()).caused_by(source)
    }

    /// Returns the error with its source.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }
}

impl From<CorruptBlock> for PortError {
    fn from(error: CorruptBlock) -> Self {
        Self::corrupt_block(error.id(), error.to_string()).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_error_keeps_its_source_and_shows_the_text_once() {
        let error = PortError::internal_from("s3:PutObject", io::Error::other("connection reset"));
        assert_eq!(error.to_string(), "s3:PutObject: internal: connection reset");
        assert_eq!(error.source().unwrap().to_string(), "connection reset");
        assert_eq!(error, PortError::internal("s3:PutObject", "connection reset"));
    }
}
