//! Connection tests: the request to the verifier function, the progress, and the outcome.

pub mod check;
pub mod progress;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use crate::{
    configuration::{
        Authentication, ConfigurationKey, Destination, ExportConfiguration,
        access_key::{AccessKeyId, SealedSecret},
        arn::{RoleArn, UserArn},
    },
    connection::{Connection, ConnectionError, ConnectionStatus},
    time::Timestamp,
};

/// The request to test a connection. The response is `null` if the configuration does not exist (any more).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConnectionTestRequest {
    /// Another role, access key or destination, before it is stored. The outcome isn't stored either.
    Candidate { candidate: Box<Candidate> },
    /// A stored configuration. The outcome is stored with it.
    Stored(ConfigurationKey),
}

/// A change of a configuration that is tested before it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CandidateFields", into = "CandidateFields")]
pub struct Candidate {
    pub key: ConfigurationKey,
    /// The version that the change would replace.
    pub version: u64,
    pub destination: Destination,
    pub identity: CandidateIdentity,
}

/// The role or access key of a [`Candidate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateIdentity {
    /// The stored one.
    Kept,
    Role(RoleArn),
    AccessKey {
        access_key_id: AccessKeyId,
        /// Encrypted with the service's key, for this configuration only.
        sealed_secret: SealedSecret,
    },
}

/// The JSON form of a candidate. The fields of an access key are those of earlier versions, so that a new verifier understands
/// an older API during a deployment. An older verifier refuses candidates without an access key, and the API responds with
/// `TRY_AGAIN`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateFields {
    #[serde(flatten)]
    key: ConfigurationKey,
    version: u64,
    destination: Destination,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role_arn: Option<RoleArn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_key_id: Option<AccessKeyId>,
    /// In Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed_secret: Option<String>,
}

/// The error of a candidate with a part of an access key, or with both a role and an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a candidate must have a roleArn, an accessKeyId with its sealedSecret in Base64, or neither")]
pub struct InvalidCandidate;

impl From<Candidate> for CandidateFields {
    fn from(candidate: Candidate) -> Self {
        let Candidate { key, version, destination, identity } = candidate;
        let fields = Self { key, version, destination, role_arn: None, access_key_id: None, sealed_secret: None };
        match identity {
            CandidateIdentity::Kept => fields,
            CandidateIdentity::Role(role_arn) => Self { role_arn: Some(role_arn), ..fields },
            CandidateIdentity::AccessKey { access_key_id, sealed_secret } => Self {
                access_key_id: Some(access_key_id),
                sealed_secret: Some(BASE64.encode(sealed_secret.ciphertext())),
                ..fields
            },
        }
    }
}

impl TryFrom<CandidateFields> for Candidate {
    type Error = InvalidCandidate;

    fn try_from(fields: CandidateFields) -> Result<Self, Self::Error> {
        let CandidateFields { key, version, destination, role_arn, access_key_id, sealed_secret } = fields;
        let identity = match (role_arn, access_key_id, sealed_secret) {
            (None, None, None) => CandidateIdentity::Kept,
            (Some(role_arn), None, None) => CandidateIdentity::Role(role_arn),
            (None, Some(access_key_id), Some(text)) => {
                let ciphertext = BASE64.decode(text).map_err(|_| InvalidCandidate)?;
                CandidateIdentity::AccessKey { access_key_id, sealed_secret: SealedSecret::from_ciphertext(ciphertext) }
            }
            _ => return Err(InvalidCandidate),
        };
        Ok(Self { key, version, destination, identity })
    }
}

impl Candidate {
    /// Returns the configuration with the change. `None`: `stored` is no longer the version that the candidate was made for. The
    /// state of the connection is kept only for the same Region or server, because another one may have never answered.
    #[must_use]
    pub fn applied_to(self, stored: ExportConfiguration) -> Option<ExportConfiguration> {
        let is_same_site = stored.destination.site == self.destination.site;
        if stored.key != self.key || stored.version != self.version {
            return None;
        }
        let (authentication, user_arn) = match self.identity {
            CandidateIdentity::Kept => (stored.authentication, stored.user_arn),
            CandidateIdentity::Role(role_arn) => (Authentication::AssumedRole { role_arn }, None),
            CandidateIdentity::AccessKey { access_key_id, sealed_secret } => {
                (Authentication::AccessKey { access_key_id, secret: sealed_secret }, None)
            }
        };
        Some(ExportConfiguration {
            version: self.version.saturating_add(1),
            connection: if is_same_site { stored.connection } else { Connection::Pending },
            destination: self.destination,
            authentication,
            user_arn,
            ..stored
        })
    }
}

