//! The kinds of notices.

use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::named::named;

/// The kinds of notices.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum NoticeKind {
    /// The connection or a run failed, after they worked.
    ExportFailing,
    /// The export still fails, and slots were missed.
    ExportStillFailing,
    /// The export works again, or has caught up.
    ExportRecovered,
    /// Unexported events have used a quarter or half of their retention.
    ExportDelayed,
    /// A digest states that received events are in no object.
    GapSigned,
    ExportDisabled,
    ExportEnabled,
    ExportDeleted,
    /// The files of the export arrive elsewhere, or are encrypted with another key.
    ExportDestinationChanged,
    /// The receivers of notices were changed.
    NotificationsChanged,
    /// AWS refuses the access key.
    AccessKeyRefused,
    /// The secret access key is old.
    AccessKeyAging,
}

named!(NoticeKind, parse);

impl NoticeKind {
    pub const ALL: &'static [Self] = Self::VARIANTS;
}
