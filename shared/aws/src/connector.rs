//! Becoming somebody who may write to a customer's bucket: STS, or the customer's own access key.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::{
    Client,
    config::{Region as SdkRegion, timeout::TimeoutConfig},
    operation::assume_role::{AssumeRoleError, AssumeRoleOutput},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration,
        access_key::{AccessKeyId, SecretAccessKey},
        arn::{AccountId, RoleArn, UserArn},
        region::Region,
    },
    connection::ConnectionFailure,
    policy,
};
use export::ports::{Connected, Connector, ErrorKind, PortError, ProbeAnswer, ProbeWith};

use crate::{
    error::{Fault, Reached, describe},
    object_sink::S3ObjectSink,
    secrets::SecretVault,
};

/// The longest session that a role assumed by a role may have ("role chaining"):
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>.
const SESSION_DURATION: Duration = Duration::from_hours(1);

/// The shortest that STS gives; a probe's session is thrown away.
const PROBE_DURATION: Duration = Duration::from_mins(15);

/// One request to STS.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection is made again when its credentials have less left than this: more than an invocation of Lambda can last, so
/// that none ends under a run.
const MIN_REMAINING: Duration = Duration::from_mins(20);

/// Connections that are kept for the next run of the same configuration. One exporter serves one run at a time.
const MAX_KEPT: usize = 32;

/// Connects to customers' buckets.
#[derive(Debug)]
pub struct AwsConnector {
    base: SdkConfig,
    secret_key_arn: String,
    /// Made when it is first used: only configurations with an access key have a secret.
    vault: OnceLock<SecretVault>,
    kept: Mutex<Vec<Kept>>,
}

/// A connection that may be used again.
#[derive(Debug)]
struct Kept {
    key: ConfigurationKey,
    version: u64,
    destination: Destination,
    until: SystemTime,
    sink: S3ObjectSink,
}

impl AwsConnector {
    /// `base` has the credentials of this function; secrets were sealed with the key `secret_key_arn`.
    #[must_use]
    pub fn new(base: SdkConfig, secret_key_arn: String) -> Self {
        Self { base, secret_key_arn, vault: OnceLock::new(), kept: Mutex::default() }
    }

    fn vault(&self) -> &SecretVault {
        self.vault.get_or_init(|| SecretVault::new(aws_sdk_kms::Client::new(&self.base), self.secret_key_arn.clone()))
    }

    fn reuse(&self, configuration: &ExportConfiguration, destination: &Destination) -> Option<S3ObjectSink> {
        let enough = SystemTime::now() + MIN_REMAINING;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.until >= enough);
        let is_same = |kept: &&Kept| {
            kept.key == configuration.key && kept.version == configuration.version && kept.destination == *destination
        };
        kept.iter().find(is_same).map(|kept| kept.sink.clone())
    }

    fn keep(&self, connection: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.key != connection.key || kept.destination != connection.destination);
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push(connection);
    }

    /// STS is called in the bucket's own region, so that an export depends on that region alone:
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html>.
    fn sts(&self, region: &Region, credentials: Option<Credentials>) -> Client {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(REQUEST_TIMEOUT).build();
        let mut configuration = aws_sdk_sts::config::Builder::from(&self.base)
            .region(SdkRegion::new(region.as_str().to_owned()))
            .timeout_config(timeouts);
        if let Some(credentials) = credentials {
            configuration = configuration.credentials_provider(credentials);
        }
        Client::from_conf(configuration.build())
    }

    async fn assume_role(
        &self,
        role_arn: &RoleArn,
        region: &Region,
        session: Session,
    ) -> Result<AssumeRoleOutput, SdkError<AssumeRoleError, HttpResponse>> {
        self.sts(region, None)
            .assume_role()
            .role_arn(role_arn.as_str())
            .role_session_name(format!("audit-export-{}", session.configuration_id))
            .set_external_id(session.external_id)
            .policy(session.policy)
            .duration_seconds(i32::try_from(session.duration.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await
    }

    async fn connect_by_role(
        &self,
        id: ConfigurationId,
        role_arn: &RoleArn,
        destination: &Destination,
    ) -> Result<Fresh, PortError> {
        let operation = "sts:AssumeRole";
        let session = Session {
            configuration_id: id,
            external_id: Some(id.to_string()),
            policy: policy::export_session_policy(destination, id),
            duration: SESSION_DURATION,
        };
        let answer = self
            .assume_role(role_arn, &destination.region, session)
            .await
            .map_err(|error| customer_error(operation, &error))?;
        let credentials =
            answer.credentials.ok_or_else(|| PortError::internal(operation, "STS gave no credentials"))?;
        let until = SystemTime::try_from(credentials.expiration)
            .map_err(|error| PortError::internal(operation, error.to_string()))?;
        let credentials = Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            None,
            "AssumeRole",
        );
        let owner = destination.expected_bucket_owner.clone().unwrap_or_else(|| role_arn.account().clone());
        let sink = S3ObjectSink::new(&self.base, credentials, destination, owner);
        Ok(Fresh { until, connected: Connected { sink, user_arn: None } })
    }

    async fn connect_by_access_key(
        &self,
        access_key_id: &AccessKeyId,
        secret: &SecretAccessKey,
        destination: &Destination,
    ) -> Result<Fresh, PortError> {
        let operation = "sts:GetCallerIdentity";
        let credentials = Credentials::new(access_key_id.as_str(), secret.expose(), None, None, "AccessKey");
        // Nobody can be denied this call, so what it says of a key is said of the key and of nothing else.
        let identity = self
            .sts(&destination.region, Some(credentials.clone()))
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| customer_error(operation, &error))?;
        let account = identity.account.as_deref().map(AccountId::parse);
        let account = account.and_then(Result::ok).ok_or_else(|| PortError::internal(operation, "no account"))?;
        let owner = destination.expected_bucket_owner.clone().unwrap_or(account);
        // The key itself doesn't end, but what was just learned of it gets old like a session.
        let until = SystemTime::now() + SESSION_DURATION;
        let sink = S3ObjectSink::new(&self.base, credentials, destination, owner);
        let user_arn = identity.arn.as_deref().and_then(UserArn::parse);
        Ok(Fresh { until, connected: Connected { sink, user_arn } })
    }
}

