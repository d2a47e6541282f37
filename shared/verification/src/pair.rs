//! Digests with their signatures, as listed and as read.

use crate::{
    chain::MAX_DIGEST_LENGTH,
    export_files::{ExportFiles, ReadError},
    files::{BoundedFile, read_bounded},
    names::DigestName,
};

/// The most bytes of a signature, which has 72 at most: two numbers of 33 with their heads (ASN.1 DER).
pub const MAX_SIGNATURE_LENGTH: u64 = 128;

/// A name among the digests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) name: DigestName,
    pub(crate) has_digest: bool,
    pub(crate) has_signature: bool,
}

/// A digest and its signature, as read.
pub(crate) struct Pair {
    pub(crate) name: DigestName,
    pub(crate) digest: BoundedFile,
    pub(crate) signature: BoundedFile,
}

impl Pair {
    pub(crate) async fn read<F: ExportFiles + ?Sized>(export: &F, listed: Listed) -> Result<Self, ReadError> {
        let Listed { name, has_digest, has_signature } = listed;
        let digest = if has_digest {
            read_bounded(export, &name.file(), MAX_DIGEST_LENGTH).await?
        } else {
            BoundedFile::Missing
        };
        let signature = if has_signature {
            read_bounded(export, &name.signature_file(), MAX_SIGNATURE_LENGTH).await?
        } else {
            BoundedFile::Missing
        };
        Ok(Self { name, digest, signature })
    }
}
