//! The use-cases. Each is keyed by the caller's tenant: what belongs to another one isn't there.

use std::time::Duration;

use aws_adapters::{
    allowance::{AllowanceOutcome, Allowances},
    configurations::{
        ConfigurationEditor, ConfigurationTable, CreateAnswer, EditAnswer, IdempotentRequest,
        MAX_CONFIGURATIONS_PER_TENANT, RunRequestOutcome,
    },
    events::backlog::EventCounter,
    export_history::ExportHistory,
    run_queue::RunQueueClient,
    secrets::SecretVault,
    signing_keys::{SigningKeys, SigningPublicKey},
    verifier_client::VerifierClient,
};
use domain::{
    allowance::{Allowance, RUN_REQUEST_LIFETIME},
    block::INGEST_WRITE_BOUND,
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress,
        ServiceIdentity,
        arn::UserArn,
        change::{Author, Stamp},
        input::{RawSettings, Settings, StartFrom, parse_access_key, parse_assumed_role},
        update::{Edit, NewIdentity, RawIdentity, RawUpdate, TestedAccessKey, Update, parse_update},
    },
    connection::{Connection, ConnectionError, ConnectionStatus},
    customer_template::TemplateUrl,
    export_run::{RunRequest, RunTrigger},
    interval::ExportSchedule,
    time::Timestamp,
    verification::{Candidate, CandidateIdentity, VerifierResponse},
};
use export_engine::ports::{ConfigurationStore, RunQueue};
use function_runtime::{lazy::Lazy, token::Caller};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{jobs::place_of, schema::errors::ApiError};

/// How often a change is tried that meets another one.
const MAX_CHANGE_ATTEMPTS: usize = 3;

