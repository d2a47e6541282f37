//! The records of replays.

use domain::{
    configuration::ConfigurationKey,
    replay::{Replay, ReplayKey, ReplayState},
    time::Timestamp,
};
use export_engine::ports::{PortError, ReplayChange, ReplayStore};

use super::process::Ports;
use crate::{bug::KnownBug, world::WorldState};

impl Ports {
    /// Returns the key of the configuration that an export replays, or that of the export if it is none.
    pub(super) fn replayed(&self, key: &ConfigurationKey) -> ConfigurationKey {
        self.world.lock().replays.get(key).map_or_else(|| key.clone(), |replay| replay.key.configuration())
    }
}

impl ReplayStore for Ports {
    async fn load_replay(&self, key: &ReplayKey) -> Result<Option<Replay>, PortError> {
        let key = key.export();
        self.world.call("load replay", move |state| Ok(state.replays.get(&key).cloned())).await
    }

    async fn change_replay(&self, replay: &Replay, change: &ReplayChange, _: Timestamp) -> Result<(), PortError> {
        let (read, change) = (replay.clone(), change.clone());
        let reports_to_configuration = self.has(KnownBug::ReplayReportsToConfiguration);
        let effect = move |state: &mut WorldState| {
            let Some(stored) = state.replays.get_mut(&read.key.export()) else { return Ok(()) };
            if stored.has_ended() || stored.attempt != read.attempt {
                return Ok(());
            }
            match &change {
                ReplayChange::Started { at } => {
                    stored.started_at = stored.started_at.or(Some(*at));
                    stored.state = ReplayState::Running;
                }
                ReplayChange::Delivered { exported_through } if reports_to_configuration => {
                    if let Some(configuration) = state.configurations.get_mut(&read.key.configuration()) {
                        configuration.progress.exported_through = *exported_through;
                    }
                }
                ReplayChange::Delivered { exported_through } => {
                    let known = &mut stored.progress.exported_through;
                    *known = (*known).max(*exported_through);
                }
                ReplayChange::Tested(test) => stored.test = Some(*test),
                ReplayChange::Ended { at, end } => stored.state = ReplayState::Ended { at: *at, end: end.clone() },
            }
            Ok(())
        };
        self.world.call("change replay", effect).await
    }
}
