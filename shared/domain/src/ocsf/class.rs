//! Versions, classes and activities of OCSF, as far as the mapping uses them. `infra/lint/test_ocsf.py` compares the numbers and
//! captions with the published schema.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::word::word;
use crate::named::named;

/// A version of OCSF. Security Lake supports 1.3 and earlier for custom sources.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
pub enum Version {
    #[default]
    #[serde(rename = "1.3.0")]
    #[strum(serialize = "1.3.0")]
    V1_3_0,
    #[serde(rename = "1.8.0")]
    #[strum(serialize = "1.8.0")]
    V1_8_0,
}

named!(Version, parse);

impl Version {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the version of the schema of files with records of this version.
    #[must_use]
    pub const fn schema_version(self) -> u32 {
        match self {
            Self::V1_3_0 => 1,
            Self::V1_8_0 => 2,
        }
    }

    /// Returns the greatest number of characters of a `string_t`, if the version bounds it.
    #[must_use]
    pub const fn max_text_length(self) -> Option<usize> {
        match self {
            Self::V1_3_0 => Some(65_535),
            Self::V1_8_0 => None,
        }
    }
}

/// An event class. An object in Security Lake holds records of one class.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Class {
    AccountChange,
    Authentication,
    EntityManagement,
    ApiActivity,
}

/// What happened, within a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    pub id: u8,
    pub caption: &'static str,
    /// The first of our versions that has it.
    since: Version,
}

const fn activity(id: u8, caption: &'static str) -> Activity {
    Activity { id, caption, since: Version::V1_3_0 }
}

const fn later(id: u8, caption: &'static str) -> Activity {
    Activity { id, caption, since: Version::V1_8_0 }
}

const UNKNOWN: Activity = activity(0, "Unknown");
const OTHER: Activity = activity(99, "Other");

const ACCOUNT_CHANGE: [Activity; 14] = [
    UNKNOWN,
    activity(1, "Create"),
    activity(2, "Enable"),
    activity(3, "Password Change"),
    activity(4, "Password Reset"),
    activity(5, "Disable"),
    activity(6, "Delete"),
    activity(7, "Attach Policy"),
    activity(8, "Detach Policy"),
    activity(9, "Lock"),
    activity(10, "MFA Factor Enable"),
    activity(11, "MFA Factor Disable"),
    later(12, "Unlock"),
    OTHER,
];

const AUTHENTICATION: [Activity; 9] = [
    UNKNOWN,
    activity(1, "Logon"),
    activity(2, "Logoff"),
    activity(3, "Authentication Ticket"),
    activity(4, "Service Ticket Request"),
    activity(5, "Service Ticket Renew"),
    activity(6, "Preauth"),
    later(7, "Account Switch"),
    OTHER,
];

const ENTITY_MANAGEMENT: [Activity; 15] = [
    UNKNOWN,
    activity(1, "Create"),
    activity(2, "Read"),
    activity(3, "Update"),
    activity(4, "Delete"),
    activity(5, "Move"),
    activity(6, "Enroll"),
    activity(7, "Unenroll"),
    activity(8, "Enable"),
    activity(9, "Disable"),
    activity(10, "Activate"),
    activity(11, "Deactivate"),
    activity(12, "Suspend"),
    activity(13, "Resume"),
    OTHER,
];

const API_ACTIVITY: [Activity; 6] =
    [UNKNOWN, activity(1, "Create"), activity(2, "Read"), activity(3, "Update"), activity(4, "Delete"), OTHER];

impl Activity {
    /// The event has no action.
    pub const UNKNOWN: Self = UNKNOWN;
    /// The class has no such activity; the record names the event's action instead.
    pub const OTHER: Self = OTHER;

    /// Returns the activity, or `Other` in a version that doesn't have it yet.
    #[must_use]
    pub fn in_version(self, version: Version) -> Self {
        if self.since <= version { self } else { OTHER }
    }
}

named!(Class, parse);

impl Class {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the class of a number.
    #[must_use]
    pub fn of_uid(uid: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.uid() == uid)
    }

    /// Returns the `class_uid`, which names of objects and digests have.
    #[must_use]
    pub const fn uid(self) -> u16 {
        match self {
            Self::AccountChange => 3001,
            Self::Authentication => 3002,
            Self::EntityManagement => 3004,
            Self::ApiActivity => 6003,
        }
    }

    #[must_use]
    pub const fn caption(self) -> &'static str {
        match self {
            Self::AccountChange => "Account Change",
            Self::Authentication => "Authentication",
            Self::EntityManagement => "Entity Management",
            Self::ApiActivity => "API Activity",
        }
    }

    #[must_use]
    pub const fn category_uid(self) -> u8 {
        match self {
            Self::AccountChange | Self::Authentication | Self::EntityManagement => 3,
            Self::ApiActivity => 6,
        }
    }

    #[must_use]
    pub const fn category_caption(self) -> &'static str {
        match self {
            Self::AccountChange | Self::Authentication | Self::EntityManagement => "Identity & Access Management",
            Self::ApiActivity => "Application Activity",
        }
    }

    /// Returns the activities of the newest version.
    #[must_use]
    pub const fn activities(self) -> &'static [Activity] {
        match self {
            Self::AccountChange => &ACCOUNT_CHANGE,
            Self::Authentication => &AUTHENTICATION,
            Self::EntityManagement => &ENTITY_MANAGEMENT,
            Self::ApiActivity => &API_ACTIVITY,
        }
    }

    /// Finds an activity by its caption, in any spelling that [`word`] makes equal.
    #[must_use]
    pub fn activity(self, caption: &str) -> Option<Activity> {
        let caption = word(caption);
        self.activities().iter().find(|activity| word(activity.caption) == caption).copied()
    }
}
