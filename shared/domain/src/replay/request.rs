//! The fields of a request for a replay.

use super::period::ReplayPeriod;
use crate::{
    configuration::{
        Destination,
        bucket::BucketPath,
        field_error::{FieldError, FieldErrorCode},
    },
    encoding::Encoding,
    time::Timestamp,
};

/// The unparsed fields of a request.
#[derive(Clone, Copy, Debug)]
pub struct RawReplay<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub bucket_path: &'a str,
}

/// A valid request for a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    pub period: ReplayPeriod,
    pub destination: Destination,
    pub encoding: Encoding,
}

pub(super) fn parse_time(field: &'static str, text: &str) -> Result<Timestamp, FieldError> {
    if text.is_empty() {
        return Err(FieldError::missing(field));
    }
    let message = "Give a time as in RFC 3339, for example 2026-01-31T00:00:00Z.".to_owned();
    Timestamp::parse(text).map_err(|_| FieldError { field, code: FieldErrorCode::ReplayTimeInvalid, message })
}

/// Parses the path of replays, which the bucket's root can't be.
///
/// # Errors
/// `REQUIRED` or `BUCKET_PATH_INVALID`, of the given field.
pub fn parse_replay_path(field: &'static str, text: &str) -> Result<BucketPath, FieldError> {
    if text.is_empty() {
        return Err(FieldError::missing(field));
    }
    BucketPath::parse(text).map_err(|error| error.at(field))
}
