//! Replays: requesting, continuing, cancelling and reading them.

use std::time::Duration;

use authentication::Caller;
use domain::{
    allowance::Allowance,
    configuration::{ExportConfiguration, change::Author},
    replay::{RawReplay, Replay, ReplayId, ReplayKey, ReplayRequest, ReplayStep, ReplayTerms},
};

use super::shared::{MAX_CHANGE_ATTEMPTS, Service, key_of};
use crate::{
    error::ApiError,
    ports::{EditOutcome, ReplaySeries},
};

impl Service {
    /// Requests a replay. The same request again, while the replay has not ended, replaces its message, which may be lost; after
    /// it failed or was cancelled, it continues under the same ID.
    pub async fn replay(
        &self,
        caller: &Caller,
        author: &Author,
        id: &str,
        raw: &RawReplay<'_>,
    ) -> Result<Replay, ApiError> {
        let key = key_of(caller, id)?;
        let mut is_permitted = false;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let configuration = self.load(&key).await?;
            let series = self.ports.replays.list(&key).await?;
            let terms = ReplayTerms {
                configuration: &configuration,
                slot_length: self.schedule.slot_length(configuration.interval),
                retention_floor: self.retention_floor(),
                now: self.clock.now(),
            };
            let step = terms.parse(raw, &series.replays)?;
            if !is_permitted {
                self.take(caller, Allowance::ManualRuns).await?;
                self.take(caller, Allowance::ConfigurationRuns(key.configuration_id)).await?;
                is_permitted = true;
            }
            let (replay, outcome) = match step {
                ReplayStep::Repeat(repeated) => {
                    let outcome = self.ports.replays.repeat(&repeated).await?;
                    (repeated, outcome)
                }
                ReplayStep::Continue(continued) => {
                    let outcome = self.store_replay(&configuration, &series, &continued, author).await?;
                    (continued, outcome)
                }
                ReplayStep::Create(request) => {
                    let created = self.new_replay(author, &configuration, request);
                    let outcome = self.store_replay(&configuration, &series, &created, author).await?;
                    (created, outcome)
                }
            };
            if outcome == EditOutcome::Done {
                // If this fails, the same request sends another one.
                self.ports.replays.send(replay.message()).await?;
                return Ok(replay);
            }
        }
        Err(ApiError::TryAgain)
    }

    async fn store_replay(
        &self,
        of: &ExportConfiguration,
        series: &ReplaySeries,
        replay: &Replay,
        author: &Author,
    ) -> Result<EditOutcome, ApiError> {
        let stamp = self.stamp();
        // Each run extends this.
        let expires_at = Replay::kept_until(stamp.at, Duration::ZERO);
        let outcome = self.ports.replays.request(of, series, replay, expires_at, author, stamp).await?;
        if outcome == EditOutcome::Done {
            self.check_elapsed(stamp)?;
        }
        Ok(outcome)
    }

    fn new_replay(&self, author: &Author, configuration: &ExportConfiguration, request: ReplayRequest) -> Replay {
        let replay_id = ReplayId::from_random(self.random.bits());
        let key = ReplayKey::new(configuration.key.clone(), replay_id);
        Replay::new(key, request, &author.subject, self.clock.now())
    }

    /// Returns the replays of a configuration, the newest first.
    pub async fn replays(&self, caller: &Caller, configuration_id: &str) -> Result<Vec<Replay>, ApiError> {
        let key = key_of(caller, configuration_id)?;
        self.load(&key).await?;
        let now = self.clock.now();
        let replays = self.ports.replays.list(&key).await?.replays;
        Ok(replays.into_iter().map(|replay| replay.as_of(now)).collect())
    }

    /// Returns one replay of a configuration.
    pub async fn find_replay(&self, caller: &Caller, configuration_id: &str, id: &str) -> Result<Replay, ApiError> {
        let replay_id = ReplayId::parse(id).ok_or(ApiError::NotFound)?;
        let replays = self.replays(caller, configuration_id).await?;
        replays.into_iter().find(|replay| replay.key.replay_id == replay_id).ok_or(ApiError::NotFound)
    }

    /// Cancels a replay. One that has ended stays as it is.
    pub async fn cancel_replay(
        &self,
        caller: &Caller,
        author: &Author,
        configuration_id: &str,
        id: &str,
    ) -> Result<Replay, ApiError> {
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let configuration = self.get(caller, configuration_id).await?;
            let replay = self.find_replay(caller, configuration_id, id).await?;
            if replay.has_ended() {
                return Ok(replay);
            }
            let stamp = self.stamp();
            if self.ports.replays.cancel(&configuration, &replay, author, stamp).await? == EditOutcome::Done {
                self.check_elapsed(stamp)?;
                return self.find_replay(caller, configuration_id, id).await;
            }
        }
        Err(ApiError::TryAgain)
    }
}
