//! Values that several test modules use.

use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    tenant::TenantId,
};

/// Returns the key of the configuration of this number, each of another tenant.
pub(crate) fn key(number: usize) -> ConfigurationKey {
    ConfigurationKey {
        tenant_id: TenantId::parse(&format!("tenant-{number}")).unwrap(),
        configuration_id: ConfigurationId::from_bytes((number as u128).to_be_bytes()),
    }
}
