//! Replays: requesting, continuing, cancelling and reading them.

use std::time::Duration;

use authentication::Caller;
use domain::{
    allowance::Allowance,
    configuration::{ExportConfiguration, change::Author},
    replay::{RawReplay, Replay, ReplayId, ReplayKey, ReplayRequest, ReplayTerms, check_path},
};

use super::shared::{MAX_CHANGE_ATTEMPTS, Service, key_of};
use crate::{
    error::ApiError,
    ports::{EditOutcome, ReplaySeries},
};

/// The step that a request for a replay needs.
enum Step {
    /// It was requested before and has not ended: its message may be lost.
    SendAgain(Replay),
    /// It is new, or continues.
    Store(Replay),
}

impl Service {
    /// Requests a replay. The same request again, while the replay has not ended, sends its message again; after it failed or was
    /// cancelled, it continues under the same ID.
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
            let step = self.next_step(author, &configuration, &series, raw)?;
            if !is_permitted {
                self.take(caller, Allowance::ManualRuns).await?;
                self.take(caller, Allowance::ConfigurationRuns(key.configuration_id)).await?;
                is_permitted = true;
            }
            let replay = match step {
                Step::SendAgain(replay) => replay,
                Step::Store(replay) => {
                    let stamp = self.stamp();
                    // The first run extends this.
                    let expires_at = replay.kept_until(stamp.at, Duration::ZERO);
                    let replays = &self.ports.replays;
                    let outcome = replays.request(&configuration, &series, &replay, expires_at, author, stamp).await?;
                    if outcome == EditOutcome::ChangedSince {
                        continue;
                    }
                    self.check_elapsed(stamp)?;
                    replay
                }
            };
            // If this fails, the same request sends it again.
            self.ports.replays.send(&replay.key).await?;
            return Ok(replay);
        }
        Err(ApiError::TryAgain)
    }

    fn next_step(
        &self,
        author: &Author,
        configuration: &ExportConfiguration,
        series: &ReplaySeries,
        raw: &RawReplay<'_>,
    ) -> Result<Step, ApiError> {
        let now = self.clock.now();
        let terms = ReplayTerms {
            configuration,
            slot_length: self.schedule.slot_length(configuration.interval),
            retention_floor: self.retention_floor(),
        };
        let request = terms.parse(raw).map_err(ApiError::InvalidInput)?;
        let replays: Vec<_> = series.replays.iter().cloned().map(|replay| replay.as_of(now)).collect();
        let same = replays.iter().find(|replay| replay.is_of(&request));
        if let Some(unfinished) = replays.iter().find(|replay| !replay.has_ended()) {
            return match same {
                Some(same) if same.key == unfinished.key => Ok(Step::SendAgain(same.clone())),
                _ => Err(ApiError::ReplayInProgress),
            };
        }
        if let Some(continued) = same.and_then(|same| same.continued(request.clone(), now)) {
            return Ok(Step::Store(continued));
        }
        check_path(&request, configuration, &replays).map_err(|error| ApiError::InvalidInput(vec![error]))?;
        Ok(Step::Store(self.new_replay(author, configuration, request)))
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