/// The outcome of a connection test, as the verifier returns it to whoever requested the test. None is pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "VerifierFields", into = "VerifierFields")]
pub enum ConnectionTestOutcome {
    Success {
        checked_at: Timestamp,
        /// The user of the access key, if there is one.
        user_arn: Option<UserArn>,
    },
    Failed {
        checked_at: Timestamp,
        error: ConnectionError,
    },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifierFields {
    connection_status: ConnectionStatus,
    connection_checked_at: Timestamp,
    connection_error: Option<ConnectionError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_arn: Option<String>,
}

/// The error of an impossible outcome: pending after a test, or a success with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outcome of a test must be SUCCESS without an error or FAILED with one")]
pub struct InvalidOutcome;

impl ConnectionTestOutcome {
    /// Returns `None` for a connection that was not tested.
    #[must_use]
    pub fn of(connection: Connection, user_arn: Option<UserArn>) -> Option<Self> {
        match connection {
            Connection::Pending => None,
            Connection::Success { checked_at } => Some(Self::Success { checked_at, user_arn }),
            Connection::Failed { checked_at, error } => Some(Self::Failed { checked_at, error }),
        }
    }
}

impl From<ConnectionTestOutcome> for Connection {
    fn from(response: ConnectionTestOutcome) -> Self {
        match response {
            ConnectionTestOutcome::Success { checked_at, user_arn: _ } => Self::Success { checked_at },
            ConnectionTestOutcome::Failed { checked_at, error } => Self::Failed { checked_at, error },
        }
    }
}

impl TryFrom<VerifierFields> for ConnectionTestOutcome {
    type Error = InvalidOutcome;

