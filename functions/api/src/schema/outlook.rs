//! What lies ahead of an export: when it next runs, and what waits for it.

use std::sync::Arc;

use async_graphql::{Context, Error, Object, Result, SimpleObject};
use domain::configuration::ExportConfiguration;

use super::{
    context,
    types::{DateTime, Long},
};
use crate::jobs::DatedBacklog;

/// Worked out when it is asked for.
pub struct ExportOutlook(Arc<ExportConfiguration>);

impl ExportOutlook {
    pub fn of(configuration: Arc<ExportConfiguration>) -> Self {
        Self(configuration)
    }
}

#[expect(clippy::unused_async, reason = "a resolver is async, whether it waits or not")]
#[Object]
impl ExportOutlook {
    /// The external ID that the trust policy of the role has to require: the configuration's id.
    async fn external_id(&self) -> String {
        self.0.key.configuration_id.to_string()
    }

    /// When the next scheduled export starts that can hold something. Null: it is disabled.
    async fn next_export_at(&self, context: &Context<'_>) -> Result<Option<DateTime>> {
        let (service, _) = context::of(context)?;
        Ok(service.next_export_at(&self.0).map(DateTime))
    }

    /// Through when a run exports that was requested and has not ended. Null: no requested run is in the queue, and one that
    /// was has either brought `exportedThrough` to its time or failed.
    async fn requested_run_through(&self, context: &Context<'_>) -> Result<Option<DateTime>> {
        let (service, _) = context::of(context)?;
        Ok(service.requested_run_through(&self.0).map(DateTime))
    }

    /// What was received and is not in the bucket yet. The backlogs of all configurations are counted together, at most 6
    /// times a minute; a count that is at most 10 seconds old is answered again. Null with the error `TOO_MANY_COUNTS`:
    /// no more counts are possible within this minute, and none of them includes this configuration.
    async fn backlog(&self, context: &Context<'_>) -> Option<ExportBacklog> {
        let backlog = match context::of_request(context) {
            Ok((service, counts)) => service.backlog(&self.0, counts).await,
            Err(error) => Err(error),
        };
        match backlog {
            Ok(backlog) => Some(backlog.into()),
            // Null by itself, so that the rest of the configuration is answered.
            Err(error) => {
                let error = Error::new_with_source(error).into_server_error(context.item.pos);
                context.add_error(context.set_error_path(error));
                None
            }
        }
    }
}

/// Events that are not exported yet.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct ExportBacklog {
    /// How many, or, unless `isComplete`, at least how many.
    events: Long,
    /// When the oldest of them was received. Null: there are none, or, unless `isComplete`, it was not found within the
    /// bound.
    oldest: Option<DateTime>,
    /// Whether all of them were counted: counting ends after a bound of some hundred thousand.
    is_complete: bool,
    /// When they were counted.
    counted_at: DateTime,
}

impl From<DatedBacklog> for ExportBacklog {
    fn from(DatedBacklog { backlog, counted_at }: DatedBacklog) -> Self {
        Self {
            events: Long(backlog.events),
            oldest: backlog.oldest.map(DateTime),
            is_complete: backlog.is_complete,
            counted_at: DateTime(counted_at),
        }
    }
}
