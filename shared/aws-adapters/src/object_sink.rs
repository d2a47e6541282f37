//! A customer's bucket in S3, of AWS or of another server.

mod attempts;
mod interceptors;
mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_s3::{
    Client,
    config::{Region as SdkRegion, RequestChecksumCalculation, ResponseChecksumValidation},
    operation::put_object::builders::PutObjectFluentBuilder,
    primitives::ByteStream,
    types::{
        ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectCannedAcl, ServerSideEncryption,
    },
};
use aws_smithy_runtime_api::client::{http::SharedHttpClient, orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    configuration::{
        Destination, S3Server,
        arn::{AccountId, KmsKeyArn},
        bucket::BucketName,
        region::{Region, SigningRegion},
    },
    connection::{ConnectionFailure, Refusal},
    policy::{AccountScope, BUCKET_OWNER_FULL_CONTROL},
};
use export_engine::ports::{
    ContentType, ErrorKind, ObjectSink, PartOutcome, PortError, PutCondition, PutObject, PutOutcome, UploadId,
    UploadedPart,
};
use sha2::{Digest, Sha256};

pub(crate) use self::{
    attempts::{BASE_TIMEOUT, attempt_timeout, retry_at_most, timeout_config},
    interceptors::KnownPayloadHash,
};
use self::{
    attempts::{COMPLETION_TIMEOUT, MAX_ATTEMPTS},
    interceptors::Transmissions,
};
use crate::error::{Fault, port_error_of_kind};

/// `If-None-Match: *`: only if there is no such object. Source:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
pub(crate) const ANY_OBJECT: &str = "*";

/// Writes into one bucket, with credentials of the customer.
#[derive(Clone, Debug)]
pub struct S3ObjectSink {
    client: Client,
    bucket: String,
    /// `None`: the bucket is on another server than AWS's.
    expected_bucket_owner: Option<AccountId>,
    acl: Option<ObjectCannedAcl>,
    /// `true`: the credentials are those of a session, which this service created, and not the customer.
    is_session: bool,
    kms_key_arn: Option<KmsKeyArn>,
    base_timeout: Duration,
}

impl S3ObjectSink {
    /// Returns the sink for writes to a bucket in AWS, with the `credentials` of a role or user of the account `writer`.
    #[must_use]
    pub fn new(
        base: &SdkConfig,
        credentials: Credentials,
        destination: &Destination,
        region: &Region,
        writer: &AccountId,
    ) -> Self {
        Self::with_base_timeout(base, credentials, destination, region, writer, BASE_TIMEOUT)
    }

    fn with_base_timeout(
        base: &SdkConfig,
        credentials: Credentials,
        destination: &Destination,
        region: &Region,
        writer: &AccountId,
        base_timeout: Duration,
    ) -> Self {
        let is_session = credentials.session_token().is_some();
        let configuration = configuration(base, credentials, base_timeout).region(SdkRegion::new(region.to_string()));
        Self {
            client: Client::from_conf(configuration.build()),
            bucket: destination.bucket_name.as_str().to_owned(),
            expected_bucket_owner: Some(destination.expected_bucket_owner.as_ref().unwrap_or(writer).clone()),
            acl: match AccountScope::of(destination, Some(writer)) {
                AccountScope::Same => None,
                AccountScope::Cross => Some(ObjectCannedAcl::from(BUCKET_OWNER_FULL_CONTROL)),
            },
            kms_key_arn: destination.kms_key_arn.clone(),
            is_session,
            base_timeout,
        }
    }

    /// Returns the sink for writes to a bucket on another server than AWS's, over `connections`. Requests have nothing that only
    /// AWS knows: no expected owner, no ACL, no KMS key. The one checksum that every server knows is in the signature
    /// (`x-amz-content-sha256`).
    #[must_use]
    pub fn on_server(
        base: &SdkConfig,
        connections: SharedHttpClient,
        credentials: Credentials,
        bucket: &BucketName,
        server: &S3Server,
    ) -> Self {
        Self::at_endpoint(base, connections, credentials, bucket, server.endpoint.as_str(), &server.region)
    }

    fn at_endpoint(
        base: &SdkConfig,
        connections: SharedHttpClient,
        credentials: Credentials,
        bucket: &BucketName,
        endpoint: &str,
        region: &SigningRegion,
    ) -> Self {
        let configuration = configuration(base, credentials, BASE_TIMEOUT)
            .region(SdkRegion::new(region.to_string()))
            .endpoint_url(endpoint)
            .force_path_style(true)
            // Of AWS's endpoints.
            .use_fips(false)
            .use_dual_stack(false)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .http_client(connections);
        Self {
            client: Client::from_conf(configuration.build()),
            bucket: bucket.as_str().to_owned(),
            expected_bucket_owner: None,
            acl: None,
            kms_key_arn: None,
            is_session: false,
            base_timeout: BASE_TIMEOUT,
        }
    }

