//! Keeping the history of the retentions that were in force.

use std::time::Duration;

use domain::retention::RetentionHistory;
use host::Clock;

use crate::{
    MAX_SHARED_CHANGES,
    ports::{PortError, RunStore},
};

/// Returns the history of retentions with the one that is in force now. Every run and every dispatch observes it, so that a
/// change is seen although no configuration is enabled.
///
/// # Errors
/// Those of the store; transient if other processes changed the history each time.
pub async fn observe_retention(
    runs: &impl RunStore,
    retention: Duration,
    clock: &impl Clock,
) -> Result<RetentionHistory, PortError> {
    for _ in 0..MAX_SHARED_CHANGES {
        let current = runs.retention_history().await?;
        let Some(observed) = current.observed(retention, clock.now()) else { return Ok(current) };
        if runs.replace_retention_history(&current, &observed).await? {
            return Ok(observed);
        }
    }
    Err(PortError::transient("observe retention", format!("{MAX_SHARED_CHANGES} others changed it at the same time")))
}
