//! What ingest is told by its environment.

use std::{num::NonZeroU8, time::Duration};

use domain::block::SHARDS;
use runtime::{client_version::MinimumClientVersion, environment::Environment, timing, token::TokenSettings};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) events_table: String,
    pub(crate) retention: Duration,
    /// How many of a tenant's shards are written to.
    pub(crate) write_shards: NonZeroU8,
    pub(crate) minimum_client_version: MinimumClientVersion,
    pub(crate) token: TokenSettings,
}

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let events_table = environment.text("EVENTS_TABLE");
        let retention = timing::retention(environment);
        let write_shards = environment.integer("WRITE_SHARDS", 1..=SHARDS);
        let minimum_client_version = MinimumClientVersion::from_environment(environment);
        let token = mode.and_then(|mode| TokenSettings::from_environment(environment, mode));
        Some(Self {
            events_table: events_table?,
            retention: retention?,
            write_shards: write_shards.and_then(NonZeroU8::new)?,
            minimum_client_version: minimum_client_version?,
            token: token?,
        })
    }
}
