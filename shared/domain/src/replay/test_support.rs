//! Replays for the tests of this crate and of other crates (feature `test-support`).

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use super::{Replay, ReplayId, ReplayKey, ReplayPeriod, ReplayRequest};
use crate::{
    configuration::{Destination, bucket::BucketPath, test_support::with_role},
    time::Timestamp,
};

pub const REPLAY_ID: &str = "5f3c1f9e-2b7a-4c64-8a55-6a8f3a0c9d21";

/// A request for half a day of [`with_role`].
#[must_use]
pub fn request() -> ReplayRequest {
    let at = |text| Timestamp::parse(text).unwrap();
    let destination = with_role().destination;
    ReplayRequest {
        period: ReplayPeriod { from: at("2026-11-22T00:00:00Z"), to: at("2026-11-22T12:00:00Z") },
        destination: Destination { bucket_path: Some(BucketPath::parse("replays/siem").unwrap()), ..destination },
        encoding: with_role().encoding(),
    }
}

/// A replay that was just requested.
#[must_use]
pub fn replay() -> Replay {
    let key = ReplayKey::new(with_role().key, ReplayId::parse(REPLAY_ID).unwrap());
    Replay::new(key, request(), "user-1", Timestamp::parse("2026-11-23T00:00:00Z").unwrap())
}
