//! The connection to a customer's bucket: its state after the last test or run, and the errors with their remedies.

mod error;
mod failure;
mod message;
mod refusal;
mod server;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

pub use self::{
    error::{ConnectionError, ConnectionErrorCode},
    failure::ConnectionFailure,
    refusal::{AwsErrorCode, Refusal},
};
use crate::{named::named, time::Timestamp};

/// The result of the last test or run for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionStatus {
    /// Not tested since the last change of role, key, bucket or Region.
    Pending,
    Success,
    Failed,
}

named!(ConnectionStatus, parse);

/// The state of a configuration's connection. Illegal combinations (a success with an error) can't be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    Pending,
    Success { checked_at: Timestamp },
    Failed { checked_at: Timestamp, error: ConnectionError },
}

impl Connection {
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        match self {
            Self::Pending => ConnectionStatus::Pending,
            Self::Success { .. } => ConnectionStatus::Success,
            Self::Failed { .. } => ConnectionStatus::Failed,
        }
    }

    #[must_use]
    pub fn checked_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Success { checked_at } | Self::Failed { checked_at, .. } => Some(*checked_at),
        }
    }

    /// Returns whether AWS or the server has answered for the destination since role, access key, bucket, Region or endpoint
    /// were last changed. If so, an unreachable endpoint is an outage, and not a Region that doesn't exist.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        match self {
            Self::Pending => false,
            Self::Success { .. } => true,
            Self::Failed { error, .. } => !is_silence(error.code),
        }
    }

    #[must_use]
    pub fn error(&self) -> Option<&ConnectionError> {
        match self {
            Self::Failed { error, .. } => Some(error),
            Self::Pending | Self::Success { .. } => None,
        }
    }
}

/// Returns whether nobody answered: the service did not connect, or got no answer.
fn is_silence(code: ConnectionErrorCode) -> bool {
    matches!(code, ConnectionErrorCode::EndpointUnreachable | ConnectionErrorCode::EndpointNotPublic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_but_silence_is_an_answer() {
        let checked_at = Timestamp::EPOCH;
        assert!(!Connection::Pending.has_answered());
        assert!(Connection::Success { checked_at }.has_answered());
        for code in ConnectionErrorCode::ALL {
            let error = ConnectionError { code: *code, message: String::new() };
            let has_answered = Connection::Failed { checked_at, error }.has_answered();
            assert_eq!(has_answered, !code.name().starts_with("ENDPOINT_"), "{code}");
        }
    }
}