    fn is_on_server(&self) -> bool {
        self.expected_bucket_owner.is_none()
    }

    fn expected_bucket_owner(&self) -> Option<String> {
        self.expected_bucket_owner.as_ref().map(ToString::to_string)
    }

    /// Returns the checksum that S3 in AWS stores with an object and compares. Another server compares the signature's.
    fn checksum(&self, sha256: [u8; 32]) -> Option<String> {
        (!self.is_on_server()).then(|| STANDARD.encode(sha256))
    }

    /// Returns the request that writes `key` at once. The trial and every delivered object use it, so that a policy that
    /// permits one permits all.
    fn put(
        &self,
        key: &str,
        content_type: ContentType,
        sha256: [u8; 32],
        condition: PutCondition,
    ) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .set_expected_bucket_owner(self.expected_bucket_owner())
            .set_acl(self.acl.clone())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key_id())
            .content_type(content_type.header())
            .set_if_none_match(match condition {
                PutCondition::Absent => Some(ANY_OBJECT.to_owned()),
                PutCondition::Replace => None,
            })
            .set_checksum_sha256(self.checksum(sha256))
    }

    /// Returns the header that a bucket policy can require, like that of the key:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms>.
    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.kms_key_arn.is_some().then_some(ServerSideEncryption::AwsKms)
    }

    fn kms_key_id(&self) -> Option<String> {
        self.kms_key_arn.as_ref().map(|arn| arn.as_str().to_owned())
    }

    /// Classifies the error of a write.
    fn write_outcome<E>(
        &self,
        operation: &'static str,
        condition: PutCondition,
        error: SdkError<E, HttpResponse>,
        transmissions: &Transmissions,
    ) -> Result<PutOutcome, PortError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let Fault { code, status, .. } = Fault::of(&error);
        let has_failed = code == Some("PreconditionFailed") || (status == Some(412) && self.is_on_server());
        match code {
            // Without a condition, it says nothing about the key: it may be the answer of a proxy.
            _ if has_failed && condition == PutCondition::Absent => {
                Ok(PutOutcome::Exists { was_repeated: transmissions.was_repeated() })
            }
            // "Retry the upload": <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>. If another server
            // says so each time, its owner has to mend it.
            Some("ConditionalRequestConflict" | "NoSuchUpload") if !self.is_on_server() => Ok(PutOutcome::Lost),
            Some("OperationAborted" | "ConditionalRequestConflict" | "NoSuchUpload") => {
                Ok(PutOutcome::Aborted(self.refused(operation, error)))
            }
            _ => Err(self.refused(operation, error)),
        }
    }

    /// Classifies an error of S3. A customer can't resolve what is wrong with the credentials of a session.
    fn refused<E>(&self, operation: &'static str, error: SdkError<E, HttpResponse>) -> PortError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let kind = match Fault::of(&error).code {
            Some("SignatureDoesNotMatch") if self.is_session => ErrorKind::Internal,
            // The session may have ended, or AWS doesn't know it in this place yet: the next run gets another one.
            Some("InvalidAccessKeyId" | "TokenRefreshRequired") if self.is_session => ErrorKind::Transient,
            _ if self.is_on_server() => refusal::classify_of_server(&error),
            _ => refusal::classify(&error),
        };
        port_error_of_kind(kind, operation, error)
    }

    /// Returns the error of an answer without an error that lacks a part.
    fn incomplete(&self, operation: &'static str, detail: &'static str) -> PortError {
        if self.is_on_server() {
            let answer = Refusal { code: None, status: 200 };
            PortError::customer(operation, ConnectionFailure::BucketRefused(answer), detail)
        } else {
            PortError::internal(operation, detail)
        }
    }

    /// Returns the settings of a request with a body of this length.
    fn for_body(&self, length: usize) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder().timeout_config(timeout_config(attempt_timeout(self.base_timeout, length)))
    }
}

/// Returns what the clients of all buckets have in common.
fn configuration(base: &SdkConfig, credentials: Credentials, base_timeout: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::from(base)
        .credentials_provider(credentials)
        .retry_config(retry_at_most(base, MAX_ATTEMPTS))
        .timeout_config(timeout_config(base_timeout))
}

