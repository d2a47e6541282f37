//! The failures that end a replay.

use super::limits::MAX_REPLAY_DURATION;
use crate::{
    configuration::bucket::BucketPath,
    connection::{ConnectionError, ConnectionErrorCode},
    error_code::ErrorCode,
    time::Timestamp,
};

/// The failure that ended a replay: a stable code, and a message that says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayError {
    pub code: ReplayErrorCode,
    pub message: String,
}

/// The kinds of failures that end a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplayErrorCode {
    /// The customer has to change something.
    Connection(ConnectionErrorCode),
    /// It did not end within [`MAX_REPLAY_DURATION`].
    TimedOut,
}

impl ReplayErrorCode {
    /// Returns the stable name that callers may rely on.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection(code) => code.name(),
            Self::TimedOut => ErrorCode::ReplayTimedOut.name(),
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let connection = || ConnectionErrorCode::ALL.iter().copied().map(Self::Connection);
        connection().chain([Self::TimedOut]).find(|code| code.name() == name)
    }
}

impl ReplayError {
    /// Returns the failure of a replay under `path` whose connection failed. A denied write is most often about the path, which no policy of
    /// the export itself allows.
    #[must_use]
    pub fn of_connection(error: ConnectionError, path: Option<&BucketPath>) -> Self {
        let ConnectionError { code, message } = error;
        let message = match (code, path) {
            (ConnectionErrorCode::WriteDenied, Some(path)) => format!(
                "{message} The replay writes under the path {path}, which the policies of the export itself don't allow. Print \
                 the policies with replayBucketPath (audit-export config policies, option --replay-path), attach them, and \
                 request the same replay again: it continues."
            ),
            _ => format!("{message} Then request the same replay again: it continues."),
        };
        Self { code: ReplayErrorCode::Connection(code), message }
    }

    /// Returns the failure of a replay that took too long.
    #[must_use]
    pub fn timed_out(exported_through: Option<Timestamp>) -> Self {
        let days = MAX_REPLAY_DURATION.as_secs() / (24 * 60 * 60);
        let exported = match exported_through {
            Some(through) => format!("What was received before {through} is in the bucket"),
            None => "Nothing is complete in the bucket".to_owned(),
        };
        Self {
            code: ReplayErrorCode::TimedOut,
            message: format!(
                "The replay did not end within {days} days of its request. {exported}. Request the rest as another replay, under \
                 another path."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_parsed_back() {
        for name in ["WRITE_DENIED", "ROLE_NOT_ASSUMABLE", "REPLAY_TIMED_OUT"] {
            assert_eq!(ReplayErrorCode::parse(name).map(ReplayErrorCode::name), Some(name));
        }
        assert_eq!(ReplayErrorCode::parse("NOT_FOUND"), None);
    }

    #[test]
    fn a_denied_write_names_the_path_and_every_failure_says_how_to_continue() {
        let error = |code| ConnectionError { code, message: "Denied.".to_owned() };
        let path = BucketPath::parse("replays/siem").ok();
        let denied = ReplayError::of_connection(error(ConnectionErrorCode::WriteDenied), path.as_ref());
        assert!(denied.message.contains("under the path replays/siem") && denied.message.contains("--replay-path"));
        let other = ReplayError::of_connection(error(ConnectionErrorCode::KmsDenied), path.as_ref());
        assert_eq!(other.message, "Denied. Then request the same replay again: it continues.");
        assert_eq!(other.code.name(), "KMS_DENIED");
    }

    #[test]
    fn a_timed_out_replay_says_how_far_it_came() {
        assert!(ReplayError::timed_out(None).message.contains("within 7 days of its request. Nothing is complete"));
        let begun = ReplayError::timed_out(Some(Timestamp::EPOCH));
        assert!(begun.message.contains("before 1970-01-01T00:00:00.000Z is in the bucket"));
    }
}
