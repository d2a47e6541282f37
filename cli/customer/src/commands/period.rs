//! The options for a period of events.

use clap::Args;
use domain::{digest::DigestObject, time::Timestamp};

use crate::failure::Failure;

pub const FILTER: &str = "Filter";

/// A period by the `eventTimestamp` of events. Without a bound it has no begin or no end.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Period {
    /// Events of this `eventTimestamp` (RFC 3339) and later
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, help_heading = FILTER)]
    pub since: Option<Timestamp>,

    /// Events of before this `eventTimestamp` (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, help_heading = FILTER)]
    pub until: Option<Timestamp>,
}

impl Period {
    /// Returns the period unless it ends before it begins.
    pub fn checked(self) -> Result<Self, Failure> {
        if self.since.zip(self.until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::argument("--until", "must be later than --since"));
        }
        Ok(self)
    }

    /// Returns whether the period has every event, also one without a time.
    pub fn is_unlimited(self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Returns whether an event of the object can be in the period.
    pub fn may_have_events_of(self, object: &DigestObject) -> bool {
        self.since.is_none_or(|since| object.newest_event >= since)
            && self.until.is_none_or(|until| object.oldest_event < until)
    }

    /// Returns whether the time is in the period.
    pub fn has(self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }
}
