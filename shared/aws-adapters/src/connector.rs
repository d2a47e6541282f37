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
    policy::{self, AccountScope},
};
use export_engine::ports::{Connected, Connector, ErrorKind, PortError, ProbeAnswer, ProbeWith};

use crate::{
    error::{Fault, describe},
    object_sink::{S3ObjectSink, retry_at_most},
    secrets::SecretVault,
};

/// The longest session that a role assumed by a role may have ("role chaining"):
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>.
const SESSION_DURATION: Duration = Duration::from_hours(1);

/// The shortest that STS gives; a probe's session is thrown away.
const PROBE_DURATION: Duration = Duration::from_mins(15);

/// The time of one attempt of a request to STS.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The attempts of one request to STS, the first included: a Region that doesn't answer is given up after about 10 s.
const MAX_ATTEMPTS: u32 = 2;

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
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        let mut configuration = aws_sdk_sts::config::Builder::from(&self.base)
            .region(SdkRegion::new(region.as_str().to_owned()))
            .retry_config(retry_at_most(&self.base, MAX_ATTEMPTS))
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
            policy: policy::export_session_policy(
                destination,
                id,
                AccountScope::of(destination, Some(role_arn.account())),
            ),
            duration: SESSION_DURATION,
        };
        let answer = self
            .assume_role(role_arn, &destination.region, session)
            .await
            .map_err(|error| customer_error(operation, SignedWith::ServiceCredentials, &destination.region, &error))?;
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
        let sink = S3ObjectSink::new(&self.base, credentials, destination, role_arn.account());
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
            .map_err(|error| customer_error(operation, SignedWith::AccessKey, &destination.region, &error))?;
        let account = identity.account.as_deref().map(AccountId::parse);
        let account = account.and_then(Result::ok).ok_or_else(|| PortError::internal(operation, "no account"))?;
        // The key itself doesn't end, but what was just learned of it gets old like a session.
        let until = SystemTime::now() + SESSION_DURATION;
        let sink = S3ObjectSink::new(&self.base, credentials, destination, &account);
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
        let region = &configuration.destination.region;
        match self.assume_role(role_arn, region, session).await {
            Ok(_) => Ok(Some(ProbeAnswer::Granted)),
            Err(error) if Fault::of(&error).code == Some("AccessDenied") => Ok(Some(ProbeAnswer::Refused)),
            Err(error) => Err(customer_error("sts:AssumeRole (probe)", SignedWith::ServiceCredentials, region, &error)),
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

/// The credentials that signed a request to STS. What STS says of credentials concerns these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignedWith {
    /// The function's own: roles are assumed with them.
    ServiceCredentials,
    /// The customer's.
    AccessKey,
}

/// Codes with which STS says that it doesn't know the credentials that signed the request. In a Region that is not enabled
/// by default, it knows only those of accounts that have enabled it:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html>.
const UNKNOWN_CREDENTIALS: &[&str] = &["InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"];

/// Codes with which STS refuses a signature.
const WRONG_SIGNATURE: &[&str] = &["InvalidSignatureException", "SignatureDoesNotMatch"];

/// Further codes about what the service alone decides when it assumes a role: its credentials, its account's use of STS, how
/// it signs, and the form of the session policy.
const OF_THIS_SERVICE: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "MalformedPolicyDocument",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
];

/// Codes with which STS refuses a request because of a clock.
const OUT_OF_TIME: &[&str] = &["RequestExpired", "RequestTimeTooSkewed"];

/// The beginnings of the message with which a signature is refused because of a clock, and not because of a key:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>.
const CLOCK_MESSAGES: &[&str] = &["Signature expired", "Signature not yet current"];

