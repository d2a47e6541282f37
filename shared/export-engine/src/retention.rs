//! Keeping the history of the retentions that were in force.

use std::time::Duration;

use domain::retention::RetentionHistory;
use host::Clock;

use crate::{
    ports::{PortError, RunStore},
    shared_record::MAX_CHANGE_ATTEMPTS,
};

/// Adds the retention that is in force now to the history, and returns the history. Every run and every dispatch calls it, so
/// that a change is noticed even while no configuration is enabled.
///
/// # Errors
/// Those of the store; transient if other processes changed the history at every attempt.
pub async fn observe_retention(
    runs: &impl RunStore,
    retention: Duration,
    clock: &impl Clock,
) -> Result<RetentionHistory, PortError> {
    for _ in 0..MAX_CHANGE_ATTEMPTS {
        let current = runs.retention_history().await?;
        let Some(observed) = current.observed(retention, clock.now()) else { return Ok(current) };
        if runs.replace_retention_history(&current, &observed).await? {
            return Ok(observed);
        }
    }
    Err(PortError::transient("observe retention", format!("{MAX_CHANGE_ATTEMPTS} others changed it at the same time")))
}
