//! Signed digests, as they are in the bucket.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::digest::SIGNATURE_SUFFIX;

use super::context;
use crate::service::DeliveredDigest;

#[derive(Default)]
pub struct DigestQuery;

#[Object]
impl DigestQuery {
    /// The signed digest of a job that succeeded, to restore it if it was removed from the bucket or replaced there.
    /// `NOT_FOUND`: the job has not succeeded, or its history has expired.
    async fn get_export_digest(&self, context: &Context<'_>, export_job_id: ID) -> Result<Option<ExportDigest>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.digest(caller, &export_job_id).await?.into()))
    }
}

/// The signed digest of a job, byte for byte.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportDigest {
    export_job_id: ID,
    /// The bucket that the digest was written to.
    bucket_name: String,
    /// The digest's name in the bucket.
    object_key: String,
    /// The digest's exact bytes, which are UTF-8 and end with a line feed.
    digest: String,
    /// The SHA-256 of the digest's bytes, in hexadecimal.
    sha256: String,
    /// The signature's name in the bucket.
    signature_object_key: String,
    /// The signature's exact bytes (ASN.1 DER), in base64.
    signature: String,
    /// The SHA-256 of the signature's bytes, in hexadecimal.
    signature_sha256: String,
}

impl From<DeliveredDigest> for ExportDigest {
    fn from(DeliveredDigest { job, reference, text, signature }: DeliveredDigest) -> Self {
        Self {
            export_job_id: ID(job.to_string()),
            bucket_name: reference.bucket.as_str().to_owned(),
            signature_object_key: format!("{}{SIGNATURE_SUFFIX}", reference.key),
            object_key: reference.key,
            digest: text,
            sha256: reference.sha256.to_string(),
            signature: STANDARD.encode(signature),
            signature_sha256: reference.signature_sha256.to_string(),
        }
    }
}
