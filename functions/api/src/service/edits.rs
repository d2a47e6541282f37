//! Enabling, disabling and deleting a configuration.

use authentication::Caller;
use domain::configuration::{
    ExportConfiguration,
    change::{Author, Change},
    update::Edit,
};

use super::shared::{MAX_CHANGE_ATTEMPTS, Service, key_of};
use crate::{error::ApiError, ports::EditOutcome};

impl Service {
    /// Enables or disables a configuration.
    pub async fn set_enabled(
        &self,
        caller: &Caller,
        author: &Author,
        id: &str,
        enabled: bool,
    ) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let mut is_counted = false;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.load(&key).await?;
            if current.enabled == enabled {
                return Ok(current);
            }
            let stamp = self.stamp();
            let changed = current.with_enabled(enabled, Edit { by: &author.subject, at: stamp.at });
            let change = Change::Update { before: &current, after: &changed };
            is_counted = is_counted || self.count_noticed(caller, change, author).await?;
            if self.ports.changes.update(&current, &changed, author, stamp).await? == EditOutcome::Done {
                self.check_elapsed(stamp)?;
                return Ok(changed);
            }
        }
        Err(ApiError::TryAgain)
    }

    /// Deletes a configuration, and returns it as it was.
    pub async fn delete(&self, caller: &Caller, author: &Author, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let mut is_counted = false;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.load(&key).await?;
            let stamp = self.stamp();
            is_counted = is_counted || self.count_noticed(caller, Change::Delete(&current), author).await?;
            if self.ports.changes.delete(&current, author, stamp).await? == EditOutcome::Done {
                self.check_elapsed(stamp)?;
                return Ok(current);
            }
        }
        Err(ApiError::TryAgain)
    }
}
