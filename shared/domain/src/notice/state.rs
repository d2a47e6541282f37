//! What was noticed of an export, and what became worth a notice since.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Notice, NoticeEvent, NoticeKind, gap::SignedGap};
use crate::{
    configuration::ConfigurationKey,
    connection::{ConnectionError, ConnectionErrorCode, ConnectionStatus},
    export_health::ExportStanding,
    interval::ExportSchedule,
    time::Timestamp,
    webhook::Webhook,
};

/// The missed slots from which on a failing export is worth another notice, a slot after the first one at the earliest.
pub const STILL_FAILING_SLOTS: u64 = 3;

/// The least time between two notices that an export still fails.
pub const REMINDED_EVERY: Duration = Duration::from_hours(24);

/// The shares of the retention that are worth a notice, in percent.
pub const DELAY_THRESHOLDS_PERCENT: [u64; 2] = [25, 50];

/// The age of a secret access key that is worth a notice.
/// Source: <https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html#iam-3>.
pub const AGING_ACCESS_KEY: Duration = Duration::from_hours(90 * 24);

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// What was noticed of an export. Nothing is noticed twice, however often the export is observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NoticeState {
    /// Set while the export fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<Failing>,
    /// The largest threshold that was reached since the export was last not delayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed_percent: Option<u64>,
    /// Set while AWS refuses the access key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_key_refused: bool,
    /// The time when the secret access key was stored whose age was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    aging_key_of: Option<Timestamp>,
    /// The sequence of the newest digest with a gap that was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap_sequence: Option<u64>,
}

/// A failure that was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failing {
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    reminded_at: Option<Timestamp>,
}

/// A [`NoticeState`] as it was stored: the text is the condition under which the next one replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNoticeState {
    text: String,
    state: NoticeState,
}

impl StoredNoticeState {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { text: text.to_owned(), state: serde_json::from_str(text).ok()? })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The stored facts of an export that decide on notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedExport {
    pub key: ConfigurationKey,
    /// The version of the configuration.
    pub version: u64,
    pub standing: ExportStanding,
    pub connection_error: Option<ConnectionError>,
    /// The time when the secret access key was stored. `None`: it has none, or an earlier version of the service stored it.
    pub secret_stored_at: Option<Timestamp>,
    /// The newest gap that was signed.
    pub signed_gap: Option<SignedGap>,
    /// `None`: the configuration is older than notices, and was not observed yet.
    pub noticed: Option<StoredNoticeState>,
    pub webhooks: Vec<Webhook>,
}

/// A change of the [`NoticeState`], which is stored in one transaction with its notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeTransition {
    pub next: NoticeState,
    pub notices: Vec<Notice>,
}

/// The settings on which notices depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeTerms {
    pub schedule: ExportSchedule,
    pub retention: Duration,
}

impl ObservedExport {
    /// Returns the change since the last observation. `None`: nothing changed, or the export is disabled.
    ///
    /// The first observation of a configuration that is older than notices only notes its state, so that the deployment of
    /// notices sends none about what was known before.
    #[must_use]
    pub fn transition(&self, terms: NoticeTerms, now: Timestamp, random: u128) -> Option<NoticeTransition> {
        if !self.standing.enabled {
            return None;
        }
        let Some(StoredNoticeState { state: previous, .. }) = &self.noticed else {
            let (mut next, _) = self.observe(&NoticeState::default(), terms, now);
            next.failing = next.failing.map(|failing| Failing { reminded_at: Some(now), ..failing });
            return Some(NoticeTransition { next, notices: Vec::new() });
        };
        let (next, events) = self.observe(previous, terms, now);
        let is_unchanged = next == *previous && events.is_empty();
        (!is_unchanged).then(|| NoticeTransition { next, notices: Notice::all(&self.key, events, now, random) })
    }

    fn observe(&self, previous: &NoticeState, terms: NoticeTerms, now: Timestamp) -> (NoticeState, Vec<NoticeEvent>) {
        let (mut next, mut events, mut ended) = (previous.clone(), Vec::new(), Vec::new());
        self.observe_failure(&mut next, &mut events, &mut ended, terms, now);
        self.observe_delay(&mut next, &mut events, &mut ended, terms, now);
        self.observe_key(&mut next, &mut events, now);
        if let Some(gap) = self.signed_gap
            && next.gap_sequence < Some(gap.sequence)
        {
            next.gap_sequence = Some(gap.sequence);
            events.push(NoticeEvent::GapSigned(gap));
        }
        if !ended.is_empty() {
            let exported_through = self.standing.exported_through;
            events.push(NoticeEvent::ExportRecovered { ended, exported_through });
        }
        (next, events)
    }