    fn try_from(fields: VerifierFields) -> Result<Self, Self::Error> {
        let checked_at = fields.connection_checked_at;
        match (fields.connection_status, fields.connection_error) {
            (ConnectionStatus::Success, None) => {
                Ok(Self::Success { checked_at, user_arn: fields.user_arn.as_deref().and_then(UserArn::parse) })
            }
            (ConnectionStatus::Failed, Some(error)) => Ok(Self::Failed { checked_at, error }),
            _ => Err(InvalidOutcome),
        }
    }
}

impl From<ConnectionTestOutcome> for VerifierFields {
    fn from(response: ConnectionTestOutcome) -> Self {
        match response {
            ConnectionTestOutcome::Success { checked_at, user_arn } => Self {
                connection_status: ConnectionStatus::Success,
                connection_checked_at: checked_at,
                connection_error: None,
                user_arn: user_arn.as_ref().map(ToString::to_string),
            },
            ConnectionTestOutcome::Failed { checked_at, error } => Self {
                connection_status: ConnectionStatus::Failed,
                connection_checked_at: checked_at,
                connection_error: Some(error),
                user_arn: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        configuration::{
            region::Region,
            test_support::{ID, with_role},
        },
        connection::ConnectionErrorCode,
    };

    #[test]
    fn outcomes_are_read_back() {
        let checked_at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let error = ConnectionError { code: ConnectionErrorCode::KmsDenied, message: "Allow it.".to_owned() };
        let user = "arn:aws:iam::222222222222:user/export";
        for (response, text) in [
            (
                ConnectionTestOutcome::Success { checked_at, user_arn: None },
                json!({"connectionStatus": "SUCCESS", "connectionCheckedAt": "2026-11-22T00:00:00.000Z",
                    "connectionError": null}),
            ),
            (
                ConnectionTestOutcome::Success { checked_at, user_arn: UserArn::parse(user) },
                json!({"connectionStatus": "SUCCESS", "connectionCheckedAt": "2026-11-22T00:00:00.000Z",
                    "connectionError": null, "userArn": user}),
            ),
            (
                ConnectionTestOutcome::Failed { checked_at, error },
                json!({"connectionStatus": "FAILED", "connectionCheckedAt": "2026-11-22T00:00:00.000Z",
                    "connectionError": {"code": "KMS_DENIED", "message": "Allow it."}}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&response).unwrap(), text);
            assert_eq!(serde_json::from_value::<ConnectionTestOutcome>(text).unwrap(), response);
        }
        assert_eq!(ConnectionTestOutcome::of(Connection::Pending, None), None);
    }

    fn candidate() -> Candidate {
        let stored = with_role();
        Candidate {
            key: stored.key,
            version: stored.version,
            destination: Destination { bucket_path: None, ..stored.destination },
            identity: CandidateIdentity::AccessKey {
                access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
                sealed_secret: SealedSecret::from_ciphertext(vec![0xff, 0, 1]),
            },
        }
    }

    fn other_role() -> RoleArn {
        RoleArn::parse("arn:aws:iam::222222222222:role/other").unwrap()
    }

    #[test]
    fn requests_are_read_back() {
        let key = json!({"tenantId": "acme", "configurationId": ID});
        let stored = ConnectionTestRequest::Stored(with_role().key);
        assert_eq!(serde_json::to_value(&stored).unwrap(), key);
        assert_eq!(serde_json::from_value::<ConnectionTestRequest>(key).unwrap(), stored);

        let request = ConnectionTestRequest::Candidate { candidate: Box::new(candidate()) };
        let text = serde_json::to_value(&request).unwrap();
        assert_eq!(text["candidate"]["sealedSecret"], "/wAB");
        assert_eq!((&text["candidate"]["tenantId"], &text["candidate"]["version"]), (&json!("acme"), &json!(7)));
        assert_eq!(serde_json::from_value::<ConnectionTestRequest>(text).unwrap(), request);
    }

    #[test]
    fn candidates_of_each_kind_are_read_back_and_no_others() {
        for (identity, names) in [
            (CandidateIdentity::Kept, &[][..]),
            (CandidateIdentity::Role(other_role()), &["roleArn"]),
            (candidate().identity, &["accessKeyId", "sealedSecret"]),
        ] {
            let request =
                ConnectionTestRequest::Candidate { candidate: Box::new(Candidate { identity, ..candidate() }) };
            let text = serde_json::to_value(&request).unwrap();
            for name in ["roleArn", "accessKeyId", "sealedSecret"] {
                assert_eq!(text["candidate"].get(name).is_some(), names.contains(&name), "{name}");
            }
            assert_eq!(serde_json::from_value::<ConnectionTestRequest>(text).unwrap(), request);
        }
        let good = serde_json::to_value(ConnectionTestRequest::Candidate { candidate: Box::new(candidate()) }).unwrap();
        for (name, value) in [
            ("sealedSecret", json!(null)),
            ("accessKeyId", json!(null)),
            ("sealedSecret", json!("not base 64")),
            ("roleArn", json!(other_role())),
        ] {
            let mut bad = good.clone();
            bad["candidate"][name] = value;
            assert!(serde_json::from_value::<ConnectionTestRequest>(bad).is_err(), "{name}");
        }
    }

    #[test]
    fn a_candidate_without_an_access_key_keeps_the_stored_identity_or_takes_the_role() {
        let kept = Candidate { identity: CandidateIdentity::Kept, ..candidate() }.applied_to(with_role()).unwrap();
        assert_eq!((kept.authentication, kept.user_arn), (with_role().authentication, with_role().user_arn));
        assert_eq!(kept.destination.bucket_path, None);
        let role = CandidateIdentity::Role(other_role());
        let switched = Candidate { identity: role, ..candidate() }.applied_to(with_role()).unwrap();
        assert_eq!(switched.authentication, Authentication::AssumedRole { role_arn: other_role() });
    }

    #[test]
    fn a_candidate_is_tested_as_what_it_would_become() {
        let would_be = candidate().applied_to(with_role()).unwrap();
        assert_eq!((would_be.version, would_be.destination.bucket_path), (8, None));
        assert!(matches!(would_be.authentication, Authentication::AccessKey { .. }));
        assert_eq!(would_be.connection, with_role().connection);
        let mut elsewhere = candidate();
        elsewhere.destination.site = Region::parse("eu-west-3").unwrap().into();
        assert_eq!(elsewhere.applied_to(with_role()).unwrap().connection, Connection::Pending);
        let changed_since = ExportConfiguration { version: 8, ..with_role() };
        assert_eq!(candidate().applied_to(changed_since), None);
    }

    #[test]
    fn an_impossible_test_outcome_is_refused() {
        let at = "2026-11-22T00:00:00Z";
        let error = json!({"code": "KMS_DENIED", "message": ""});
        for bad in [
            json!({"connectionStatus": "PENDING", "connectionCheckedAt": at, "connectionError": null}),
            json!({"connectionStatus": "FAILED", "connectionCheckedAt": at, "connectionError": null}),
            json!({"connectionStatus": "SUCCESS", "connectionCheckedAt": at, "connectionError": error}),
        ] {
            assert!(serde_json::from_value::<ConnectionTestOutcome>(bad).is_err());
        }
    }
}