impl ObjectSink for S3ObjectSink {
    async fn put_object(&self, object: PutObject<'_>) -> Result<PutOutcome, PortError> {
        let settings = self.for_body(object.bytes.len());
        let transmissions = Transmissions::default();
        let answer = self
            .put(object.key, object.content_type, object.sha256, object.condition)
            .body(ByteStream::from(object.bytes))
            .customize()
            .config_override(settings)
            .interceptor(KnownPayloadHash(object.sha256))
            .interceptor(transmissions.clone())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(PutOutcome::Written),
            Err(error) => self.write_outcome("s3:PutObject", object.condition, error, &transmissions),
        }
    }

    /// S3 checks permissions before bytes, and refuses bytes that differ from the announced hash:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>. To another server, the
    /// hash is announced where every server looks for it: in the signature.
    async fn try_put(&self, key: &str, condition: PutCondition) -> Result<(), PortError> {
        let operation = "s3:PutObject (trial)";
        let other_hash = Sha256::digest("other bytes than these").into();
        let mut request =
            self.put(key, ContentType::Gzip, other_hash, condition).body(ByteStream::from_static(b"trial")).customize();
        if self.is_on_server() {
            request = request.interceptor(KnownPayloadHash(other_hash));
        }
        match request.send().await {
            Ok(_) if self.is_on_server() => {
                let detail = "the server accepted bytes that differ from their announced hash";
                Err(PortError::customer(operation, ConnectionFailure::ChecksumsMissing, detail))
            }
            Ok(_) => Err(PortError::internal(operation, "S3 accepted bytes that differ from their announced hash")),
            Err(error) => match (Fault::of(&error).code, Fault::of(&error).status) {
                // Servers have many codes for it, and those that notice it while they store the bytes answer 500. What else may be
                // wrong with a request, the marker has shown. Not 412: either there is no condition, or the key is free.
                (_, Some(400 | 500)) if self.is_on_server() => Ok(()),
                // S3 checks each of them after the permissions.
                (Some("BadDigest" | "PreconditionFailed" | "ConditionalRequestConflict"), _)
                    if !self.is_on_server() =>
                {
                    Ok(())
                }
                _ => Err(self.refused(operation, error)),
            },
        }
    }

    async fn create_multipart_upload(&self, key: &str, content_type: ContentType) -> Result<UploadId, PortError> {
        let operation = "s3:CreateMultipartUpload";
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .set_expected_bucket_owner(self.expected_bucket_owner())
            .set_acl(self.acl.clone())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key_id())
            .content_type(content_type.header())
            .set_checksum_algorithm((!self.is_on_server()).then_some(ChecksumAlgorithm::Sha256))
            .set_checksum_type((!self.is_on_server()).then_some(ChecksumType::Composite))
            .send()
            .await
            .map_err(|error| self.refused(operation, error))?;
        let id = answer.upload_id.ok_or_else(|| self.incomplete(operation, "S3 gave no upload id"))?;
        Ok(UploadId(id))
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<PartOutcome, PortError> {
        let operation = "s3:UploadPart";
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        let sha256 = STANDARD.encode(hash);
        let settings = self.for_body(bytes.len());
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .set_expected_bucket_owner(self.expected_bucket_owner())
            .upload_id(&upload.0)
            .part_number(i32::from(number))
            .set_checksum_sha256(self.checksum(hash))
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(settings)
            .interceptor(KnownPayloadHash(hash))
            .send()
            .await;
        match answer {
            Ok(part) => {
                let entity_tag = part.e_tag.ok_or_else(|| self.incomplete(operation, "S3 gave no entity tag"))?;
                Ok(PartOutcome::Uploaded(UploadedPart { number, entity_tag, sha256 }))
            }
            Err(error) if Fault::of(&error).code == Some("NoSuchUpload") => Ok(if self.is_on_server() {
                PartOutcome::Aborted(self.refused(operation, error))
            } else {
                PartOutcome::Lost
            }),
            Err(error) => Err(self.refused(operation, error)),
        }
    }

    async fn complete_multipart_upload(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<PutOutcome, PortError> {
        let parts = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(i32::from(part.number))
                .e_tag(&part.entity_tag)
                .set_checksum_sha256((!self.is_on_server()).then(|| part.sha256.clone()))
                .build()
        });
        let transmissions = Transmissions::default();
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .set_expected_bucket_owner(self.expected_bucket_owner())
            .upload_id(&upload.0)
            .if_none_match(ANY_OBJECT)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build())
            .customize()
            .config_override(aws_sdk_s3::Config::builder().timeout_config(timeout_config(COMPLETION_TIMEOUT)))
            .interceptor(transmissions.clone())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(PutOutcome::Written),
            Err(error) => self.write_outcome("s3:CompleteMultipartUpload", PutCondition::Absent, error, &transmissions),
        }
    }
}
