//! The service, and the steps that several use cases share.

use std::time::Duration;

use authentication::Caller;
use domain::{
    allowance::Allowance,
    block::INGEST_WRITE_BOUND,
    configuration::{
        ConfigurationId, ConfigurationKey, ExportConfiguration, ServiceIdentity,
        change::{Author, Change, Stamp},
    },
    customer_server::CustomerServers,
    customer_template::TemplateUrl,
    interval::ExportSchedule,
    notice::change::is_counted,
    time::Timestamp,
};
use host::{Clock, Random};

use crate::{
    error::ApiError,
    ports::{AllowanceOutcome, Ports},
};

/// The number of attempts of a change that conflicts with others.
pub(super) const MAX_CHANGE_ATTEMPTS: usize = 3;

/// The use cases of the API.
pub struct Service {
    pub ports: Ports,
    pub clock: Box<dyn Clock>,
    pub random: Box<dyn Random>,
    pub identity: ServiceIdentity,
    /// The servers that webhooks may name.
    pub servers: CustomerServers,
    pub customer_template: Option<TemplateUrl>,
    pub schedule: ExportSchedule,
    /// The time after its receipt in which an event can be exported.
    pub retention: Duration,
    /// The time for which the history of exports is kept.
    pub history: Duration,
}

impl Service {
    /// Loads a configuration of the caller's tenant.
    pub(super) async fn load(&self, key: &ConfigurationKey) -> Result<ExportConfiguration, ApiError> {
        self.ports.configurations.load(key).await?.ok_or(ApiError::NotFound)
    }

    /// Counts one more use of an allowance of the caller's tenant.
    pub(super) async fn take(&self, caller: &Caller, allowance: Allowance) -> Result<(), ApiError> {
        match self.ports.allowances.take(&caller.tenant, allowance, self.clock.now()).await? {
            AllowanceOutcome::Granted => Ok(()),
            AllowanceOutcome::Exhausted { retry_after } => {
                Err(ApiError::AllowanceExhausted { allowance, retry_after_seconds: retry_after.as_secs() })
            }
        }
    }

    /// Counts a change, if it makes notices, before it is stored. Returns whether it was counted: a change that meets another one
    /// and is made again counts once.
    pub(super) async fn count_noticed(
        &self,
        caller: &Caller,
        change: Change<'_>,
        author: &Author,
    ) -> Result<bool, ApiError> {
        let is_counted = is_counted(change, author);
        if is_counted {
            self.take_noticed(caller, author).await?;
        }
        Ok(is_counted)
    }

    /// Counts a change that makes notices, or a new export with webhooks. One author can't use up what the tenant has.
    pub(super) async fn take_noticed(&self, caller: &Caller, author: &Author) -> Result<(), ApiError> {
        self.take(caller, Allowance::NoticedChangesOf(author.into())).await?;
        self.take(caller, Allowance::NoticedChanges).await
    }

    /// Makes the stamp of a change that is about to be stored.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { at: self.clock.now(), event: self.random.bits(), block: self.random.bits() }
    }

    /// Checks, after a change was stored, that this was within the time in which an event may be stored after its stamp,
    /// as ingest does. Later, an export may have passed the event.
    pub(super) fn check_elapsed(&self, stamp: Stamp) -> Result<(), ApiError> {
        let elapsed = self.clock.now().saturating_since(stamp.at);
        if elapsed < INGEST_WRITE_BOUND {
            return Ok(());
        }
        tracing::warn!(elapsed_seconds = elapsed.as_secs(), "a change was stored late");
        Err(ApiError::TryAgain)
    }

    /// Returns the receipt time before which events are past their retention.
    pub(super) fn retention_floor(&self) -> Timestamp {
        self.clock.now().saturating_sub(self.retention)
    }
}

/// Returns the key of the caller's configuration. A malformed ID is reported as `NOT_FOUND`.
pub(super) fn key_of(caller: &Caller, id: &str) -> Result<ConfigurationKey, ApiError> {
    let configuration_id = ConfigurationId::parse(id).ok_or(ApiError::NotFound)?;
    Ok(ConfigurationKey { tenant_id: caller.tenant.clone(), configuration_id })
}
