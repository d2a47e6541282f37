//! The signed digest of a window: sealed once, put until it is in the bucket.

use bytes::Bytes;
use domain::{
    block::BlockId,
    configuration::Destination,
    digest::{Digest, DigestReference, DigestTag, DigestWindow, Hex32, SIGNATURE_SUFFIX, digest_key},
    event_filter::EventFilter,
    export_format::ExportFormat,
    export_run::{ExportState, Window},
};
use host::Timer;
use sha2::{Digest as _, Sha256};

use crate::{
    ports::{ContentType, DigestSigner, Lease, ObjectSink, PortError, RunStore, SealedDigest},
    upload::{Upload, UploadShape, upload},
};

/// Seals the digest of the delivered part of the window and stores it before it is visible. If one is stored already, returns
/// that one with its end.
pub(crate) async fn seal(
    runs: &impl RunStore,
    signer: &impl DigestSigner,
    lease: &Lease,
    state: &ExportState,
    window: &Window,
    end: BlockId,
) -> Result<SealedDigest, PortError> {
    let mut objects = runs.intents(lease, window.id).await?;
    // An intent beyond the checkpoint was never carried out, or the next window finds its object again.
    objects.retain(|object| window.checkpoint.covers(object));
    if objects.len() as u64 != window.checkpoint.objects {
        let detail = format!("{} intents, {} objects delivered", objects.len(), window.checkpoint.objects);
        return Err(PortError::internal("seal digest", detail));
    }
    let gaps = window.gaps_before(end);
    let number = window.plan.encoder_version;
    let schema_version = ExportFormat::schema_of_encoder(number);
    let known = window.plan.encoding().filter(|known| known.format.has_schema() == schema_version.is_some());
    let Some(encoding) = known else {
        return Err(PortError::internal("seal digest", format!("the window was planned with encoder {number}")));
    };
    let left_out = window.checkpoint.left_out;
    if encoding.filter.is_none() && left_out > 0 {
        let detail = format!("{left_out} events are in no object, and the window has no filter");
        return Err(PortError::internal("seal digest", detail));
    }
    let (classes, classes_sha256) = Digest::stated_classes(encoding.ocsf.as_ref());
    let digest = Digest {
        version: Digest::version_for(&encoding, &gaps),
        tenant_id: lease.key.tenant_id.clone(),
        configuration_id: lease.key.configuration_id,
        sequence: window.id.sequence,
        window: DigestWindow::new(window.from, end),
        format: Digest::stated_format(encoding.format),
        schema_version,
        ocsf_version: encoding.ocsf.map(|ocsf| ocsf.version),
        classes,
        classes_sha256,
        filter_sha256: encoding.filter.as_ref().map(EventFilter::sha256),
        left_out: encoding.filter.as_ref().map(|_| left_out),
        filter: encoding.filter,
        objects,
        gaps,
        previous: state.head.clone(),
        signing_key: signer.fingerprint().await?,
    };
    let bytes = digest.to_bytes().map_err(|error| PortError::internal_from("seal digest", error))?;
    let signature = signer.sign(Sha256::digest(&bytes).into()).await?;
    let sealed = SealedDigest { end_block: end, bytes: Bytes::from(bytes), signature, is_tagged: true };
    runs.store_digest(lease, window.id.sequence, &sealed).await
}

/// The delivery of a digest: the first, or a repeated one, before which an earlier run may have put the digest into the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigestDelivery {
    First,
    Repeated,
}

/// Puts digest and signature into the bucket, unless they are there, and returns the reference to them.
pub(crate) async fn put(
    sink: &impl ObjectSink,
    timer: &impl Timer,
    lease: &Lease,
    sequence: u64,
    sealed: &SealedDigest,
    delivery: DigestDelivery,
    destination: &Destination,
) -> Result<DigestReference, PortError> {
    let sha256 = Hex32::sha256_of(&sealed.bytes);
    let signature_sha256 = Hex32::sha256_of(&sealed.signature);
    let tag = sealed.is_tagged.then(|| DigestTag::of_signature(signature_sha256));
    let key = digest_key(destination, &lease.key, sequence, sealed.end_block.timestamp(), tag);
    // The signature first: a digest without one would look forged.
    let signature_key = format!("{key}{SIGNATURE_SUFFIX}");
    for (key, bytes, sha256, content_type) in [
        (&signature_key, &sealed.signature, signature_sha256, ContentType::Binary),
        (&key, &sealed.bytes, sha256, ContentType::Json),
    ] {
        let object = Upload { key, bytes: bytes.clone(), sha256: sha256.0, shape: UploadShape::Single, content_type };
        let outcome = upload(sink, timer, &object).await?;
        if delivery == DigestDelivery::First {
            outcome.alarm_if_foreign(&lease.key, key);
        }
    }
    Ok(DigestReference { bucket: destination.bucket_name.clone(), key, sha256, signature_sha256 })
}
