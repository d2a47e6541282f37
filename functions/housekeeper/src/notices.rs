//! The scheduled pass over the outbox: publishes notices to the bus and to webhooks.

use std::time::Duration;

use export_engine::publisher::{PublishOutcome, Publisher};
use host::Clock;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

use crate::housekeeper::Housekeeper;

/// The time of a pass. The next one starts a minute after its beginning.
const PUBLISH_BUDGET: Duration = Duration::from_secs(45);

/// The request for a pass, which has no parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishRequest {}

/// The outcome of a pass.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishReport {
    published: u64,
    failed: u64,
    oldest_notice_seconds: u64,
}

impl Housekeeper {
    /// Publishes the notices of the outbox. What fails stays there for the next pass; an alarm watches its age.
    ///
    /// # Errors
    /// A shard or an item could not be read or written, or the bus or the webhooks queue failed. The age is that of the notices that were read, so
    /// only the function's errors show this.
    pub(crate) async fn publish_notices(&self) -> Result<PublishReport, Error> {
        let publisher = Publisher {
            outbox: &self.configurations,
            bus: &*self.bus,
            webhooks: &*self.webhooks,
            clock: &self.clock,
            deadline: self.clock.now().saturating_add(PUBLISH_BUDGET),
        };
        let PublishOutcome { published, failed, oldest_age, has_errors } = publisher.run().await;
        let oldest_notice_seconds = oldest_age.as_secs();
        tracing::info!(published, failed, oldest_notice_seconds, "the outbox was read");
        if has_errors {
            return Err("a part of the outbox was not published; the next pass tries again".into());
        }
        Ok(PublishReport { published, failed, oldest_notice_seconds })
    }
}
