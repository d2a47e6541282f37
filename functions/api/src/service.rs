//! The use-cases. Each is keyed by the caller's tenant: what belongs to another one isn't there.

use std::time::Duration;

use aws::{
    configurations::{ConfigurationTable, CreateAnswer, IdempotentRequest, MAX_CONFIGURATIONS_PER_TENANT},
    run_queue::RunQueueClient,
    secrets::SecretVault,
    signing_keys::{SigningKeys, SigningPublicKey},
    test_allowance::{Permit, TestAllowance},
    verifier_client::VerifierClient,
};
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, ExportConfiguration, ExportProgress, ServiceIdentity,
        input::{RawSettings, Settings, StartFrom, parse_access_key, parse_assumed_role},
    },
    connection::Connection,
    export_run::{RunRequest, RunTrigger},
    time::Timestamp,
};
use export::ports::{ConfigurationStore, RunQueue};
use runtime::token::Caller;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::schema::errors::ApiError;

/// How often a change is tried that meets another one.
const MAX_CHANGE_ATTEMPTS: usize = 3;

/// What the use-cases work with.
pub struct Service {
    pub configurations: ConfigurationTable,
    pub secrets: SecretVault,
    pub signing_keys: SigningKeys,
    pub verifier: VerifierClient,
    pub tests: TestAllowance,
    pub run_queue: RunQueueClient,
    pub identity: ServiceIdentity,
    /// What was received longer ago than this lies still, and can be exported.
    pub settle: Duration,
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub new_id: Box<dyn Fn() -> ConfigurationId + Send + Sync>,
}

impl Service {
    pub fn identity(&self) -> &ServiceIdentity {
        &self.identity
    }

    /// The keys that digests are or were signed with, the current one first.
    pub async fn signing_keys(&self) -> Result<Vec<&SigningPublicKey>, ApiError> {
        Ok(self.signing_keys.all().await?)
    }

    pub async fn list(&self, caller: &Caller) -> Result<Vec<ExportConfiguration>, ApiError> {
        let mut configurations = self.configurations.list(&caller.tenant).await?;
        configurations.sort_by_key(|configuration| (configuration.created_at, configuration.key.configuration_id));
        Ok(configurations)
    }

    pub async fn get(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        self.load(&key_of(caller, id)?).await
    }

    pub async fn create_with_role(
        &self,
        caller: &Caller,
        settings: &RawSettings<'_>,
        role_arn: &str,
    ) -> Result<ExportConfiguration, ApiError> {
        let (settings, role_arn) =
            parse_assumed_role(settings, role_arn, &self.identity).map_err(ApiError::InvalidInput)?;
        let content_hash = content_hash(&settings, "role", role_arn.as_str());
        self.create(caller, self.new_key(caller), settings, Authentication::AssumedRole { role_arn }, content_hash)
            .await
    }

    /// Creates, then tests the connection. Neither a test that fails nor one that can't be made undoes the creation.
    pub async fn create_with_access_key(
        &self,
        caller: &Caller,
        settings: &RawSettings<'_>,
        access_key_id: &str,
        secret: &str,
    ) -> Result<ExportConfiguration, ApiError> {
        let (settings, access_key_id, secret) =
            parse_access_key(settings, access_key_id, secret, &self.identity).map_err(ApiError::InvalidInput)?;
        let content_hash = content_hash(&settings, "accessKey", access_key_id.as_str());
        self.take_test(caller).await?;
        let key = self.new_key(caller);
        let secret = self.secrets.seal(&key, &secret).await?;
        let authentication = Authentication::AccessKey { access_key_id, secret };
        let created = self.create(caller, key, settings, authentication, content_hash).await?;
        // A repeated request finds the outcome of the first, unless that was cut off before the test.
        if created.connection != Connection::Pending {
            return Ok(created);
        }
        match self.verifier.verify(&created.key).await {
            Ok(_) => self.load(&created.key).await,
            Err(error) => {
                tracing::warn!(configuration_id = %created.key.configuration_id, %error,
                    "a new configuration could not be tested; it stays PENDING");
                Ok(created)
            }
        }
    }

    pub async fn test(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        // Before an invocation is paid for.
        self.load(&key).await?;
        self.take_test(caller).await?;
        self.verifier.verify(&key).await?;
        self.load(&key).await
    }