/// Classifies what STS says of a customer's role or access key.
/// Codes: <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>.
fn customer_error<E>(
    operation: &'static str,
    signed_with: SignedWith,
    region: &Region,
    error: &SdkError<E, HttpResponse>,
) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    use SignedWith::{AccessKey, ServiceCredentials};

    let fault = Fault::of(error);
    let code = fault.code.unwrap_or_default();
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    let is_wrongly_signed = WRONG_SIGNATURE.contains(&code);
    let is_about_clock = is_wrongly_signed && CLOCK_MESSAGES.iter().any(|begin| message.starts_with(begin));
    let is_unknown = UNKNOWN_CREDENTIALS.contains(&code);
    let detail = describe(error);
    let kind = match signed_with {
        _ if is_about_clock || OUT_OF_TIME.contains(&code) => ErrorKind::Transient,
        ServiceCredentials if is_unknown || is_wrongly_signed => {
            let detail = format!(
                "{detail} (STS does not accept the service's own credentials in {region}: enable the Region in the \
                 service's AWS account)"
            );
            return PortError::internal(operation, detail);
        }
        AccessKey if is_unknown => ErrorKind::Customer(ConnectionFailure::AccessKeyUnknown),
        AccessKey if is_wrongly_signed => ErrorKind::Customer(ConnectionFailure::SecretAccessKeyWrong),
        ServiceCredentials if code == "AccessDenied" => ErrorKind::Customer(ConnectionFailure::RoleNotAssumable),
        AccessKey if code == "AccessDenied" => ErrorKind::Customer(ConnectionFailure::WriteDenied),
        ServiceCredentials if OF_THIS_SERVICE.contains(&code) => ErrorKind::Internal,
        _ if code == "RegionDisabledException" => ErrorKind::Customer(ConnectionFailure::RegionDisabled),
        _ if fault.is_unanswered() => ErrorKind::Customer(ConnectionFailure::EndpointUnreachable),
        _ if fault.is_transient() => ErrorKind::Transient,
        _ => fault
            .refusal()
            .map_or(ErrorKind::Internal, |refusal| ErrorKind::Customer(ConnectionFailure::StsRefused(refusal))),
    };
    PortError { kind, operation, detail }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, retry::RetryConfig};
    use aws_smithy_runtime_api::{
        client::result::ConnectorError,
        http::{Response, StatusCode},
    };
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
    use domain::connection::{AwsErrorCode, Refusal};

    use super::*;

    #[test]
    fn a_probe_never_uses_the_configurations_own_id() {
        let id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        assert_eq!(another(id).to_string(), "f46095f1-92c4-42f1-a291-f090a3e0d5c4");
    }

    #[test]
    fn a_region_that_hangs_is_given_up_after_two_attempts_of_five_seconds() {
        let region = Region::parse("eu-west-1").unwrap();
        for (retries, attempts) in [(RetryConfig::standard().with_max_attempts(3), 2), (RetryConfig::disabled(), 1)] {
            let base = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).retry_config(retries).build();
            let client = AwsConnector::new(base, "unused".to_owned()).sts(&region, None);
            assert_eq!(client.config().retry_config().unwrap().max_attempts(), attempts);
            let timeouts = client.config().timeout_config().unwrap();
            assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(5)));
        }
    }

    fn refused(signed_with: SignedWith, status: u16, code: &str, message: &str) -> PortError {
        let metadata = ErrorMetadata::builder().code(code).message(message).build();
        let response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        let error = SdkError::service_error(AssumeRoleError::generic(metadata), response);
        customer_error("test", signed_with, &Region::parse("ap-east-2").unwrap(), &error)
    }

    /// What the emulator has no way to say.
    #[test]
    fn every_refusal_of_sts_is_classified_by_whose_credentials_signed_the_request() {
        use ConnectionFailure as Failure;
        use ErrorKind::{Customer, Internal, Transient};

        let sts =
            |status, code: &str| Customer(Failure::StsRefused(Refusal { code: AwsErrorCode::parse(code), status }));
        let table = [
            // Code, message, with the service's credentials (role), with the customer's access key.
            (403, "AccessDenied", "", Customer(Failure::RoleNotAssumable), Customer(Failure::WriteDenied)),
            (403, "RegionDisabledException", "", Customer(Failure::RegionDisabled), Customer(Failure::RegionDisabled)),
            (403, "InvalidClientTokenId", "", Internal, Customer(Failure::AccessKeyUnknown)),
            (403, "InvalidAccessKeyId", "", Internal, Customer(Failure::AccessKeyUnknown)),
            (403, "UnrecognizedClientException", "", Internal, Customer(Failure::AccessKeyUnknown)),
            (403, "SignatureDoesNotMatch", "The request", Internal, Customer(Failure::SecretAccessKeyWrong)),
            (403, "SignatureDoesNotMatch", "Signature expired: 20261122T000000Z is now earlier", Transient, Transient),
            (403, "SignatureDoesNotMatch", "Signature not yet current: 20261122T000000Z", Transient, Transient),
            (400, "Throttling", "Rate exceeded", Transient, Transient),
            (500, "InternalFailure", "", Transient, Transient),
            (503, "ServiceUnavailable", "", Transient, Transient),
            (403, "RequestExpired", "", Transient, Transient),
            (400, "PackedPolicyTooLarge", "", sts(400, "PackedPolicyTooLarge"), sts(400, "PackedPolicyTooLarge")),
            (400, "ValidationError", "", sts(400, "ValidationError"), sts(400, "ValidationError")),
            (404, "<b>no code</b>", "", sts(404, "<b>no code</b>"), sts(404, "<b>no code</b>")),
            (403, "ExpiredToken", "", Internal, sts(403, "ExpiredToken")),
            (403, "OptInRequired", "", Internal, sts(403, "OptInRequired")),
            (400, "MalformedPolicyDocument", "", Internal, sts(400, "MalformedPolicyDocument")),
        ];
        for (status, code, message, by_role, by_key) in table {
            let kind = |signed_with| refused(signed_with, status, code, message).kind;
            assert_eq!(kind(SignedWith::ServiceCredentials), by_role, "{code}: {message}");
            assert_eq!(kind(SignedWith::AccessKey), by_key, "{code}: {message}");
        }
    }

    #[test]
    fn a_region_that_the_services_account_lacks_is_the_operators_to_enable() {
        let error = refused(SignedWith::ServiceCredentials, 403, "InvalidClientTokenId", "The token is invalid");
        assert_eq!(
            error.to_string(),
            "test: internal: InvalidClientTokenId: The token is invalid (STS does not accept the service's own credentials \
             in ap-east-2: enable the Region in the service's AWS account)"
        );
    }

    #[test]
    fn sts_that_does_not_answer_is_an_unreachable_endpoint() {
        let region = Region::parse("eu-west-1").unwrap();
        for error in [
            SdkError::<AssumeRoleError, HttpResponse>::timeout_error("5 s"),
            SdkError::dispatch_failure(ConnectorError::timeout("3 s".into())),
            SdkError::dispatch_failure(ConnectorError::io("no such host".into())),
        ] {
            for signed_with in [SignedWith::ServiceCredentials, SignedWith::AccessKey] {
                let kind = customer_error("test", signed_with, &region, &error).kind;
                assert_eq!(kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error:?}");
            }
        }
        let no_credentials = SdkError::dispatch_failure(ConnectorError::other("no credentials".into(), None));
        let kind = customer_error::<AssumeRoleError>("test", SignedWith::AccessKey, &region, &no_credentials).kind;
        assert_eq!(kind, ErrorKind::Transient);
    }
}
