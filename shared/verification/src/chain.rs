//! The chain of proven digests.

use domain::{
    allowance::MAX_DIGESTS_OF_TEN_YEARS,
    block::BlockId,
    digest::{Digest, Hex32},
    export_format::ExportFormat,
    object_key::lake_folder,
};

use crate::{
    export_files::{ExportFiles, ReadError},
    files::{BoundedFile, read_bounded},
    names::{BESIDE, DigestName, LakeName},
    place::Place,
};

/// The most digests of one export: more than a century of an export every two hours. Each takes about 100 bytes.
pub(crate) const MAX_DIGESTS: usize = 1_000_000;

// A script that requests runs can't exhaust it: ten years of all manual runs that a configuration is allowed, and of the
// shortest schedule, make fewer digests. More come only with data: a window of more than `MAX_DIGEST_OBJECTS` objects, and
// one that an edit of the destination ends after an object of it was delivered.
const _: () = assert!(MAX_DIGESTS_OF_TEN_YEARS < MAX_DIGESTS as u64);

/// The most bytes of a digest, which is stored as one item of `DynamoDB` (400 KB) before it is written.
pub const MAX_DIGEST_LENGTH: u64 = 400 * 1024;

/// The proven digests, the oldest first, and what they say about the export.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) digests: Vec<ProvenDigest>,
    pub(crate) place: Option<Place>,
    /// True if some object is in the layout of Security Lake, here or elsewhere.
    pub(crate) has_classes: bool,
    /// The folder of such objects in this place, of the newest digest that has some.
    pub(crate) lake: Option<Lake>,
    /// The number of references to this place. Without any, the digests are of another one.
    pub(crate) references_here: u64,
}

/// The folder of the objects in the layout of Security Lake.
#[derive(Clone, Debug)]
pub(crate) struct Lake {
    pub(crate) region: String,
    /// Relative to the export's prefix, with a slash at its end.
    pub(crate) folder: String,
}

impl Lake {
    pub(crate) fn of(name: LakeName<'_>) -> Self {
        let region = name.region.to_owned();
        Self { folder: format!("{BESIDE}{}/", lake_folder(&region)), region }
    }
}

/// The summary of a proven digest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProvenDigest {
    pub(crate) name: DigestName,
    pub(crate) sha256: Hex32,
    pub(crate) first_block: BlockId,
    pub(crate) end_block: BlockId,
    pub(crate) before: Before,
    /// True if it can be the first one here after the destination was changed: the previous digest and all objects, if
    /// there are any, are in one place.
    pub(crate) names_one_place: bool,
    /// The format of its objects in this place. `None`: it names none.
    pub(crate) format: Option<ExportFormat>,
}

/// The link from a digest to the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// The previous digest is the one before it in the list of the proven.
    Linked,
    /// The digest is the first of its configuration.
    Nothing,
    /// The previous digest is in another place, or broken.
    Unknown,
}

impl ProvenDigest {
    /// Reads the digest again.
    ///
    /// # Errors
    /// [`ReadError`] if the file changed since the digest was proven.
    pub(crate) async fn read<F: ExportFiles + ?Sized>(self, export: &F) -> Result<Digest, ReadError> {
        let name = self.name.file();
        match read_bounded(export, &name, MAX_DIGEST_LENGTH).await? {
            BoundedFile::Read(bytes) if Hex32::sha256_of(&bytes) == self.sha256 => Digest::from_bytes(&bytes).ok(),
            _ => None,
        }
        .ok_or_else(|| ReadError::Unreadable(format!("{name} changed during the verification")))
    }
}
