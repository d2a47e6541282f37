//! The names of the fields of an event that the service knows.

pub(super) const ID: &str = "id";
pub(super) const EVENT_TIMESTAMP: &str = "eventTimestamp";
pub(super) const TENANT_ID: &str = "tenantId";
pub(super) const RECEIVED_TIMESTAMP: &str = "receivedTimestamp";