    fn observe_failure(
        &self,
        next: &mut NoticeState,
        events: &mut Vec<NoticeEvent>,
        ended: &mut Vec<NoticeKind>,
        terms: NoticeTerms,
        now: Timestamp,
    ) {
        let standing = &self.standing;
        let (code, error) = (self.connection_error.as_ref().map(|error| error.code), self.connection_error.clone());
        let consecutive_failures = standing.consecutive_failures;
        match &mut next.failing {
            None if standing.is_refused() || standing.is_failing() => {
                next.failing = Some(Failing { since: now, reminded_at: None });
                events.push(NoticeEvent::ExportFailing { code, consecutive_failures, error });
            }
            Some(failing) if standing.is_refused() || standing.is_failing() => {
                let missed_slots = standing.missed_slots(terms.schedule, now);
                let is_due = match failing.reminded_at {
                    Some(reminded_at) => now.saturating_since(reminded_at) >= REMINDED_EVERY,
                    // It may have missed its slots before it failed.
                    None => now.saturating_since(failing.since) >= terms.schedule.slot_length(standing.interval),
                };
                if missed_slots >= STILL_FAILING_SLOTS && is_due {
                    failing.reminded_at = Some(now);
                    events.push(NoticeEvent::ExportStillFailing {
                        code,
                        consecutive_failures,
                        missed_slots,
                        retention_used_percent: standing.retention_used_percent(terms.retention, now),
                        exported_through: standing.exported_through,
                        error,
                    });
                }
            }
            // An edit alone proves nothing: the next run or test has to succeed.
            Some(_) if standing.is_proven() => {
                next.failing = None;
                ended.push(NoticeKind::ExportFailing);
            }
            Some(_) | None => {}
        }
    }

    fn observe_delay(
        &self,
        next: &mut NoticeState,
        events: &mut Vec<NoticeEvent>,
        ended: &mut Vec<NoticeKind>,
        terms: NoticeTerms,
        now: Timestamp,
    ) {
        let retention_used_percent = self.standing.retention_used_percent(terms.retention, now);
        let reached = DELAY_THRESHOLDS_PERCENT.into_iter().rfind(|percent| *percent <= retention_used_percent);
        match reached {
            Some(threshold_percent) if next.delayed_percent < reached => {
                next.delayed_percent = reached;
                let exported_through = self.standing.exported_through;
                events.push(NoticeEvent::ExportDelayed { threshold_percent, retention_used_percent, exported_through });
            }
            None if next.delayed_percent.take().is_some() => ended.push(NoticeKind::ExportDelayed),
            Some(_) | None => {}
        }
    }

    fn observe_key(&self, next: &mut NoticeState, events: &mut Vec<NoticeEvent>, now: Timestamp) {
        let refused = self.connection_error.as_ref().filter(|error| refuses_the_key(error.code));
        if let Some(error) = refused {
            if !next.is_key_refused {
                events.push(NoticeEvent::AccessKeyRefused { code: error.code, error: error.clone() });
            }
            next.is_key_refused = true;
        } else if self.standing.connection != ConnectionStatus::Pending {
            next.is_key_refused = false;
        }
        let aged = self.secret_stored_at.map(|stored_at| (stored_at, now.saturating_since(stored_at)));
        if let Some((stored_at, age)) = aged.filter(|(_, age)| *age >= AGING_ACCESS_KEY)
            && next.aging_key_of != Some(stored_at)
        {
            next.aging_key_of = Some(stored_at);
            events.push(NoticeEvent::AccessKeyAging { stored_at, age_days: age.as_secs() / DAY_SECONDS });
        }
    }
}

/// Returns whether AWS refuses the access key itself, whatever it is used for.
fn refuses_the_key(code: ConnectionErrorCode) -> bool {
    matches!(code, ConnectionErrorCode::AccessKeyUnknown | ConnectionErrorCode::SecretAccessKeyWrong)
}

#[cfg(test)]
mod tests;