    pub async fn set_enabled(&self, caller: &Caller, id: &str, enabled: bool) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.load(&key).await?;
            if current.enabled == enabled {
                return Ok(current);
            }
            let now = (self.clock)();
            if let Some(changed) = self.configurations.set_enabled(&current, enabled, &caller.subject, now).await? {
                return Ok(changed);
            }
        }
        Err(ApiError::TryAgain)
    }

    pub async fn delete(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let configuration = self.load(&key).await?;
        if self.configurations.delete(&key).await? { Ok(configuration) } else { Err(ApiError::NotFound) }
    }

    pub async fn run(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let configuration = self.load(&key).await?;
        if !configuration.enabled {
            return Err(ApiError::ConfigurationDisabled);
        }
        let through = (self.clock)().saturating_sub(self.settle);
        self.run_queue.send(&[RunRequest { key, through, trigger: RunTrigger::Manual }]).await?;
        Ok(configuration)
    }

    /// Before everything that tests a connection, and before it changes anything.
    async fn take_test(&self, caller: &Caller) -> Result<(), ApiError> {
        match self.tests.take(&caller.tenant, (self.clock)()).await? {
            Permit::Granted => Ok(()),
            Permit::Exhausted { retry_after } => {
                Err(ApiError::TooManyTests { retry_after_seconds: retry_after.as_secs() })
            }
        }
    }

    async fn load(&self, key: &ConfigurationKey) -> Result<ExportConfiguration, ApiError> {
        self.configurations.load(key).await?.ok_or(ApiError::NotFound)
    }

    async fn create(
        &self,
        caller: &Caller,
        key: ConfigurationKey,
        settings: Settings,
        authentication: Authentication,
        content_hash: [u8; 32],
    ) -> Result<ExportConfiguration, ApiError> {
        let now = (self.clock)();
        let configuration = ExportConfiguration {
            key,
            version: 1,
            description: settings.description,
            interval: settings.interval,
            enabled: true,
            destination: settings.destination,
            authentication,
            user_arn: None,
            start_from: settings.start_from.resolve(now),
            connection: Connection::Pending,
            progress: ExportProgress::default(),
            created_by: caller.subject.clone(),
            created_at: now,
            updated_by: caller.subject.clone(),
            updated_at: now,
        };
        let request = settings.idempotency_key.as_ref().map(|key| IdempotentRequest { key, content_hash });
        match self.configurations.create(&configuration, request).await? {
            CreateAnswer::Created => Ok(configuration),
            CreateAnswer::Repeated(configuration_id) => {
                let key = ConfigurationKey { configuration_id, ..configuration.key };
                // One that was deleted can't be answered with, and isn't made anew: the request was done.
                self.configurations.load(&key).await?.ok_or(ApiError::IdempotencyKeyReused)
            }
            CreateAnswer::KeyReused => Err(ApiError::IdempotencyKeyReused),
            CreateAnswer::LimitExceeded => Err(ApiError::LimitExceeded { limit: MAX_CONFIGURATIONS_PER_TENANT }),
        }
    }

    fn new_key(&self, caller: &Caller) -> ConfigurationKey {
        ConfigurationKey { tenant_id: caller.tenant.clone(), configuration_id: (self.new_id)() }
    }
}

/// What is no id can't be there either.
fn key_of(caller: &Caller, id: &str) -> Result<ConfigurationKey, ApiError> {
    let configuration_id = ConfigurationId::parse(id).ok_or(ApiError::NotFound)?;
    Ok(ConfigurationKey { tenant_id: caller.tenant.clone(), configuration_id })
}

/// Tells whether two requests under one idempotency key ask for the same. The secret is left out, so that what is stored
/// can't be used to try secrets against: a repetition with another secret keeps the first.
fn content_hash(settings: &Settings, authentication: &str, identity: &str) -> [u8; 32] {
    let destination = &settings.destination;
    let start_from = match settings.start_from {
        StartFrom::Now => "now".to_owned(),
        StartFrom::Earliest => "earliest".to_owned(),
        StartFrom::At(time) => time.to_string(),
    };
    let content = json!([
        authentication,
        identity,
        settings.interval,
        settings.description,
        destination.bucket_name,
        destination.bucket_path,
        destination.region,
        destination.kms_key_arn,
        destination.expected_bucket_owner,
        start_from,
    ]);
    Sha256::digest(content.to_string()).into()
}
