//! What can be wrong with a delivered audit log.

use serde::Serialize;

/// One kind of break. The codes are stable: scripts and auditors rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BreakCode {
    NoDigests,
    WrongPlace,
    TruncatedChain,
    OutdatedCopy,
    NotWhole,
    UnprovenFiles,
    MissingDigest,
    MissingSignature,
    AlteredDigest,
    BadSignature,
    WrongKey,
    ReplayedDigest,
    SplicedChain,
    ForkedChain,
    WindowGap,
    UnknownVersion,
    InvalidDigest,
    MissingObject,
    AlteredObject,
    Reordered,
    ExtraObject,
    ContentMismatch,
}

impl BreakCode {
    pub const ALL: [Self; 22] = [
        Self::NoDigests,
        Self::WrongPlace,
        Self::TruncatedChain,
        Self::OutdatedCopy,
        Self::NotWhole,
        Self::UnprovenFiles,
        Self::MissingDigest,
        Self::MissingSignature,
        Self::AlteredDigest,
        Self::BadSignature,
        Self::WrongKey,
        Self::ReplayedDigest,
        Self::SplicedChain,
        Self::ForkedChain,
        Self::WindowGap,
        Self::UnknownVersion,
        Self::InvalidDigest,
        Self::MissingObject,
        Self::AlteredObject,
        Self::Reordered,
        Self::ExtraObject,
        Self::ContentMismatch,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoDigests => "NO_DIGESTS",
            Self::WrongPlace => "WRONG_PLACE",
            Self::TruncatedChain => "TRUNCATED_CHAIN",
            Self::OutdatedCopy => "OUTDATED_COPY",
            Self::NotWhole => "NOT_WHOLE",
            Self::UnprovenFiles => "UNPROVEN_FILES",
            Self::MissingDigest => "MISSING_DIGEST",
            Self::MissingSignature => "MISSING_SIGNATURE",
            Self::AlteredDigest => "ALTERED_DIGEST",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::WrongKey => "WRONG_KEY",
            Self::ReplayedDigest => "REPLAYED_DIGEST",
            Self::SplicedChain => "SPLICED_CHAIN",
            Self::ForkedChain => "FORKED_CHAIN",
            Self::WindowGap => "WINDOW_GAP",
            Self::UnknownVersion => "UNKNOWN_VERSION",
            Self::InvalidDigest => "INVALID_DIGEST",
            Self::MissingObject => "MISSING_OBJECT",
            Self::AlteredObject => "ALTERED_OBJECT",
            Self::Reordered => "REORDERED",
            Self::ExtraObject => "EXTRA_OBJECT",
            Self::ContentMismatch => "CONTENT_MISMATCH",
        }
    }

    /// One sentence on what the code says.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::NoDigests => "There is no digest at all, so nothing can be proved.",
            Self::WrongPlace => "The digests tell of another bucket or path than the one that was looked at.",
            Self::TruncatedChain => "The newest digests are missing: the chain ends before what was expected of it.",
            Self::OutdatedCopy => "The copy ends before the newest export that the service knows: it was made earlier.",
            Self::UnprovenFiles => {
                "Only proven files were required, but there are files here that no proven digest covers."
            }
            Self::NotWhole => {
                "The whole export was required, but digests or objects of it are elsewhere or were not looked at."
            }
            Self::MissingDigest => "A digest is not there, although the digest after it or its own signature names it.",
            Self::MissingSignature => "A digest has no signature beside it.",
            Self::AlteredDigest => {
                "A digest's bytes are not those that the digest after it names, and no known key signed them."
            }
            Self::BadSignature => "A signature does not fit its digest: one of the two was changed.",
            Self::WrongKey => "A digest names a signing key that is none of the given public keys.",
            Self::ReplayedDigest => {
                "A digest with a good signature lies under another name than its own: it was moved or copied there."
            }
            Self::SplicedChain => "A digest with a good signature belongs to another tenant or configuration.",
            Self::ForkedChain => {
                "Two digests with good signatures claim the same place in the chain, or one is linked by none."
            }
            Self::WindowGap => {
                "Two digests that follow each other do not meet: their windows or sequence numbers leave a gap or overlap."
            }
            Self::UnknownVersion => "A digest has a version that this program does not know.",
            Self::InvalidDigest => "A digest with a good signature contradicts itself or the format.",
            Self::MissingObject => "An object that a digest names is not there.",
            Self::AlteredObject => "An object's bytes are not those that its digest names.",
            Self::Reordered => {
                "An object holds the bytes of another object, or a digest lists its objects out of order or overlapping."
            }
            Self::ExtraObject => {
                "A file that no digest names lies inside of the verified period, among the digests, or in the future."
            }
            Self::ContentMismatch => {
                "An object has the right bytes, but its CRC-32, length or number of events is not what its digest says."
            }
        }
    }
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Break {
    pub code: BreakCode,
    /// The file's name, relative to the export's prefix; `None`: it is about the export as a whole.
    pub file: Option<String>,
    /// The digest that it was found with.
    pub sequence: Option<u64>,
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_spelled_alike_everywhere() {
        for code in BreakCode::ALL {
            assert_eq!(serde_json::to_value(code).ok(), Some(code.as_str().into()));
            assert!(code.explanation().ends_with('.'));
        }
    }
}
