//! Values and doubles of ports for tests of this crate and of others (feature `test-support`).

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

#[cfg(test)]
mod alarm_lines;
mod connections;

use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    tenant::TenantId,
};

#[cfg(test)]
pub(crate) use self::alarm_lines::AlarmLines;
pub use self::connections::{Behavior, Bucket, ConnectionWorld, Seen};

/// Returns the key of the configuration of this number, each of another tenant.
#[must_use]
pub fn key(number: usize) -> ConfigurationKey {
    ConfigurationKey {
        tenant_id: TenantId::parse(&format!("tenant-{number}")).unwrap(),
        configuration_id: ConfigurationId::from_bytes((number as u128).to_be_bytes()),
    }
}
