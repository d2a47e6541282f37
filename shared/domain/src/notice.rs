//! Notices: messages to people about an export. Each change is one notice.
//!
//! The sweep compares what it observes with what was noticed before ([`state`]). Changes that people make are notices of
//! their own ([`change`]). docs/NOTICES.md describes the JSON.

pub mod change;
mod event;
pub mod gap;
mod kind;
pub mod state;

use serde::Serialize;

pub use self::{event::NoticeEvent, kind::NoticeKind};
use crate::{
    configuration::{ConfigurationId, ConfigurationKey},
    notice_id::NoticeId,
    tenant::TenantId,
    time::Timestamp,
};

/// The version of the JSON of notices. Fields may be added to a version; anything else needs a new one.
pub const NOTICE_VERSION: u32 = 1;

/// A notice, as receivers get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    pub id: NoticeId,
    version: u32,
    pub kind: NoticeKind,
    pub tenant_id: TenantId,
    pub configuration_id: ConfigurationId,
    pub occurred_at: Timestamp,
    detail: NoticeDetail,
}

/// The detail of a notice. It never has a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NoticeDetail {
    /// What happened, in one or more sentences.
    message: String,
    /// What to do, in one or more sentences.
    action: String,
    #[serde(flatten)]
    event: NoticeEvent,
}

impl Notice {
    #[must_use]
    pub fn new(key: &ConfigurationKey, event: NoticeEvent, occurred_at: Timestamp, random: u128) -> Self {
        let (message, action) = event.sentences();
        Self {
            id: NoticeId::from_parts(occurred_at, random),
            version: NOTICE_VERSION,
            kind: event.kind(),
            tenant_id: key.tenant_id.clone(),
            configuration_id: key.configuration_id,
            occurred_at,
            detail: NoticeDetail { message, action, event },
        }
    }

    /// Makes the notices of one change. They happened at the same time, and their IDs follow one another.
    #[must_use]
    pub fn all(
        key: &ConfigurationKey,
        events: impl IntoIterator<Item = NoticeEvent>,
        occurred_at: Timestamp,
        random: u128,
    ) -> Vec<Self> {
        let numbered = (0_u128..).zip(events);
        numbered.map(|(number, event)| Self::new(key, event, occurred_at, random.wrapping_add(number))).collect()
    }

    /// Returns whether this is the end of the last working export of a tenant to an account.
    #[must_use]
    pub fn is_last_export(&self) -> bool {
        self.detail.event.is_last_export()
    }
}

#[cfg(test)]
mod tests;
