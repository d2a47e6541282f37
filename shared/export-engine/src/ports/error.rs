//! Errors of ports.

use domain::{block::BlockId, connection::ConnectionFailure};

/// The operation of errors about a block that differs from what ingest wrote. An alarm filters for it.
pub const CORRUPT_BLOCK: &str = "read block";

/// A failed call to a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {kind}: {detail}")]
pub struct PortError {
    pub kind: ErrorKind,
    /// The operation, for the log.
    pub operation: &'static str,
    /// Details for an operator. They never reach a customer and never contain a secret.
    pub detail: String,
}

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
    #[must_use]
    pub fn internal(operation: &'static str, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Internal, operation, detail: detail.into() }
    }

    #[must_use]
    pub fn transient(operation: &'static str, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Transient, operation, detail: detail.into() }
    }

    #[must_use]
    pub fn customer(operation: &'static str, failure: ConnectionFailure, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Customer(failure), operation, detail: detail.into() }
    }

    #[must_use]
    pub fn corrupt_block(block: BlockId, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::CorruptBlock(block), operation: CORRUPT_BLOCK, detail: detail.into() }
    }

    #[must_use]
    pub fn fenced(operation: &'static str) -> Self {
        Self { kind: ErrorKind::Fenced, operation, detail: "another run holds the lease".to_owned() }
    }
}
