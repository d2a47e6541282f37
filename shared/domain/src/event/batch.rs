//! Batches of valid events.

use std::fmt;

use super::field::{RECEIVED_TIMESTAMP, TENANT_ID};
use crate::{tenant::TenantId, time::Timestamp};

/// Valid events of one tenant, not yet stamped: each a compact JSON object without the service's fields and the closing
/// brace.
#[derive(Clone)]
pub struct EventBatch {
    tenant: TenantId,
    pub(super) text: Vec<u8>,
    pub(super) events: Vec<OpenEvent>,
}

/// An event in the text of its batch.
#[derive(Clone, Copy)]
pub(super) struct OpenEvent {
    /// The end of the event in the text. It starts at the end of the previous one.
    pub(super) end: usize,
    pub(super) timestamp: Timestamp,
}

/// Prints only the number of events: their content is the tenant's data, which must not be logged.
impl fmt::Debug for EventBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventBatch")
            .field("tenant", &self.tenant)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

impl EventBatch {
    /// Creates a batch without events.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant, text: Vec::new(), events: Vec::new() }
    }

    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the bytes of all lines as stored.
    #[must_use]
    pub fn stored_length(&self) -> usize {
        self.text.len() + self.events.len() * stamp_length(&self.tenant)
    }

    /// Appends the events of another batch of the same tenant.
    pub fn append(&mut self, other: &Self) {
        debug_assert_eq!(self.tenant, other.tenant, "a block holds events of one tenant");
        let offset = self.text.len();
        self.text.extend_from_slice(&other.text);
        self.events
            .extend(other.events.iter().map(|event| OpenEvent { end: event.end + offset, timestamp: event.timestamp }));
    }

    /// Returns each event without its stamp, and its `eventTimestamp`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Timestamp)> {
        let mut start = 0;
        self.events.iter().map(move |event| {
            let line = self.text.get(start..event.end).unwrap_or_default();
            start = event.end;
            (line, event.timestamp)
        })
    }

    /// Returns the stamp of each event that is stored at `received`: the service's two fields, brace, line feed.
    pub(crate) fn stamp(&self, received: Timestamp) -> String {
        stamp(&self.tenant, received)
    }
}

fn stamp(tenant: &TenantId, received: Timestamp) -> String {
    // A tenant ID has no character that needs an escape in JSON.
    format!(",\"{TENANT_ID}\":\"{tenant}\",\"{RECEIVED_TIMESTAMP}\":\"{received}\"}}\n")
}

/// Returns the length of a stamp, which is the same for all times.
pub(super) fn stamp_length(tenant: &TenantId) -> usize {
    stamp(tenant, Timestamp::EPOCH).len()
}
