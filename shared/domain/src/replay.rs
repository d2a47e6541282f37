//! Replays: a past period of an export, exported again under a path of its own, with a chain of digests of its own.

mod failure;
mod key;
mod limits;
mod path;
mod period;
mod record;
mod request;
mod terms;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;

pub use self::{
    failure::{ReplayError, ReplayErrorCode},
    key::{ReplayId, ReplayKey, ReplayMessage},
    limits::{MAX_REPLAY_DURATION, MAX_REPLAYS},
    period::ReplayPeriod,
    record::{Replay, ReplayEnd, ReplayProgress, ReplayState, ReplayStatus, ReplayTest},
    request::{RawReplay, ReplayRequest, parse_replay_path},
    terms::{ReplayRefusal, ReplayStep, ReplayTerms},
};
