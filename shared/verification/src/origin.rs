//! The origin that a copy claims, before anything is proven.

use domain::{
    configuration::ConfigurationId,
    digest::{DIGEST_FOLDER, Digest},
};
use futures::TryStreamExt;

use crate::{
    chain::MAX_DIGEST_LENGTH,
    export_files::{Entry, ExportFiles, ReadError},
    files::{BoundedFile, read_bounded},
    names::DigestName,
    place::Place,
};

/// The origin that a copy claims. Anyone who changed the copy may have changed the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedOrigin {
    pub configuration_id: ConfigurationId,
    /// `None`: the newest digest names no place.
    pub place: Option<Place>,
}

/// Reads the origin from the newest digest. `None`: there is no digest, or the newest is not readable.
///
/// # Errors
/// [`ReadError`] if files can't be read.
pub async fn claimed_origin_of<F: ExportFiles + ?Sized>(export: &F) -> Result<Option<ClaimedOrigin>, ReadError> {
    let mut newest = None;
    let mut entries = export.list(DIGEST_FOLDER);
    while let Some(Entry { name, .. }) = entries.try_next().await? {
        newest = DigestName::parse(&name).or(newest);
    }
    let Some(newest) = newest else { return Ok(None) };
    Ok(match read_bounded(export, &newest.file(), MAX_DIGEST_LENGTH).await? {
        BoundedFile::Read(bytes) => Digest::from_bytes(&bytes).ok().map(|digest| ClaimedOrigin {
            configuration_id: digest.configuration_id,
            place: Place::inferred_from(&digest),
        }),
        BoundedFile::Missing | BoundedFile::TooLong => None,
    })
}
