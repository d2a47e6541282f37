//! The identifiers of export configurations.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tenant::TenantId;

/// The ID of an export configuration, and the external ID under which its role is assumed.
///
/// The service generates it and never uses one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigurationId(uuid::Uuid);

impl ConfigurationId {
    /// Makes a random UUID (version 4) of 128 random bits.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        Self(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
    }

    /// Parses the hyphenated lower-case form, which is the only spelling of an ID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::parse_str(text).ok().map(Self).filter(|id| id.to_string() == text)
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// Returns the 16 bytes of the ID. The last one decides the dispatcher's shard.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ConfigurationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

/// The tenant and ID of a configuration. No store is queried by the ID alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationKey {
    pub tenant_id: TenantId,
    pub configuration_id: ConfigurationId,
}

impl fmt::Display for ConfigurationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.tenant_id, self.configuration_id)
    }
}
