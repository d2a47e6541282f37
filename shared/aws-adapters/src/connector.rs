//! Credentials for writes to a customer's bucket: a role by STS, or the customer's access key.

mod refusal;

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::{
    Client,
    config::{Region as SdkRegion, timeout::TimeoutConfig},
    operation::assume_role::{AssumeRoleError, AssumeRoleOutput},
};
use aws_smithy_runtime_api::client::{http::SharedHttpClient, orchestrator::HttpResponse, result::SdkError};
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, Site,
        access_key::{AccessKeyId, SecretAccessKey},
        arn::{AccountId, RoleArn, UserArn},
        region::Region,
    },
    policy::{self, AccountScope},
    time::Timestamp,
};
use export_engine::ports::{Connected, Connector, PortError, ProbeOutcome, ProbeWith};
use host::{Clock, Machine};

use self::refusal::{SignedWith, customer_error};
use crate::{
    customer_server::ServerConnections,
    error::Fault,
    object_sink::{S3ObjectSink, retry_at_most},
    secrets::SecretVault,
};

/// The longest session that a role assumed by a role may have ("role chaining"):
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>.
const SESSION_DURATION: Duration = Duration::from_hours(1);

/// The shortest duration that STS permits; a probe's session is thrown away.
const PROBE_DURATION: Duration = Duration::from_mins(15);

/// The time of one attempt of a request to STS.
const STS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The attempts of one request to STS, including the first: a Region that doesn't answer is given up after about 10 s.
const MAX_ATTEMPTS: u32 = 2;

/// A connection is replaced when its credentials have less time left than this: more than an invocation of Lambda can last,
/// so that no credentials end during a run.
const MIN_REMAINING: Duration = Duration::from_mins(20);

/// Connections that are kept for the next run of the same configuration. One exporter serves one run at a time.
const MAX_KEPT: usize = 32;

/// Connects to customers' buckets.
#[derive(Debug)]
pub struct AwsConnector<C = Machine> {
    clock: C,
    base: SdkConfig,
    servers: ServerConnections,
    secret_key_arn: String,
    /// Created at the first use: only configurations with an access key have a secret.
    vault: OnceLock<SecretVault>,
    /// Created at the first use: few buckets are on another server than AWS's.
    server_client: OnceLock<SharedHttpClient>,
    kept: Mutex<Vec<Kept>>,
}

/// A connection that may be used again.
#[derive(Debug)]
struct Kept {
    key: ConfigurationKey,
    version: u64,
    destination: Destination,
    until: Timestamp,
    sink: S3ObjectSink,
}

impl<C: Clock> AwsConnector<C> {
    /// `base` has the credentials of this function; secrets were sealed with the key `secret_key_arn`. Servers other than AWS's
    /// are reached over `servers`.
    #[must_use]
    pub fn new(base: SdkConfig, servers: ServerConnections, secret_key_arn: String, clock: C) -> Self {
        Self {
            clock,
            base,
            servers,
            secret_key_arn,
            vault: OnceLock::new(),
            server_client: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    fn vault(&self) -> &SecretVault {
        self.vault.get_or_init(|| SecretVault::new(aws_sdk_kms::Client::new(&self.base), self.secret_key_arn.clone()))
    }

    fn reuse(&self, configuration: &ExportConfiguration, destination: &Destination) -> Option<S3ObjectSink> {
        let enough = self.clock.now().saturating_add(MIN_REMAINING);
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

    /// STS is called in the bucket's own Region, so that an export depends on that Region alone:
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html>.
    fn sts(&self, region: &Region, credentials: Option<Credentials>) -> Client {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(STS_ATTEMPT_TIMEOUT).build();
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
        configuration: &ExportConfiguration,
        role_arn: &RoleArn,
        destination: &Destination,
    ) -> Result<Fresh, PortError> {
        let operation = "sts:AssumeRole";
        let region = region_of_role(destination)?;
        let id = configuration.identity_key().configuration_id;
        let session = Session {
            configuration_id: id,
            external_id: Some(id.to_string()),
            // A replay may write what it replays under another prefix, and nothing else.
            policy: policy::export_session_policy(
                destination,
                configuration.key.configuration_id,
                AccountScope::of(destination, Some(role_arn.account())),
            ),
            duration: SESSION_DURATION,
        };
        let answer = self
            .assume_role(role_arn, region, session)
            .await
            .map_err(|error| customer_error(operation, SignedWith::ServiceCredentials, region, error))?;
        let credentials =
            answer.credentials.ok_or_else(|| PortError::internal(operation, "STS gave no credentials"))?;
        let until = credentials.expiration.to_millis().ok().and_then(|millis| u64::try_from(millis).ok());
        let until = until
            .and_then(Timestamp::from_millis)
            .ok_or_else(|| PortError::internal(operation, "the expiration of the credentials is out of range"))?;
        let credentials = Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            None,
            "AssumeRole",
        );
        let sink = S3ObjectSink::new(&self.base, credentials, destination, region, role_arn.account());
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
        // Nothing of a key ends, but the answer of STS gets old like a session.
        let until = self.clock.now().saturating_add(SESSION_DURATION);
        let region = match &destination.site {
            Site::Aws(region) => region,
            Site::Server(server) => {
                let connections = self.server_client.get_or_init(|| self.servers.http_client()).clone();
                let bucket = &destination.bucket_name;
                let sink = S3ObjectSink::on_server(&self.base, connections, credentials, bucket, server);
                return Ok(Fresh { until, connected: Connected { sink, user_arn: None } });
            }
        };
        // No policy can deny this call, so an error is about the key and about nothing else.
        let identity = self
            .sts(region, Some(credentials.clone()))
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| customer_error(operation, SignedWith::AccessKey, region, error))?;
        let account = identity.account.as_deref().map(AccountId::parse);
        let account = account.and_then(Result::ok).ok_or_else(|| PortError::internal(operation, "no account"))?;
        let sink = S3ObjectSink::new(&self.base, credentials, destination, region, &account);
        let user_arn = identity.arn.as_deref().and_then(UserArn::parse);
        Ok(Fresh { until, connected: Connected { sink, user_arn } })
    }
}

/// A new connection and the end of its credentials.
struct Fresh {
    until: Timestamp,
    connected: Connected<S3ObjectSink>,
}

/// The parameters of a session beside the role.
struct Session {
    configuration_id: ConfigurationId,
    external_id: Option<String>,
    policy: String,
    duration: Duration,
}

impl<C: Clock> Connector for AwsConnector<C> {
    type Sink = S3ObjectSink;

