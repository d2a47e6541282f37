//! The identifiers of replays.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    configuration::{ConfigurationId, ConfigurationKey},
    tenant::TenantId,
};

/// The ID of a replay. Its objects and digests carry it in the place of a configuration's ID, so that they are an export of
/// their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplayId(ConfigurationId);

impl ReplayId {
    /// Makes a random UUID (version 4) of 128 random bits.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        Self(ConfigurationId::from_random(bits))
    }

    /// Parses the hyphenated lower-case form, which is the only spelling of an ID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        ConfigurationId::parse(text).map(Self)
    }
}

impl fmt::Display for ReplayId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The tenant, the configuration and the ID of a replay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayKey {
    pub tenant_id: TenantId,
    /// The configuration whose period is exported again.
    pub configuration_id: ConfigurationId,
    pub replay_id: ReplayId,
}

/// A message of the queue of manual runs: a request to continue a replay for one slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayMessage {
    pub replay: ReplayKey,
    /// The attempt of the replay, of which it continues no other one.
    pub attempt: u32,
}

impl ReplayKey {
    #[must_use]
    pub fn new(configuration: ConfigurationKey, replay_id: ReplayId) -> Self {
        let ConfigurationKey { tenant_id, configuration_id } = configuration;
        Self { tenant_id, configuration_id, replay_id }
    }

    /// Returns the key of the configuration whose period is exported again.
    #[must_use]
    pub fn configuration(&self) -> ConfigurationKey {
        ConfigurationKey { tenant_id: self.tenant_id.clone(), configuration_id: self.configuration_id }
    }

    /// Returns the key of the replay as an export of its own.
    #[must_use]
    pub fn export(&self) -> ConfigurationKey {
        ConfigurationKey { tenant_id: self.tenant_id.clone(), configuration_id: self.replay_id.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::test_support::{ID, with_role},
        replay::test_support::{REPLAY_ID, replay},
    };

    #[test]
    fn a_message_is_pinned_and_differs_from_that_of_a_run() {
        let message = replay().message();
        let text = format!(
            r#"{{"replay":{{"tenantId":"acme","configurationId":"{ID}","replayId":"{REPLAY_ID}"}},"attempt":1}}"#
        );
        assert_eq!(serde_json::to_string(&message).unwrap(), text);
        assert_eq!(serde_json::from_str::<ReplayMessage>(&text).unwrap(), message);
        assert!(serde_json::from_str::<crate::export_run::RunRequest>(&text).is_err());
    }

    #[test]
    fn a_replay_is_an_export_of_the_same_tenant() {
        let key = replay().key;
        assert_eq!(key.configuration(), with_role().key);
        assert_eq!(
            (key.export().tenant_id, key.export().configuration_id.to_string()),
            (key.tenant_id, REPLAY_ID.to_owned())
        );
    }
}
