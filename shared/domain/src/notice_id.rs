//! The identifiers of notices.

use std::fmt;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::time::Timestamp;

/// The most characters of the ID of a notice.
pub const MAX_NOTICE_ID_LENGTH: usize = 64;

/// The ID of a notice: the same in every copy and at every attempt, so that receivers recognize a repetition.
///
/// 1 to 64 of `A-Z a-z 0-9 _ -`. It has no full stop, because the signature of a webhook joins ID, time and body with
/// full stops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoticeId(String);

/// The error of a text that is not a [`NoticeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ID of a notice must have 1 to 64 letters, digits, '_' or '-'")]
pub struct InvalidNoticeId;

impl NoticeId {
    /// Makes a ULID, so that IDs sort by their times.
    #[must_use]
    pub fn from_parts(timestamp: Timestamp, random: u128) -> Self {
        Self(Ulid::from_parts(timestamp.as_millis(), random).to_string())
    }

    /// # Errors
    /// [`InvalidNoticeId`].
    pub fn parse(text: &str) -> Result<Self, InvalidNoticeId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if (1..=MAX_NOTICE_ID_LENGTH).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNoticeId)
        }
    }

    /// Returns the time of an ID that [`NoticeId::from_parts`] made.
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::from_millis(Ulid::from_string(&self.0).ok()?.timestamp_ms())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for NoticeId {
    type Error = InvalidNoticeId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<NoticeId> for String {
    fn from(id: NoticeId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_stand_in_a_header_and_in_a_signed_text() {
        for good in ["1", "01KB3C0VQ6Z9V1H3J5K7M9N1P3", "a_b-C", &"a".repeat(64)] {
            assert!(NoticeId::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a.b", "a b", "a\r\n", "ä", "a#b", &"a".repeat(65)] {
            assert_eq!(NoticeId::parse(bad), Err(InvalidNoticeId), "{bad:?}");
        }
    }
}
