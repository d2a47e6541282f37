//! What a notice is about, and its sentences.

use serde::Serialize;

use super::{gap::SignedGap, kind::NoticeKind};
use crate::{
    configuration::{bucket::BucketName, field},
    connection::{ConnectionError, ConnectionErrorCode},
    digest::GapReason,
    export_job::SERVICE_FAILURE,
    time::Timestamp,
};

/// The most bytes of a text that is not ours, such as the message of a connection error. Escaped as JSON, it has six times
/// as many at most.
const MAX_TEXT_BYTES: usize = 2_000;

/// The most bytes of the name of a person.
const MAX_NAME_BYTES: usize = 256;

/// The person to ask. The audit event of the change is exported with the others: to another bucket after a move, or not at all.
const AUTHOR: &str = "changedBy names who changed it.";

/// An event that is worth a notice: its kind, and the facts for programs that read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum NoticeEvent {
    ExportFailing {
        /// `None`: the cause is on the service's side.
        code: Option<ConnectionErrorCode>,
        consecutive_failures: u32,
        #[serde(skip)]
        error: Option<ConnectionError>,
    },
    ExportStillFailing {
        code: Option<ConnectionErrorCode>,
        consecutive_failures: u32,
        missed_slots: u64,
        retention_used_percent: u64,
        exported_through: Option<Timestamp>,
        #[serde(skip)]
        error: Option<ConnectionError>,
    },
    ExportRecovered {
        /// The kinds of the notices whose cause is gone.
        ended: Vec<NoticeKind>,
        exported_through: Option<Timestamp>,
    },
    ExportDelayed {
        threshold_percent: u64,
        retention_used_percent: u64,
        exported_through: Option<Timestamp>,
    },
    GapSigned(SignedGap),
    ExportDisabled(ChangeFacts),
    ExportEnabled(ChangeFacts),
    ExportDeleted(ChangeFacts),
    ExportDestinationChanged(MoveFacts),
    NotificationsChanged(ChangeFacts),
    AccessKeyRefused {
        code: ConnectionErrorCode,
        #[serde(skip)]
        error: ConnectionError,
    },
    AccessKeyAging {
        stored_at: Timestamp,
        age_days: u64,
    },
}

/// The facts of a change that a person made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFacts {
    /// The subject of the person's token.
    changed_by: String,
    /// The version after the change, or the one that was deleted.
    configuration_version: u64,
    /// True if the change stopped or moved an export, and no other one makes up for it: see
    /// [`makes_up_for`](super::change::makes_up_for).
    pub is_last_export: bool,
}

/// The facts of a change of an export's destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveFacts {
    #[serde(flatten)]
    pub(super) change: ChangeFacts,
    /// The fields of the API.
    pub(super) changed_fields: Vec<&'static str>,
    /// True if the account that has to own the bucket stays.
    #[serde(skip)]
    pub(super) is_same_owner: bool,
    pub(super) bucket_before: BucketName,
    pub(super) bucket_after: BucketName,
}

impl ChangeFacts {
    pub(super) fn new(changed_by: &str, configuration_version: u64, is_last_export: bool) -> Self {
        Self { changed_by: shortened(changed_by, MAX_NAME_BYTES), configuration_version, is_last_export }
    }
}

impl NoticeEvent {
    #[must_use]
    pub fn kind(&self) -> NoticeKind {
        match self {
            Self::ExportFailing { .. } => NoticeKind::ExportFailing,
            Self::ExportStillFailing { .. } => NoticeKind::ExportStillFailing,
            Self::ExportRecovered { .. } => NoticeKind::ExportRecovered,
            Self::ExportDelayed { .. } => NoticeKind::ExportDelayed,
            Self::GapSigned(_) => NoticeKind::GapSigned,
            Self::ExportDisabled(_) => NoticeKind::ExportDisabled,
            Self::ExportEnabled(_) => NoticeKind::ExportEnabled,
            Self::ExportDeleted(_) => NoticeKind::ExportDeleted,
            Self::ExportDestinationChanged(_) => NoticeKind::ExportDestinationChanged,
            Self::NotificationsChanged(_) => NoticeKind::NotificationsChanged,
            Self::AccessKeyRefused { .. } => NoticeKind::AccessKeyRefused,
            Self::AccessKeyAging { .. } => NoticeKind::AccessKeyAging,
        }
    }

    pub(super) fn is_last_export(&self) -> bool {
        match self {
            Self::ExportDisabled(facts) | Self::ExportDeleted(facts) => facts.is_last_export,
            Self::ExportDestinationChanged(facts) => facts.change.is_last_export,
            _ => false,
        }
    }

