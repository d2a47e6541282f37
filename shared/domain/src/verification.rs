//! What the verifier function answers. It is asked with a [`ConfigurationKey`](crate::configuration::ConfigurationKey), and
//! answers `null` if there is no such configuration.

use serde::{Deserialize, Serialize};

use crate::{
    connection::{Connection, ConnectionError, ConnectionStatus},
    time::Timestamp,
};

/// The outcome of a connection test, as the verifier sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "VerifierFields", into = "VerifierFields")]
pub enum VerifierResponse {
    Success { checked_at: Timestamp },
    Failed { checked_at: Timestamp, error: ConnectionError },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the API's")]
struct VerifierFields {
    connection_status: ConnectionStatus,
    connection_checked_at: Timestamp,
    connection_error: Option<ConnectionError>,
}

/// An outcome that can't be: pending after a test, or an error beside a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a test ends in SUCCESS without an error or in FAILED with one")]
pub struct InvalidOutcome;

impl VerifierResponse {
    /// `None` for a connection that was not tested.
    #[must_use]
    pub fn of(connection: Connection) -> Option<Self> {
        match connection {
            Connection::Pending => None,
            Connection::Success { checked_at } => Some(Self::Success { checked_at }),
            Connection::Failed { checked_at, error } => Some(Self::Failed { checked_at, error }),
        }
    }
}

impl From<VerifierResponse> for Connection {
    fn from(response: VerifierResponse) -> Self {
        match response {
            VerifierResponse::Success { checked_at } => Self::Success { checked_at },
            VerifierResponse::Failed { checked_at, error } => Self::Failed { checked_at, error },
        }
    }
}

impl TryFrom<VerifierFields> for VerifierResponse {
    type Error = InvalidOutcome;

    fn try_from(fields: VerifierFields) -> Result<Self, Self::Error> {
        let checked_at = fields.connection_checked_at;
        match (fields.connection_status, fields.connection_error) {
            (ConnectionStatus::Success, None) => Ok(Self::Success { checked_at }),
            (ConnectionStatus::Failed, Some(error)) => Ok(Self::Failed { checked_at, error }),
            _ => Err(InvalidOutcome),
        }
    }
}

impl From<VerifierResponse> for VerifierFields {
    fn from(response: VerifierResponse) -> Self {
        match response {
            VerifierResponse::Success { checked_at } => Self {
                connection_status: ConnectionStatus::Success,
                connection_checked_at: checked_at,
                connection_error: None,
            },
            VerifierResponse::Failed { checked_at, error } => Self {
                connection_status: ConnectionStatus::Failed,
                connection_checked_at: checked_at,
                connection_error: Some(error),
            },
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connection::ConnectionErrorCode;

    #[test]
    fn outcomes_are_read_back() {
        let checked_at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let error = ConnectionError { code: ConnectionErrorCode::KmsDenied, message: "Allow it.".to_owned() };
        for (response, text) in [
            (
                VerifierResponse::Success { checked_at },
                json!({"connectionStatus": "SUCCESS", "connectionCheckedAt": "2026-11-22T00:00:00.000Z",
                    "connectionError": null}),
            ),
            (
                VerifierResponse::Failed { checked_at, error },
                json!({"connectionStatus": "FAILED", "connectionCheckedAt": "2026-11-22T00:00:00.000Z",
                    "connectionError": {"code": "KMS_DENIED", "message": "Allow it."}}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&response).unwrap(), text);
            assert_eq!(serde_json::from_value::<VerifierResponse>(text).unwrap(), response);
            assert_eq!(VerifierResponse::of(Connection::from(response.clone())), Some(response));
        }
        assert_eq!(VerifierResponse::of(Connection::Pending), None);
    }

    #[test]
    fn what_no_test_ends_in_is_refused() {
        let at = "2026-11-22T00:00:00Z";
        let error = json!({"code": "KMS_DENIED", "message": ""});
        for bad in [
            json!({"connectionStatus": "PENDING", "connectionCheckedAt": at, "connectionError": null}),
            json!({"connectionStatus": "FAILED", "connectionCheckedAt": at, "connectionError": null}),
            json!({"connectionStatus": "SUCCESS", "connectionCheckedAt": at, "connectionError": error}),
        ] {
            assert!(serde_json::from_value::<VerifierResponse>(bad).is_err());
        }
    }
}