/// What the use-cases work with.
pub struct Service {
    pub configurations: ConfigurationTable,
    pub editor: ConfigurationEditor,
    pub secrets: Lazy<SecretVault>,
    pub signing_keys: Lazy<SigningKeys>,
    pub verifier: Lazy<VerifierClient>,
    pub allowances: Allowances,
    /// The queue of manual runs.
    pub manual_runs: Lazy<RunQueueClient>,
    pub history: ExportHistory,
    pub event_counter: EventCounter,
    pub identity: ServiceIdentity,
    pub customer_template: Option<TemplateUrl>,
    pub schedule: ExportSchedule,
    /// How long after its receipt an event can be exported.
    pub retention: Duration,
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub new_id: Box<dyn Fn() -> ConfigurationId + Send + Sync>,
    /// 128 bits that nobody else draws.
    pub random: Box<dyn Fn() -> u128 + Send + Sync>,
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
        configurations.sort_by_key(place_of);
        Ok(configurations)
    }

    pub async fn get(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        self.load(&key_of(caller, id)?).await
    }

    pub async fn create_with_role(
        &self,
        caller: &Caller,
        author: &Author,
        settings: &RawSettings<'_>,
        role_arn: &str,
    ) -> Result<ExportConfiguration, ApiError> {
        let (settings, role_arn) =
            parse_assumed_role(settings, role_arn, &self.identity).map_err(ApiError::InvalidInput)?;
        let content_hash = content_hash(&settings, "role", role_arn.as_str());
        self.create(author, self.new_key(caller), settings, Authentication::AssumedRole { role_arn }, content_hash)
            .await
    }

    /// Creates, then tests the connection. Neither a test that fails nor one that can't be made undoes the creation.
    pub async fn create_with_access_key(
        &self,
        caller: &Caller,
        author: &Author,
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
        let created = self.create(author, key, settings, authentication, content_hash).await?;
        // A repeated request finds the outcome of the first, unless that was cut off before the test.
        if created.connection != Connection::Pending {
            return Ok(created);
        }
        self.test_at_once(created).await
    }

    /// Tests the connection. One that works now and did not before starts the export that is due.
    pub async fn test(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        // Before an invocation is paid for.
        let before = self.load(&key).await?;
        self.take_test(caller).await?;
        self.verifier.verify(&key).await?;
        let tested = self.load(&key).await?;
        self.start_if_repaired(&before, &tested).await;
        Ok(tested)
    }

    /// Changes what was given. Another destination or role is tested before it replaces a connection that works, and a new
    /// access key in any case: unless the test succeeds, nothing is changed. Where the stored connection does not work, or
    /// the change is forced, a destination or role is stored first and tested at once, so that a connection can be repaired
    /// in steps; a failing or impossible test then undoes nothing.
    ///
    /// With a `version` that isn't the current one (any more) nothing is changed.
    pub async fn update(
        &self,
        caller: &Caller,
        author: &Author,
        id: &str,
        UpdateTerms { version, force }: UpdateTerms,
        (raw, identity): (&RawUpdate<'_>, &RawIdentity<'_>),
    ) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let mut is_permitted = false;
        let mut passed: Option<PassedTest> = None;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.load(&key).await?;
            if version.is_some_and(|version| version != current.version) {
                return Err(ApiError::Conflict { current_version: current.version });
            }
            let update = parse_update(&current, raw, identity, &self.identity).map_err(ApiError::InvalidInput)?;
            if update.brings_a_test() && !is_permitted {
                self.take_test(caller).await?;
                is_permitted = true;
            }
            let is_tested_first = match &update {
                Update::Nothing => return Ok(current),
                Update::Plain(_) => false,
                // What was tested once is not stored without a test.
                Update::Connection { .. } => {
                    passed.is_some() || (!force && current.connection.status() == ConnectionStatus::Success)
                }
                Update::AccessKey { .. } => true,
            };
            if is_tested_first {
                passed = match passed {
                    None => self.try_out(&current, &update).await?,
                    Some(passed) if passed.is_of(&current, &update) => Some(passed),
                    // What was tested isn't what it would become, and a second test doesn't fit into a request.
                    Some(_) => return Err(ApiError::TryAgain),
                };
                if passed.is_none() {
                    continue;
                }
            }
            let is_untested = update.brings_a_test() && !is_tested_first;
            let stamp = self.stamp();
            let edit = Edit { by: &author.subject, at: stamp.at };
            let Some(changed) = apply(&current, update, passed.as_ref().filter(|_| is_tested_first), edit) else {
                return Ok(current);
            };
            if self.editor.update(&current, &changed, author, stamp).await? == EditAnswer::Done {
                self.check_elapsed(stamp)?;
                if is_untested {
                    return self.test_at_once(changed).await;
                }
                self.start_if_repaired(&current, &changed).await;
                return Ok(changed);
            }
        }
        Err(ApiError::TryAgain)
    }

    pub async fn set_enabled(
        &self,
        caller: &Caller,
        author: &Author,
        id: &str,
        enabled: bool,
    ) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.load(&key).await?;
            if current.enabled == enabled {
                return Ok(current);
            }
            let stamp = self.stamp();
            let changed = current.with_enabled(enabled, Edit { by: &author.subject, at: stamp.at });
            if self.editor.update(&current, &changed, author, stamp).await? == EditAnswer::Done {
                self.check_elapsed(stamp)?;
                return Ok(changed);
            }
        }
        Err(ApiError::TryAgain)
    }

    /// Answers with what it was.
    pub async fn delete(&self, caller: &Caller, author: &Author, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.load(&key).await?;
            let stamp = self.stamp();
            if self.editor.delete(&current, author, stamp).await? == EditAnswer::Done {
                self.check_elapsed(stamp)?;
                return Ok(current);
            }
        }
        Err(ApiError::TryAgain)
    }

    /// Requests a run through what has settled.
    ///
    /// Every request counts for the tenant, so that the allowance bounds what a script can write. The configuration's own
    /// allowance is for runs: a request that a run in the queue fulfills as well leaves it alone.
    pub async fn run(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let configuration = self.load(&key).await?;
        if !configuration.enabled {
            return Err(ApiError::ConfigurationDisabled);
        }
        let now = (self.clock)();
        let of_configuration = Allowance::ConfigurationRuns(key.configuration_id);
        self.take(caller, Allowance::ManualRuns).await?;
        let is_pending = configuration.has_pending_run(now);
        if !is_pending {
            self.take(caller, of_configuration).await?;
        }
        let through = now.saturating_sub(self.schedule.settle);
        // Of several requests the latest counts, for all of them.
        let asked = configuration.pending_run_through(now).map_or(through, |pending| pending.max(through));
        let requested = ExportConfiguration {
            requested_through: Some(asked),
            requested_until: Some(now.saturating_add(RUN_REQUEST_LIFETIME)),
            ..configuration
        };
        match self.configurations.request_run(&key, through, now, (self.random)()).await? {
            RunRequestOutcome::Pending => Ok(requested),
            RunRequestOutcome::NotFound => Err(ApiError::NotFound),
            RunRequestOutcome::Queue => {
                // The run that was in the queue has ended since.
                if is_pending && let Err(refusal) = self.take(caller, of_configuration).await {
                    self.withdraw_request(&key).await;
                    return Err(refusal);
                }
                self.queue_run(key, through).await?;
                Ok(ExportConfiguration { requested_through: Some(through), ..requested })
            }
        }
    }

    /// Starts the export that is due, if the connection works now and did not before.
    ///
    /// It needs no allowance for manual runs, since that of connection tests bounds it, and it exports through a boundary
    /// of the schedule, so that it makes no window that the schedule would not make. What was tested or changed stays done
    /// if nothing can be queued: the next slot exports then.
    async fn start_if_repaired(&self, before: &ExportConfiguration, after: &ExportConfiguration) {
        let [was, is] = [before, after].map(|configuration| configuration.connection.status());
        let is_repaired = was != ConnectionStatus::Success && is == ConnectionStatus::Success;
        let now = (self.clock)();
        let due = self.schedule.due(after.interval, after.done_through(), now);
        let Some(through) = due.filter(|_| is_repaired && after.enabled) else { return };
        if let Err(error) = self.start(&after.key, through, now).await {
            tracing::warn!(configuration_id = %after.key.configuration_id, %through, %error,
                "the export that is due could not be started; the next slot exports it");
        }
    }

    async fn start(&self, key: &ConfigurationKey, through: Timestamp, now: Timestamp) -> Result<(), ApiError> {
        match self.configurations.request_run(key, through, now, (self.random)()).await? {
            RunRequestOutcome::Queue => self.queue_run(key.clone(), through).await,
            RunRequestOutcome::Pending | RunRequestOutcome::NotFound => Ok(()),
        }
    }

    /// Sends the message of a request that was noted. One that can't be sent is not left pending.
    async fn queue_run(&self, key: ConfigurationKey, through: Timestamp) -> Result<(), ApiError> {
        let request = RunRequest::new(key.clone(), through, RunTrigger::Manual);
        if let Err(error) = self.manual_runs.send(&[request]).await {
            self.withdraw_request(&key).await;
            return Err(error.into());
        }
        Ok(())
    }

    /// Clears a request that has no message. If that fails, it ends by itself, after `RUN_REQUEST_LIFETIME`.
    async fn withdraw_request(&self, key: &ConfigurationKey) {
        if let Err(error) = self.configurations.end_run_request(key, Timestamp::MAX).await {
            tracing::warn!(configuration_id = %key.configuration_id, %error, "a requested run could not be withdrawn");
        }
    }

    /// Before everything that tests a connection, and before it changes anything.
    async fn take_test(&self, caller: &Caller) -> Result<(), ApiError> {
        self.take(caller, Allowance::ConnectionTests).await
    }

    /// Counts one more of what the tenant may do so many times.
    async fn take(&self, caller: &Caller, allowance: Allowance) -> Result<(), ApiError> {
        match self.allowances.take(&caller.tenant, allowance, (self.clock)()).await? {
            AllowanceOutcome::Granted => Ok(()),
            AllowanceOutcome::Exhausted { retry_after } => {
                Err(ApiError::AllowanceExhausted { allowance, retry_after_seconds: retry_after.as_secs() })
            }
        }
    }

    /// Tests what was just stored. Where that can't be done, it stays untested.
    async fn test_at_once(&self, stored: ExportConfiguration) -> Result<ExportConfiguration, ApiError> {
        match self.verifier.verify(&stored.key).await {
            Ok(_) => {
                let tested = self.load(&stored.key).await?;
                self.start_if_repaired(&stored, &tested).await;
                Ok(tested)
            }
            Err(error) => {
                tracing::warn!(configuration_id = %stored.key.configuration_id, %error,
                    "a configuration could not be tested; it stays PENDING");
                Ok(stored)
            }
        }
    }

    /// Tests what `update` would make of the connection, before anything of it is stored. `None`: the configuration isn't
    /// `current` any more.
    async fn try_out(&self, current: &ExportConfiguration, update: &Update) -> Result<Option<PassedTest>, ApiError> {
        let (destination, identity, refusal): (_, _, fn(ConnectionError) -> ApiError) = match update {
            Update::Nothing | Update::Plain(_) => return Ok(None),
            Update::Connection { destination, role_arn, .. } => {
                let identity = role_arn.clone().map_or(CandidateIdentity::Kept, CandidateIdentity::Role);
                (destination, identity, ApiError::NewConnectionRefused)
            }
            Update::AccessKey { destination, access_key_id, secret, .. } => {
                let sealed_secret = self.secrets.seal(&current.key, secret).await?;
                let identity = CandidateIdentity::AccessKey { access_key_id: access_key_id.clone(), sealed_secret };
                (destination, identity, ApiError::NewAccessKeyRefused)
            }
        };
        let candidate = Candidate {
            key: current.key.clone(),
            version: current.version,
            destination: destination.clone(),
            identity,
        };
        let Some(would_be) = candidate.clone().applied_to(current.clone()) else { return Ok(None) };
        match self.verifier.try_out(candidate).await? {
            Some(VerifierResponse::Success { checked_at, user_arn }) => Ok(Some(PassedTest {
                destination: would_be.destination,
                authentication: would_be.authentication,
                at: checked_at,
                user_arn,
            })),
            Some(VerifierResponse::Failed { error, .. }) => Err(refusal(error)),
            None => Ok(None),
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { at: (self.clock)(), event: (self.random)(), block: (self.random)() }
    }

    /// After a change was stored with its event: success is told only if the event can't have come behind what was
    /// exported meanwhile, as ingest does.
    fn check_elapsed(&self, stamp: Stamp) -> Result<(), ApiError> {
        let elapsed = (self.clock)().saturating_since(stamp.at);
        if elapsed < INGEST_WRITE_BOUND {
            return Ok(());
        }
        tracing::warn!(elapsed_seconds = elapsed.as_secs(), "a change was stored late");
        Err(ApiError::TryAgain)
    }

    async fn load(&self, key: &ConfigurationKey) -> Result<ExportConfiguration, ApiError> {
        self.configurations.load(key).await?.ok_or(ApiError::NotFound)
    }

    async fn create(
        &self,
        author: &Author,
        key: ConfigurationKey,
        settings: Settings,
        authentication: Authentication,
        content_hash: [u8; 32],
    ) -> Result<ExportConfiguration, ApiError> {
        let stamp = self.stamp();
        let configuration = ExportConfiguration {
            key,
            version: 1,
            description: settings.description,
            interval: settings.interval,
            enabled: true,
            destination: settings.destination,
            authentication,
            user_arn: None,
            start_from: settings.start_from.resolve(stamp.at),
            connection: Connection::Pending,
            progress: ExportProgress::default(),
            requested_through: None,
            requested_until: None,
            created_by: author.subject.clone(),
            created_at: stamp.at,
            updated_by: author.subject.clone(),
            updated_at: stamp.at,
        };
        let request = settings.idempotency_key.as_ref().map(|key| IdempotentRequest { key, content_hash });
        match self.editor.create(&configuration, request, author, stamp).await? {
            CreateAnswer::Created => self.check_elapsed(stamp).map(|()| configuration),
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

/// On which terms an update is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpdateTerms {
    /// The version that it was made for; `None`: any.
    pub version: Option<u64>,
    /// Whether another destination or role replaces a connection that works without being tested first.
    pub force: bool,
}

/// A connection test that succeeded before what it tested was stored.
struct PassedTest {
    destination: Destination,
    authentication: Authentication,
    at: Timestamp,
    /// The owner of the access key, if there is one.
    user_arn: Option<UserArn>,
}

impl PassedTest {
    /// Returns whether it tested what `update` would make of `current`. The secret is the same throughout a request.
    fn is_of(&self, current: &ExportConfiguration, update: &Update) -> bool {
        match update {
            Update::Nothing | Update::Plain(_) => false,
            Update::Connection { destination, role_arn, .. } => {
                let is_same = match role_arn {
                    None => self.authentication == current.authentication,
                    Some(arn) => {
                        matches!(&self.authentication, Authentication::AssumedRole { role_arn } if role_arn == arn)
                    }
                };
                is_same && self.destination == *destination
            }
            Update::AccessKey { destination, access_key_id: id, .. } => {
                let is_same = matches!(&self.authentication,
                    Authentication::AccessKey { access_key_id, .. } if access_key_id == id);
                is_same && self.destination == *destination
            }
        }
    }
}

/// The configuration after the update. `None`: nothing changes.
fn apply(
    current: &ExportConfiguration,
    update: Update,
    passed: Option<&PassedTest>,
    edit: Edit<'_>,
) -> Option<ExportConfiguration> {
    let changed = match update {
        Update::Nothing => return None,
        Update::Plain(settings) => return Some(current.with_settings(settings, edit)),
        Update::Connection { settings, destination, role_arn } => {
            let identity = role_arn.map_or(NewIdentity::Kept, NewIdentity::Role);
            current.with_connection(settings, destination, identity, edit)
        }
        Update::AccessKey { settings, destination, .. } => {
            // Without a test, a new key replaces nothing.
            let PassedTest { authentication, at, user_arn, .. } = passed?;
            let Authentication::AccessKey { access_key_id, secret } = authentication.clone() else { return None };
            let key = TestedAccessKey { access_key_id, secret, tested_at: *at, user_arn: user_arn.clone() };
            current.with_connection(settings, destination, NewIdentity::AccessKey(key), edit)
        }
    };
    Some(match passed {
        Some(passed) => changed.having_passed(passed.at, passed.user_arn.clone()),
        None => changed,
    })
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