    /// Returns what happened, and what to do.
    pub(super) fn sentences(&self) -> (String, String) {
        match self {
            Self::ExportFailing { error, .. } => failure(error.as_ref()),
            Self::ExportStillFailing { error, missed_slots, retention_used_percent, .. } => {
                let (message, action) = failure(error.as_ref());
                let message = format!(
                    "{missed_slots} exports were missed, and {retention_used_percent} % of the retention is used. {message}"
                );
                (message, action)
            }
            Self::ExportRecovered { .. } => {
                ("The export works again.".to_owned(), "No action is needed.".to_owned())
            }
            Self::ExportDelayed { retention_used_percent, .. } => (
                format!("Events that are not exported yet have used {retention_used_percent} % of their retention."),
                "If the export is failing, remove the cause that its status names. Otherwise contact the operator of the \
                 service. Events are lost when their retention ends."
                    .to_owned(),
            ),
            Self::GapSigned(gap) => gap_signed(gap),
            Self::ExportDisabled(ChangeFacts { is_last_export, .. }) => (
                stopped("disabled", *is_last_export),
                format!("If that was not intended, enable the export. {AUTHOR}"),
            ),
            Self::ExportEnabled(_) => {
                ("The export was enabled.".to_owned(), "No action is needed, if that was intended.".to_owned())
            }
            Self::ExportDeleted(ChangeFacts { is_last_export, .. }) => (
                stopped("deleted", *is_last_export),
                format!("If that was not intended, create the export again. {AUTHOR}"),
            ),
            Self::ExportDestinationChanged(facts) => (
                moved(facts),
                format!(
                    "If that was not intended, correct the changed fields of the export, and request a replay of what went \
                     elsewhere since. {AUTHOR}"
                ),
            ),
            Self::NotificationsChanged(_) => (
                "The receivers of notices about this export were changed. This notice was sent to the earlier ones."
                    .to_owned(),
                format!("If that was not intended, correct the notifications of the export. {AUTHOR}"),
            ),
            Self::AccessKeyRefused { error, .. } => failure(Some(error)),
            Self::AccessKeyAging { age_days, .. } => (
                format!("The secret access key of the export was stored {age_days} days ago."),
                "Create another access key for the IAM user, update the export with it, then delete the old key. A role \
                 needs no rotation."
                    .to_owned(),
            ),
        }
    }
}

fn failure(error: Option<&ConnectionError>) -> (String, String) {
    match error {
        Some(error) => (
            shortened(&error.message, MAX_TEXT_BYTES),
            format!("{} Then test the connection.", error.code.explanation().remedy),
        ),
        None => (
            SERVICE_FAILURE.to_owned(),
            "Contact the operator of the service if notices of this kind are repeated.".to_owned(),
        ),
    }
}

fn stopped(how: &str, is_last_export: bool) -> String {
    if is_last_export {
        format!(
            "The export was {how}. It was the last one: no other working export delivers the tenant's audit events to the owner of \
             its bucket."
        )
    } else {
        format!("The export was {how}.")
    }
}

fn moved(MoveFacts { change, changed_fields, is_same_owner, bucket_before, bucket_after }: &MoveFacts) -> String {
    let fields = changed_fields.join(", ");
    let mut message = if changed_fields.as_slice() == [field::FILTER] {
        format!(
            "The filter of the export to the bucket {bucket_before} was changed: other events than before are left out."
        )
    } else if bucket_before == bucket_after {
        format!("The connection of the export to the bucket {bucket_before} was changed: {fields}.")
    } else {
        format!("The export was moved from the bucket {bucket_before} to {bucket_after}. Changed: {fields}.")
    };
    if change.is_last_export {
        message.push_str(if *is_same_owner {
            " The bucket has to belong to the same AWS account as before, and no other working export delivers the tenant's \
             audit events to that account."
        } else {
            " It was the last one: no other working export delivers the tenant's audit events to the owner of the bucket \
             from before."
        });
    }
    message
}

fn gap_signed(gap: &SignedGap) -> (String, String) {
    let SignedGap { sequence, from, to, reason, .. } = gap;
    let (cause, action) = match reason {
        GapReason::RetentionEnded => (
            "their retention ended before they could be exported",
            "The events are lost. Keep the export enabled and its connection working, so that no more are.",
        ),
        GapReason::BlockCorrupt => (
            "their stored block is damaged, and the operator approved to skip it",
            "Contact the operator of the service.",
        ),
        GapReason::StartBeforeRetention => (
            "they had expired when the export was configured or began",
            "No action is needed: the export began before the retention of its first events.",
        ),
    };
    let message =
        format!("Digest {sequence} states that events received from {from} to before {to} are in no file: {cause}.");
    (message, action.to_owned())
}

/// Returns the text, or its beginning with an ellipsis.
fn shortened(text: &str, max_bytes: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes - ELLIPSIS.len_utf8());
    format!("{}{ELLIPSIS}", &text[..end])
}
