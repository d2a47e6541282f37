//! Requesting repairs.

use authentication::Caller;
use domain::{
    allowance::Allowance,
    configuration::{ConfigurationKey, change::Author},
    repair::{Repair, RepairId, RepairMode, RepairRange, RepairRequest},
    time::Timestamp,
};

use super::shared::{Service, key_of};
use crate::{error::ApiError, ports::RepairRequestOutcome};

impl Service {
    /// Requests a repair of the files whose windows overlap the times from `from` to before `to`. It uses the allowance of
    /// manual runs, also if the configuration is disabled.
    pub async fn repair(
        &self,
        caller: &Caller,
        author: &Author,
        id: &str,
        (from, to): (Timestamp, Timestamp),
        mode: RepairMode,
    ) -> Result<Repair, ApiError> {
        let key = key_of(caller, id)?;
        let configuration = self.load(&key).await?;
        let range =
            RepairRange::parse(from, to, self.clock.now()).map_err(|error| ApiError::InvalidInput(vec![error]))?;
        self.take(caller, Allowance::ManualRuns).await?;
        if let Some(last) = self.ports.repairs.last(&key).await?
            && !last.is_replaceable(self.clock.now())
        {
            return Err(ApiError::RepairInProgress);
        }
        self.take(caller, Allowance::ConfigurationRuns(key.configuration_id)).await?;
        let stamp = self.stamp();
        let repair_id = RepairId::from_random(self.random.bits());
        let repair = Repair::requested(repair_id, range, mode, &author.subject, stamp.at);
        let expires_at = stamp.at.saturating_add(self.history);
        match self.ports.repairs.request(&configuration, &repair, expires_at, author, stamp).await? {
            RepairRequestOutcome::InProgress => return Err(ApiError::RepairInProgress),
            RepairRequestOutcome::NotFound => return Err(ApiError::NotFound),
            RepairRequestOutcome::Requested => {}
        }
        let sent = match self.check_elapsed(stamp) {
            Ok(()) => {
                let request = RepairRequest { key: key.clone(), repair_id };
                self.ports.manual_runs.send_repair(request).await.map_err(ApiError::from)
            }
            Err(late) => Err(late),
        };
        if let Err(error) = sent {
            self.withdraw_repair(&key, &repair).await;
            return Err(error);
        }
        Ok(repair)
    }

    /// Returns the last repair of a configuration. `NOT_FOUND`: none was requested, or it has expired.
    pub async fn last_repair(&self, caller: &Caller, id: &str) -> Result<Repair, ApiError> {
        let key = key_of(caller, id)?;
        self.load(&key).await?;
        let last = self.ports.repairs.last(&key).await?.ok_or(ApiError::NotFound)?;
        Ok(last.seen_at(self.clock.now()))
    }

    /// Withdraws a repair that has no message. If that fails, another one may replace it later.
    async fn withdraw_repair(&self, key: &ConfigurationKey, repair: &Repair) {
        if let Err(error) = self.ports.repairs.withdraw(key, repair).await {
            tracing::warn!(configuration = %key.configuration_id, %error, "a repair could not be withdrawn");
        }
    }
}
