//! The examination of one digest: its signature, identity, link and contents.

use domain::{
    configuration::ConfigurationId,
    digest::{Digest, DigestReference, Hex32, InvalidDigest},
    tenant::TenantId,
};

use crate::{
    breaks::{Break, BreakCode},
    contradiction::contradiction,
    files::BoundedFile,
    keys::PublicKeys,
    names::DigestName,
    pair::Pair,
};

/// The owner of an export, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) configuration_id: Option<ConfigurationId>,
    pub(crate) tenant_id: Option<TenantId>,
}

impl Identity {
    /// Checks that the digest is of this tenant and configuration, and of this name.
    fn check(&self, digest: &Digest, name: DigestName) -> Result<(), Break> {
        let fail = |code, detail: String| Err(Break::of_digest(code, name, detail));
        if self.configuration_id.is_some_and(|expected| expected != digest.configuration_id) {
            return fail(BreakCode::SplicedChain, format!("it is of configuration {}", digest.configuration_id));
        }
        if self.tenant_id.as_ref().is_some_and(|expected| *expected != digest.tenant_id) {
            return fail(BreakCode::SplicedChain, format!("it is of tenant {}", digest.tenant_id));
        }
        if (digest.sequence, digest.window.to) != (name.sequence, name.to) {
            let detail = format!("it is digest {} through {}", digest.sequence, digest.window.to);
            return fail(BreakCode::ReplayedDigest, detail);
        }
        Ok(())
    }
}

/// Checks a digest by itself and against the reference of the next one.
pub(crate) fn examine(
    pair: &Pair,
    expected: Option<&DigestReference>,
    keys: &PublicKeys,
    identity: &Identity,
) -> Result<Digest, Break> {
    let name = pair.name;
    let fail = |code, detail: &str| Err(Break::of_digest(code, name, detail));
    let bytes = match &pair.digest {
        BoundedFile::Read(bytes) => bytes,
        BoundedFile::Missing => return fail(BreakCode::MissingDigest, "only its signature exists"),
        BoundedFile::TooLong => return fail(BreakCode::AlteredDigest, "it is longer than any digest"),
    };
    let signature = match &pair.signature {
        BoundedFile::Read(bytes) => bytes.as_slice(),
        BoundedFile::Missing => {
            return fail(BreakCode::MissingSignature, "a run may be in progress: verify again later");
        }
        BoundedFile::TooLong => return fail(BreakCode::BadSignature, "the signature is longer than any"),
    };
    let actual = Hex32::sha256_of(bytes);
    let parsed = Digest::from_bytes(bytes);
    let signed = match &parsed {
        Ok(digest) => keys.verify(digest.signing_key, bytes, signature).ok_or(digest.signing_key),
        Err(_) => Ok(keys.any_verifies(bytes, signature)),
    };
    let is_expected = expected.is_none_or(|expected| expected.sha256 == actual);
    let differs = || format!("its SHA-256 is {actual}");
    match signed {
        Err(key) if is_expected => return fail(BreakCode::WrongKey, &format!("it names key {key}")),
        Err(key) => {
            let detail = format!("it names key {key}, and the next digest names another digest");
            return fail(BreakCode::WrongKey, &detail);
        }
        Ok(false) if is_expected => {
            return fail(BreakCode::BadSignature, "the signature does not match these bytes");
        }
        Ok(false) => return fail(BreakCode::AlteredDigest, &differs()),
        Ok(true) => {}
    }
    let digest = match parsed {
        Ok(digest) => digest,
        Err(error @ InvalidDigest::UnknownVersion(_)) => {
            return fail(BreakCode::UnknownVersion, &error.to_string());
        }
        Err(error) => return fail(BreakCode::InvalidDigest, &error.to_string()),
    };
    identity.check(&digest, name)?;
    if !is_expected {
        return fail(BreakCode::ForkedChain, &format!("{}, and the next digest names another digest", differs()));
    }
    if expected.is_some_and(|expected| expected.signature_sha256 != Hex32::sha256_of(signature)) {
        return fail(BreakCode::BadSignature, "the next digest names another signature");
    }
    if !name.fits_signature(Hex32::sha256_of(signature)) {
        return fail(BreakCode::ReplayedDigest, "the end of its name does not match the signature");
    }
    if digest.to_bytes().ok().as_ref() != Some(bytes) {
        return fail(BreakCode::InvalidDigest, "its bytes are not in the format of a digest");
    }
    match contradiction(&digest) {
        Some((code, detail)) => fail(code, &detail),
        None => Ok(digest),
    }
}
