//! Counting the events that are not exported yet.

use std::{iter, time::Duration};

use domain::{
    allowance::Allowance,
    block::BlockId,
    configuration::{ConfigurationId, ExportConfiguration},
    export_run::ExportState,
    time::Timestamp,
};
use tokio::sync::Mutex;

use super::shared::Service;
use crate::{
    error::ApiError,
    ports::{AllowanceOutcome, Backlog, CountedBacklog, MAX_SNAPSHOTS},
};

/// The time for which a count of a tenant's backlog is returned again.
pub const BACKLOG_FRESHNESS: Duration = Duration::from_secs(10);

/// A backlog with the time when it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatedBacklog {
    pub backlog: Backlog,
    pub counted_at: Timestamp,
}

/// The tenant's backlogs within one request, so that it counts them at most once.
#[derive(Debug, Default)]
pub struct BacklogCounts(Mutex<Counts>);

#[derive(Debug, Default)]
enum Counts {
    #[default]
    NotRead,
    /// A recent count of another request.
    Cached(CountedBacklog),
    /// The result of the request's only attempt.
    Attempted(Result<CountedBacklog, ApiError>),
}

impl Service {
    /// Returns the number of events that are received and not exported yet, also of a configuration that was just deleted.
    ///
    /// The backlogs of a tenant's configurations are counted together, in one pass. All requests get the same count for
    /// [`BACKLOG_FRESHNESS`], and for longer while the tenant's allowance is used up.
    pub async fn backlog(
        &self,
        configuration: &ExportConfiguration,
        counts: &BacklogCounts,
    ) -> Result<DatedBacklog, ApiError> {
        let (tenant, id) = (&configuration.key.tenant_id, configuration.key.configuration_id);
        let now = self.clock.now();
        let mut counts = counts.0.lock().await;
        if matches!(*counts, Counts::NotRead) {
            *counts = match self.ports.backlogs.load(tenant, now).await {
                Ok(Some(cached)) if now.saturating_since(cached.counted_at) < BACKLOG_FRESHNESS => {
                    Counts::Cached(cached)
                }
                Ok(cached) => Counts::Attempted(self.count_backlog(configuration, cached).await),
                Err(error) => Counts::Attempted(Err(error.into())),
            };
        }
        if let Counts::Cached(cached) = &*counts {
            if let Some(found) = find(cached, id) {
                return Ok(found);
            }
            // The configuration was created after that count.
            let cached = Some(cached.clone());
            *counts = Counts::Attempted(self.count_backlog(configuration, cached).await);
        }
        match &*counts {
            Counts::Attempted(Ok(counted)) => find(counted, id).ok_or_else(|| too_many_counts(now)),
            Counts::Attempted(Err(error)) => Err(error.clone()),
            Counts::NotRead | Counts::Cached(_) => Err(ApiError::Internal),
        }
    }

    /// Counts the backlogs of all of the tenant's configurations and of `asked`. If the allowance is used up, it returns
    /// the cached count, however old.
    async fn count_backlog(
        &self,
        asked: &ExportConfiguration,
        cached: Option<CountedBacklog>,
    ) -> Result<CountedBacklog, ApiError> {
        let tenant = &asked.key.tenant_id;
        let counted_at = self.clock.now();
        match self.ports.allowances.take(tenant, Allowance::BacklogCounts, counted_at).await? {
            AllowanceOutcome::Granted => {}
            AllowanceOutcome::Exhausted { .. } => return cached.ok_or_else(|| too_many_counts(counted_at)),
        }
        let others = self.ports.configurations.list(tenant).await?;
        let others = others.iter().filter(|other| other.key != asked.key);
        // No tenant has more configurations, but `asked` may be one that was just deleted.
        let configurations: Vec<&ExportConfiguration> = iter::once(asked).chain(others).take(MAX_SNAPSHOTS).collect();
        let keys: Vec<_> = configurations.iter().map(|configuration| &configuration.key).collect();
        let snapshots = self.ports.history.snapshots(&keys).await?;
        let retention_floor = self.retention_floor();
        let first_unexported = |configuration: &&ExportConfiguration| match snapshots.get(&configuration.key) {
            Some(snapshot) => snapshot.state.first_unexported(retention_floor),
            None => ExportState::initial(configuration).first_unexported(retention_floor),
        };
        let firsts: Vec<BlockId> = configurations.iter().map(first_unexported).collect();
        let backlogs = self.ports.events.count_from(tenant, &firsts, counted_at).await?;
        let ids = configurations.iter().map(|configuration| configuration.key.configuration_id);
        let counted = CountedBacklog { counted_at, by_configuration: ids.zip(backlogs).collect() };
        if let Err(error) = self.ports.backlogs.store(tenant, &counted).await {
            tracing::warn!(%error, "a count of a backlog could not be stored; the next request counts again");
        }
        Ok(counted)
    }
}

fn find(counted: &CountedBacklog, id: ConfigurationId) -> Option<DatedBacklog> {
    let backlog = *counted.by_configuration.get(&id)?;
    Some(DatedBacklog { backlog, counted_at: counted.counted_at })
}

fn too_many_counts(now: Timestamp) -> ApiError {
    let allowance = Allowance::BacklogCounts;
    ApiError::AllowanceExhausted { allowance, retry_after_seconds: allowance.retry_after(now).as_secs() }
}
