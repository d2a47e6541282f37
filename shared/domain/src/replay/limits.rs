//! The limits of replays.

use std::time::Duration;

use crate::block::EXPIRY_GRACE;

/// The most replays of one configuration that are stored. Another one replaces the oldest that has ended.
pub const MAX_REPLAYS: usize = 20;

/// The time from its request until which a replay may take. All of its events are within their retention at the request, and
/// stay in the table for longer than this: see [`EXPIRY_GRACE`].
pub const MAX_REPLAY_DURATION: Duration = Duration::from_hours(7 * 24);
const _: () = assert!(MAX_REPLAY_DURATION.as_secs() * 3 / 2 < EXPIRY_GRACE.as_secs());