/// A new connection, and when its credentials end.
struct Fresh {
    until: SystemTime,
    connected: Connected<S3ObjectSink>,
}

/// What is asked of STS beside the role.
struct Session {
    configuration_id: ConfigurationId,
    external_id: Option<String>,
    policy: String,
    duration: Duration,
}

impl Connector for AwsConnector {
    type Sink = S3ObjectSink;

    async fn connect(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<S3ObjectSink, PortError> {
        if let Some(sink) = self.reuse(configuration, destination) {
            return Ok(sink);
        }
        self.connect_afresh(configuration, destination).await.map(|connected| connected.sink)
    }

    async fn connect_afresh(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<Connected<S3ObjectSink>, PortError> {
        let Fresh { until, connected } = match &configuration.authentication {
            Authentication::AssumedRole { role_arn } => {
                self.connect_by_role(configuration.key.configuration_id, role_arn, destination).await?
            }
            Authentication::AccessKey { access_key_id, secret } => {
                let secret = self.vault().open(&configuration.key, secret).await?;
                self.connect_by_access_key(access_key_id, &secret, destination).await?
            }
        };
        self.keep(Kept {
            key: configuration.key.clone(),
            version: configuration.version,
            destination: destination.clone(),
            until,
            sink: connected.sink.clone(),
        });
        Ok(connected)
    }

    async fn probe(
        &self,
        configuration: &ExportConfiguration,
        with: ProbeWith,
    ) -> Result<Option<ProbeAnswer>, PortError> {
        let Authentication::AssumedRole { role_arn } = &configuration.authentication else { return Ok(None) };
        let id = configuration.key.configuration_id;
        let session = Session {
            configuration_id: id,
            external_id: match with {
                ProbeWith::NoExternalId => None,
                ProbeWith::AnotherExternalId => Some(another(id).to_string()),
            },
            policy: policy::deny_all_session_policy(),
            duration: PROBE_DURATION,
        };
        match self.assume_role(role_arn, &configuration.destination.region, session).await {
            Ok(_) => Ok(Some(ProbeAnswer::Granted)),
            Err(error) if Fault::of(&error).code == Some("AccessDenied") => Ok(Some(ProbeAnswer::Refused)),
            Err(error) => Err(customer_error("sts:AssumeRole (probe)", &error)),
        }
    }
}

/// An id of the same form, as another customer's configuration would have it: every random bit is turned, and those stay
/// that make it a UUID of version 4 (RFC 9562, 5.4).
fn another(id: ConfigurationId) -> ConfigurationId {
    let mut bytes = id.as_bytes().map(|byte| !byte);
    bytes[6] ^= 0xf0;
    bytes[8] ^= 0xc0;
    ConfigurationId::from_bytes(bytes)
}

/// Sorts what STS says of a customer's role or key.
/// Codes: <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>.
fn customer_error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let fault = Fault::of(error);
    let kind = match fault.code {
        Some("AccessDenied") => ErrorKind::Customer(ConnectionFailure::RoleNotAssumable),
        Some("RegionDisabledException") => ErrorKind::Customer(ConnectionFailure::RegionDisabled),
        Some("InvalidClientTokenId" | "InvalidAccessKeyId") => ErrorKind::Customer(ConnectionFailure::AccessKeyUnknown),
        Some("SignatureDoesNotMatch") => ErrorKind::Customer(ConnectionFailure::SecretAccessKeyWrong),
        _ if fault.reached == Reached::NoConnection => ErrorKind::Customer(ConnectionFailure::EndpointUnreachable),
        _ if fault.is_transient() => ErrorKind::Transient,
        _ => ErrorKind::Internal,
    };
    PortError { kind, operation, detail: describe(error) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use aws_smithy_runtime_api::http::{Response, StatusCode};
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};

    use super::*;

    #[test]
    fn a_probe_never_uses_the_configurations_own_id() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        assert_eq!(another(id).to_string(), "f46095f1-92c4-42f1-a291-f090a3e0d5c4");
    }

    /// What the emulator has no way to say.
    #[test]
    fn every_refusal_of_sts_has_its_own_failure() {
        let kind = |code: &str, status: u16| {
            let metadata = ErrorMetadata::builder().code(code).build();
            let response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
            let error = SdkError::service_error(AssumeRoleError::generic(metadata), response);
            customer_error("test", &error).kind
        };
        let customer = ErrorKind::Customer;
        assert_eq!(kind("AccessDenied", 403), customer(ConnectionFailure::RoleNotAssumable));
        assert_eq!(kind("RegionDisabledException", 403), customer(ConnectionFailure::RegionDisabled));
        assert_eq!(kind("InvalidClientTokenId", 403), customer(ConnectionFailure::AccessKeyUnknown));
        assert_eq!(kind("SignatureDoesNotMatch", 403), customer(ConnectionFailure::SecretAccessKeyWrong));
        assert_eq!(kind("ServiceUnavailable", 503), ErrorKind::Transient);
        assert_eq!(kind("PackedPolicyTooLarge", 400), ErrorKind::Internal);
    }
}