    async fn connect(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<S3ObjectSink, PortError> {
        if let Some(sink) = self.reuse(configuration, destination) {
            return Ok(sink);
        }
        self.connect_new(configuration, destination).await.map(|connected| connected.sink)
    }

    async fn connect_new(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<Connected<S3ObjectSink>, PortError> {
        let Fresh { until, connected } = match &configuration.authentication {
            Authentication::AssumedRole { role_arn } => {
                self.connect_by_role(configuration, role_arn, destination).await?
            }
            Authentication::AccessKey { access_key_id, secret } => {
                let secret = self.vault().open(&configuration.identity_key(), secret).await?;
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
    ) -> Result<Option<ProbeOutcome>, PortError> {
        let Authentication::AssumedRole { role_arn } = &configuration.authentication else { return Ok(None) };
        let id = configuration.identity_key().configuration_id;
        let session = Session {
            configuration_id: id,
            external_id: match with {
                ProbeWith::NoExternalId => None,
                ProbeWith::AnotherExternalId => Some(another(id).to_string()),
            },
            policy: policy::deny_all_session_policy(),
            duration: PROBE_DURATION,
        };
        let region = region_of_role(&configuration.destination)?;
        match self.assume_role(role_arn, region, session).await {
            Ok(_) => Ok(Some(ProbeOutcome::Granted)),
            Err(error) if Fault::of(&error).code == Some("AccessDenied") => Ok(Some(ProbeOutcome::Refused)),
            Err(error) => Err(customer_error("sts:AssumeRole (probe)", SignedWith::ServiceCredentials, region, error)),
        }
    }
}

/// Returns the Region in which a role is assumed. Input is refused that combines a role with another server than AWS's.
fn region_of_role(destination: &Destination) -> Result<&Region, PortError> {
    let none = || PortError::internal("connect", "a role can't write to another server than AWS's");
    destination.site.aws_region().ok_or_else(none)
}

/// Returns an ID of the same form, as another customer's configuration would have: every random bit is inverted, and the
/// bits that make it a UUID of version 4 stay (RFC 9562, 5.4).
fn another(id: ConfigurationId) -> ConfigurationId {
    let mut bytes = id.as_bytes().map(|byte| !byte);
    bytes[6] ^= 0xf0;
    bytes[8] ^= 0xc0;
    ConfigurationId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, retry::RetryConfig};
    use domain::{
        configuration::test_support::{on_server, with_key},
        customer_server::CustomerServers,
    };

    use super::*;

    fn connector(base: SdkConfig) -> AwsConnector {
        let servers = ServerConnections::new(CustomerServers::Public, None).unwrap();
        AwsConnector::new(base, servers, "unused".to_owned(), Machine)
    }

    /// A server other than AWS's knows nothing of AWS's accounts: no request leaves for STS, which would be unreachable here.
    #[tokio::test]
    async fn an_access_key_of_another_server_is_not_shown_to_aws() {
        let base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url("http://127.0.0.1:1")
            .retry_config(RetryConfig::disabled())
            .build();
        let configuration = on_server();
        let Authentication::AccessKey { access_key_id, .. } = &configuration.authentication else { unreachable!() };
        let secret = SecretAccessKey::parse("minioadmin").unwrap();
        let connector = connector(base);
        let connect = |destination| connector.connect_by_access_key(access_key_id, &secret, destination);
        let fresh = connect(&configuration.destination).await.ok().unwrap();
        assert_eq!(fresh.connected.user_arn, None);
        assert!(connect(&with_key().destination).await.is_err(), "AWS is asked");
    }

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
            let client = connector(base).sts(&region, None);
            assert_eq!(client.config().retry_config().unwrap().max_attempts(), attempts);
            let timeouts = client.config().timeout_config().unwrap();
            assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(5)));
        }
    }
}
