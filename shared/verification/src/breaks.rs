//! Breaks: the ways in which a delivered audit log can be incomplete or changed.

use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

use crate::names::DigestName;

/// A kind of break. The codes are stable: scripts and auditors rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
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
    FilterMismatch,
}

impl BreakCode {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns one sentence that describes the break.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::NoDigests => "There is no digest, so nothing can be verified.",
            Self::WrongPlace => "The digests name another bucket or path than the one that was verified.",
            Self::TruncatedChain => {
                "The newest digests are missing: the chain ends before the expected time or without the expected digest."
            }
            Self::OutdatedCopy => {
                "The copy was made before the newest export that the service reports, and ends earlier."
            }
            Self::UnprovenFiles => "All files were required to be proven, but no proven digest covers some of them.",
            Self::NotWhole => {
                "The whole export was required, but some of its digests or objects are elsewhere or were not checked."
            }
            Self::MissingDigest => "A digest is missing, although the next digest or its own signature names it.",
            Self::MissingSignature => "A digest has no signature file.",
            Self::AlteredDigest => {
                "The bytes of a digest differ from those that the next digest names, and no known key signed them."
            }
            Self::BadSignature => "A signature does not match its digest: one of the two was changed.",
            Self::WrongKey => "A digest names a signing key that is not among the given public keys.",
            Self::ReplayedDigest => {
                "A digest with a valid signature has the name of another digest: it was moved or copied."
            }
            Self::SplicedChain => "A digest with a valid signature belongs to another tenant or configuration.",
            Self::ForkedChain => {
                "Two digests with valid signatures claim the same place in the chain, or no digest links to one of them."
            }
            Self::WindowGap => {
                "Two consecutive digests do not meet: their windows or sequence numbers leave a gap or overlap."
            }
            Self::UnknownVersion => "A digest has a version that this program does not support.",
            Self::InvalidDigest => "A digest with a valid signature contradicts itself or the format.",
            Self::MissingObject => "An object that a digest names is missing.",
            Self::AlteredObject => "The bytes of an object differ from those that its digest names.",
            Self::Reordered => {
                "An object holds the bytes of another object, or a digest lists its objects out of order or overlapping."
            }
            Self::ExtraObject => {
                "A file that no digest names is in the verified period, among the digests, or dated in the future."
            }
            Self::ContentMismatch => {
                "An object has the right bytes, but its CRC-32, length or number of events differs from its digest."
            }
            Self::FilterMismatch => "An object holds an event that the filter of its digest leaves out.",
        }
    }
}

/// One break, and the file that it was found in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Break {
    pub code: BreakCode,
    /// The file's name, relative to the export's prefix. `None`: the break concerns the export as a whole.
    pub file: Option<String>,
    /// The sequence of the digest that it was found with.
    pub sequence: Option<u64>,
    pub detail: String,
}

impl Break {
    /// Returns a break of the export as a whole.
    pub(crate) fn of_export(code: BreakCode, detail: impl Into<String>) -> Self {
        Self { code, file: None, sequence: None, detail: detail.into() }
    }

    /// Returns a break of a digest or of its signature.
    pub(crate) fn of_digest(code: BreakCode, name: DigestName, detail: impl Into<String>) -> Self {
        Self { code, file: Some(name.file()), sequence: Some(name.sequence), detail: detail.into() }
    }
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
