//! Segments of the archive as objects of the service's own bucket.

use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_sdk_s3::{Client, operation::get_object::GetObjectError, primitives::ByteStream};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{archive::TenantSegments, configuration::bucket::BucketName, tenant::TenantId};
use export_engine::ports::{PortError, SegmentEraser, SegmentStore};
use futures::stream::{StreamExt, TryStreamExt, iter};
use tokio::time::timeout;

use crate::{
    error::{Fault, port_error},
    object_sink::{ANY_OBJECT, BASE_TIMEOUT, KnownPayloadHash, attempt_timeout, retry_at_most, timeout_config},
};

/// The attempts of one request, including the first.
const MAX_SEGMENT_ATTEMPTS: u32 = 3;

/// The objects that one request lists, which is the most that S3 returns.
const PAGE_LENGTH: i32 = 1_000;

/// The concurrent deletions. A page of a tenant's segments is deleted in some seconds.
const MAX_CONCURRENT_DELETIONS: usize = 16;

/// The bucket of the archive. Most runs need no segment, so its client is created when the first one is read.
#[derive(Debug)]
pub struct SegmentBucket {
    base: SdkConfig,
    client: OnceLock<Client>,
    bucket: BucketName,
}

impl SegmentBucket {
    /// Returns the bucket with its own client. A request may take as long as its body needs, and no longer: a run that waits holds
    /// its lease.
    #[must_use]
    pub fn new(base: &SdkConfig, bucket: BucketName) -> Self {
        Self { base: base.clone(), client: OnceLock::new(), bucket }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let configuration = aws_sdk_s3::config::Builder::from(&self.base)
                .retry_config(retry_at_most(&self.base, MAX_SEGMENT_ATTEMPTS))
                .timeout_config(timeout_config(BASE_TIMEOUT))
                .build();
            Client::from_conf(configuration)
        })
    }
}

impl SegmentStore for SegmentBucket {
    async fn put_segment(&self, key: &str, bytes: Bytes, sha256: [u8; 32]) -> Result<(), PortError> {
        let operation = "s3:PutObject (segment)";
        let timeouts = timeout_config(attempt_timeout(BASE_TIMEOUT, bytes.len()));
        let answer = self
            .client()
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key)
            .if_none_match(ANY_OBJECT)
            .checksum_sha256(STANDARD.encode(sha256))
            .content_type("application/octet-stream")
            .body(ByteStream::from(bytes))
            .customize()
            .interceptor(KnownPayloadHash(sha256))
            .config_override(aws_sdk_s3::Config::builder().timeout_config(timeouts))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match Fault::of(&error).code {
                // There is one.
                Some("PreconditionFailed") => Ok(()),
                // "Retry the upload": <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
                Some("ConditionalRequestConflict") => {
                    Err(PortError::transient(operation, "another write of the same segment is in progress"))
                }
                _ => Err(port_error(operation, error)),
            },
        }
    }

    async fn read_segment(&self, key: &str, offset: u64, length: u64) -> Result<Bytes, PortError> {
        let operation = "s3:GetObject (segment)";
        let last = offset.saturating_add(length.saturating_sub(1));
        let request =
            self.client().get_object().bucket(self.bucket.as_str()).key(key).range(format!("bytes={offset}-{last}"));
        let found = request.send().await.map_err(|error| with_key(operation, key, error))?;
        let bytes = received(operation, key, length, found.body.collect()).await?.into_bytes();
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            let detail = format!("{key} has {} bytes from {offset} on instead of {length}", bytes.len());
            Err(PortError::internal(operation, detail))
        }
    }
}

/// Returns the body of an answer. The SDK's limits end with the headers, so this one bounds the body.
async fn received<T, E: std::fmt::Display>(
    operation: &'static str,
    key: &str,
    length: u64,
    body: impl Future<Output = Result<T, E>>,
) -> Result<T, PortError> {
    let longest = attempt_timeout(BASE_TIMEOUT, usize::try_from(length).unwrap_or(usize::MAX));
    match timeout(longest, body).await {
        Ok(Ok(body)) => Ok(body),
        // The connection was closed: the same request may succeed.
        Ok(Err(error)) => Err(PortError::transient(operation, format!("{key} was cut off: {error}"))),
        Err(_) => {
            let detail = format!("{key} was not there after {} s", longest.as_secs());
            Err(PortError::transient(operation, detail))
        }
    }
}

/// Adds the key to the error of a read. The role may not list the bucket, so S3 says 403 for an object that is not there.
fn with_key(operation: &'static str, key: &str, error: SdkError<GetObjectError, HttpResponse>) -> PortError {
    let classified = port_error(operation, error);
    PortError { detail: format!("{key}: {}", classified.detail), ..classified }
}

impl SegmentEraser for SegmentBucket {
    async fn erase_segments(&self, tenant: &TenantId) -> Result<u64, PortError> {
        for prefix in TenantSegments(tenant).prefixes() {
            let versions = self.versions(&prefix).await?;
            if versions.is_empty() {
                continue;
            }
            let count = versions.len() as u64;
            let deletions: Vec<_> = versions.into_iter().map(|(key, version)| self.delete(key, version)).collect();
            let deleted = iter(deletions).buffer_unordered(MAX_CONCURRENT_DELETIONS);
            deleted.try_for_each(|()| std::future::ready(Ok(()))).await?;
            return Ok(count);
        }
        Ok(0)
    }
}

impl SegmentBucket {
    /// Lists keys and versions of a page, those of markers of deletion included.
    async fn versions(&self, prefix: &str) -> Result<Vec<(String, String)>, PortError> {
        let operation = "s3:ListObjectVersions (segments to erase)";
        let request =
            self.client().list_object_versions().bucket(self.bucket.as_str()).prefix(prefix).max_keys(PAGE_LENGTH);
        let page = request.send().await.map_err(|error| port_error(operation, error))?;
        let versions = page.versions.unwrap_or_default().into_iter().map(|version| (version.key, version.version_id));
        let markers = page.delete_markers.unwrap_or_default().into_iter().map(|marker| (marker.key, marker.version_id));
        let both = versions.chain(markers).map(|(key, version)| Some((key?, version?)));
        both.collect::<Option<_>>().ok_or_else(|| PortError::internal(operation, "a version without a key or an ID"))
    }

    async fn delete(&self, key: String, version: String) -> Result<(), PortError> {
        let request = self.client().delete_object().bucket(self.bucket.as_str()).key(key).version_id(version);
        request.send().await.map(drop).map_err(|error| port_error("s3:DeleteObjectVersion (segment)", error))
    }
}

#[cfg(test)]
mod tests;
