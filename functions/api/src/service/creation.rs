//! Creating a configuration.

use authentication::Caller;
use domain::{
    allowance::Allowance,
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, ExportConfiguration, ExportProgress,
        change::Author,
        input::{RawAccessKey, RawSettings, Settings, StartFrom, parse_access_key, parse_assumed_role},
    },
    connection::Connection,
    export_format::ExportFormat,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::shared::Service;
use crate::{
    error::ApiError,
    ports::{CreateOutcome, IdempotentRequest, MAX_CONFIGURATIONS_PER_TENANT},
};

impl Service {
    /// Creates a configuration that assumes a role. Its connection is not tested, since the role may not exist yet.
    pub async fn create_with_role(
        &self,
        caller: &Caller,
        author: &Author,
        settings: &RawSettings<'_>,
        role_arn: &str,
    ) -> Result<ExportConfiguration, ApiError> {
        let (settings, role_arn) =
            parse_assumed_role(settings, role_arn, &self.identity, self.servers).map_err(ApiError::InvalidInput)?;
        let content_hash = content_hash(&settings, "role", role_arn.as_str());
        if !settings.webhooks.is_empty() {
            self.take_noticed(caller, author).await?;
            self.check_room(caller, &settings).await?;
        }
        self.create(author, self.new_key(caller), settings, Authentication::AssumedRole { role_arn }, content_hash)
            .await
    }

    /// Creates a configuration that uses an access key, then tests the connection. A test that fails, or that can't be
    /// made, doesn't undo the creation.
    pub async fn create_with_access_key(
        &self,
        caller: &Caller,
        author: &Author,
        settings: &RawSettings<'_>,
        access_key: &RawAccessKey<'_>,
    ) -> Result<ExportConfiguration, ApiError> {
        let (settings, access_key_id, secret) =
            parse_access_key(settings, access_key, &self.identity, self.servers).map_err(ApiError::InvalidInput)?;
        let content_hash = content_hash(&settings, "accessKey", access_key_id.as_str());
        self.take(caller, Allowance::ConnectionTests).await?;
        if !settings.webhooks.is_empty() {
            self.take_noticed(caller, author).await?;
        }
        self.check_room(caller, &settings).await?;
        let key = self.new_key(caller);
        let secret = self.ports.secrets.seal(&key, &secret).await?;
        let authentication = Authentication::AccessKey { access_key_id, secret };
        let created = self.create(author, key, settings, authentication, content_hash).await?;
        // A repeated request returns the outcome of the first test, unless the first request ended before it.
        if created.connection != Connection::Pending {
            return Ok(created);
        }
        self.test_at_once(created).await
    }

    async fn create(
        &self,
        author: &Author,
        key: ConfigurationKey,
        settings: Settings,
        authentication: Authentication,
        content_hash: [u8; 32],
    ) -> Result<ExportConfiguration, ApiError> {
        let webhooks = self.seal_webhooks(&key, settings.webhooks).await?;
        let stamp = self.stamp();
        let configuration = ExportConfiguration {
            key,
            replay_of: None,
            version: 1,
            description: settings.description,
            interval: settings.interval,
            format: settings.format,
            filter: settings.filter,
            ocsf: settings.ocsf,
            enabled: true,
            destination: settings.destination,
            authentication,
            user_arn: None,
            start_from: settings.start_from.resolve(stamp.at),
            connection: Connection::Pending,
            progress: ExportProgress::default(),
            requested_through: None,
            requested_until: None,
            webhooks,
            created_by: author.subject.clone(),
            created_at: stamp.at,
            updated_by: author.subject.clone(),
            updated_at: stamp.at,
        };
        let request = settings.idempotency_key.as_ref().map(|key| IdempotentRequest { key, content_hash });
        match self.ports.changes.create(&configuration, request, author, stamp).await? {
            CreateOutcome::Created => self.check_elapsed(stamp).map(|()| configuration),
            CreateOutcome::Repeated(configuration_id) => {
                let key = ConfigurationKey { configuration_id, ..configuration.key };
                // The first configuration was deleted: the request was done, so it is not repeated.
                self.ports.configurations.load(&key).await?.ok_or(ApiError::IdempotencyKeyReused)
            }
            CreateOutcome::KeyReused => Err(ApiError::IdempotencyKeyReused),
            CreateOutcome::LimitExceeded => Err(ApiError::LimitExceeded { limit: MAX_CONFIGURATIONS_PER_TENANT }),
        }
    }

    /// Refuses a creation beyond the limit before a secret is encrypted. It is checked again when the configuration is stored.
    ///
    /// With an idempotency key, the creation may repeat one that was done, so that is left to the store.
    async fn check_room(&self, caller: &Caller, settings: &Settings) -> Result<(), ApiError> {
        if settings.idempotency_key.is_some() {
            return Ok(());
        }
        let known = self.ports.configurations.list(&caller.tenant).await?.len();
        if known >= usize::from(MAX_CONFIGURATIONS_PER_TENANT) {
            return Err(ApiError::LimitExceeded { limit: MAX_CONFIGURATIONS_PER_TENANT });
        }
        Ok(())
    }

    fn new_key(&self, caller: &Caller) -> ConfigurationKey {
        ConfigurationKey {
            tenant_id: caller.tenant.clone(),
            configuration_id: ConfigurationId::from_random(self.random.bits()),
        }
    }
}

/// Hashes a creation, to recognize a repetition under the same idempotency key.
///
/// Secrets are left out, so that the stored hash can't be used to guess it. A repetition with another secret keeps the
/// first one.
fn content_hash(settings: &Settings, authentication: &str, identity: &str) -> [u8; 32] {
    let destination = &settings.destination;
    let start_from = match settings.start_from {
        StartFrom::Now => "now".to_owned(),
        StartFrom::Earliest => "earliest".to_owned(),
        StartFrom::At(time) => time.to_string(),
    };
    let mut content = json!([
        authentication,
        identity,
        settings.interval,
        settings.description,
        destination.bucket_name,
        destination.bucket_path,
        destination.site.region_name(),
        destination.kms_key_arn,
        destination.expected_bucket_owner,
        start_from,
    ]);
    // Without a format, a filter, an endpoint and webhooks it is the hash of an earlier version of the service, which remembers it for a day.
    if let Some(content) = content.as_array_mut() {
        content.extend(
            Some(settings.format)
                .filter(|format| *format != ExportFormat::default())
                .map(|format| json!({ "format": format })),
        );
        content.extend(settings.filter.as_ref().map(|filter| json!({ "filter": filter })));
        content.extend(settings.ocsf.as_ref().map(|ocsf| json!({ "ocsf": ocsf })));
        content.extend(destination.site.endpoint().map(|endpoint| json!({ "endpointUrl": endpoint })));
        content.extend(settings.webhooks.iter().map(|webhook| json!(webhook.url())));
    }
    Sha256::digest(content.to_string()).into()
}
