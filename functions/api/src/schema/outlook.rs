//! The status and the next export of a configuration, and the events that it will export.

use std::sync::Arc;

use async_graphql::{Context, Error, Object, Result, SimpleObject};
use domain::configuration::ExportConfiguration;

use super::{
    context,
    scalars::{DateTime, Long},
    status::ExportStatus,
};
use crate::service::DatedBacklog;

/// The fields of a configuration that concern coming exports. They are computed when a query selects them.
pub struct ExportOutlook(Arc<ExportConfiguration>);

impl ExportOutlook {
    pub fn of(configuration: Arc<ExportConfiguration>) -> Self {
        Self(configuration)
    }
}

#[expect(clippy::unused_async, reason = "a resolver is async, whether it waits or not")]
#[Object]
impl ExportOutlook {
    /// The external ID that the role's trust policy has to require: the configuration's ID.
    async fn external_id(&self) -> String {
        self.0.key.configuration_id.to_string()
    }

    /// The start of the next scheduled export that can have events. Null: the configuration is disabled.
    async fn next_export_at(&self, context: &Context<'_>) -> Result<Option<DateTime>> {
        let (service, _) = context::of(context)?;
        Ok(service.next_export_at(&self.0).map(DateTime))
    }

    /// How the export is doing, and what to do about it.
    async fn status(&self, context: &Context<'_>) -> Result<ExportStatus> {
        let (service, _) = context::of(context)?;
        Ok(service.status(&self.0).into())
    }

    /// The end of the requested run that has not ended yet: it exports everything received before this time. Null: no
    /// requested run is in the queue. An earlier one has either raised `exportedThrough` to its end, or failed.
    async fn requested_run_through(&self, context: &Context<'_>) -> Result<Option<DateTime>> {
        let (service, _) = context::of(context)?;
        Ok(service.requested_run_through(&self.0).map(DateTime))
    }

    /// Events not yet exported. The backlogs of all configurations are counted together, at most 6 times per minute; a count
    /// is returned again for 10 seconds. Null with the error `TOO_MANY_COUNTS`: the limit is reached, and none of the counts
    /// includes this configuration.
    async fn backlog(&self, context: &Context<'_>) -> Option<ExportBacklog> {
        let backlog = match context::of_backlog(context) {
            Ok((service, counts)) => service.backlog(&self.0, counts).await,
            Err(error) => Err(error),
        };
        match backlog {
            Ok(backlog) => Some(backlog.into()),
            // Only this field becomes null, and not the configuration.
            Err(error) => {
                let error = Error::new_with_source(error).into_server_error(context.item.pos);
                context.add_error(context.set_error_path(error));
                None
            }
        }
    }
}

/// Events not yet exported.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct ExportBacklog {
    /// The number of events. Unless `isComplete`, there are more.
    events: Long,
    /// The time when the oldest of them was received. Null: there are none or, unless `isComplete`, counting ended before it
    /// was found.
    oldest: Option<DateTime>,
    /// True if all events were counted. Counting ends after some hundred thousand.
    is_complete: bool,
    /// The time of the count.
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
