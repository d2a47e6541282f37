//! A customer's bucket in S3.

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
    config::Region as SdkRegion,
    operation::put_object::builders::PutObjectFluentBuilder,
    primitives::ByteStream,
    types::{
        ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectCannedAcl, ServerSideEncryption,
    },
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    configuration::{
        Destination,
        arn::{AccountId, KmsKeyArn},
    },
    policy::{AccountScope, BUCKET_OWNER_FULL_CONTROL},
};
use export_engine::ports::{
    ContentType, ErrorKind, ObjectSink, PartOutcome, PortError, PutCondition, PutObject, PutOutcome, UploadId,
    UploadedPart,
};
use sha2::{Digest, Sha256};

pub(crate) use self::attempts::retry_at_most;
use self::{
    attempts::{BASE_TIMEOUT, COMPLETION_TIMEOUT, MAX_ATTEMPTS, attempt_timeout, timeout_config},
    interceptors::{KnownPayloadHash, Transmissions},
};
use crate::error::{Fault, port_error_of_kind};

/// `If-None-Match: *`: only if there is no such object. Source:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
const ANY_OBJECT: &str = "*";

/// Writes into one bucket, with credentials for the customer's account.
#[derive(Clone, Debug)]
pub struct S3ObjectSink {
    client: Client,
    bucket: String,
    expected_bucket_owner: AccountId,
    acl: Option<ObjectCannedAcl>,
    /// `true`: the credentials are those of a session, which this service created, and not the customer.
    is_session: bool,
    kms_key_arn: Option<KmsKeyArn>,
    base_timeout: Duration,
}

impl S3ObjectSink {
    /// Returns the sink for writes with the `credentials` of a role or user of the account `writer`.
    #[must_use]
    pub fn new(base: &SdkConfig, credentials: Credentials, destination: &Destination, writer: &AccountId) -> Self {
        Self::with_base_timeout(base, credentials, destination, writer, BASE_TIMEOUT)
    }

    fn with_base_timeout(
        base: &SdkConfig,
        credentials: Credentials,
        destination: &Destination,
        writer: &AccountId,
        base_timeout: Duration,
    ) -> Self {
        let is_session = credentials.session_token().is_some();
        let configuration = aws_sdk_s3::config::Builder::from(base)
            .region(SdkRegion::new(destination.region.as_str().to_owned()))
            .credentials_provider(credentials)
            .retry_config(retry_at_most(base, MAX_ATTEMPTS))
            .timeout_config(timeout_config(base_timeout))
            .build();
        Self {
            client: Client::from_conf(configuration),
            bucket: destination.bucket_name.as_str().to_owned(),
            expected_bucket_owner: destination.expected_bucket_owner.as_ref().unwrap_or(writer).clone(),
            acl: match AccountScope::of(destination, Some(writer)) {
                AccountScope::Same => None,
                AccountScope::Cross => Some(ObjectCannedAcl::from(BUCKET_OWNER_FULL_CONTROL)),
            },
            kms_key_arn: destination.kms_key_arn.clone(),
            is_session,
            base_timeout,
        }
    }

    /// Returns the request that writes `key` at once. The trial and every delivered object use it, so that a policy that
    /// permits one permits all.
    fn put(&self, key: &str, content_type: ContentType, sha256: [u8; 32]) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .expected_bucket_owner(self.expected_bucket_owner.as_str())
            .set_acl(self.acl.clone())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key_id())
            .content_type(content_type.header())
            .if_none_match(ANY_OBJECT)
            .checksum_sha256(STANDARD.encode(sha256))
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
        error: SdkError<E, HttpResponse>,
        transmissions: &Transmissions,
    ) -> Result<PutOutcome, PortError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match Fault::of(&error).code {
            Some("PreconditionFailed") => Ok(PutOutcome::Exists { was_repeated: transmissions.was_repeated() }),
            // "Retry the upload": <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
            Some("ConditionalRequestConflict" | "NoSuchUpload") => Ok(PutOutcome::Lost),
            Some("OperationAborted") => Ok(PutOutcome::Aborted(self.refused(operation, error))),
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
            _ => refusal::classify(&error),
        };
        port_error_of_kind(kind, operation, error)
    }

    /// Returns the settings of a request with a body of this length.
    fn for_body(&self, length: usize) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder().timeout_config(timeout_config(attempt_timeout(self.base_timeout, length)))
    }
}

impl ObjectSink for S3ObjectSink {
    async fn put_object(&self, object: PutObject<'_>) -> Result<PutOutcome, PortError> {
        let settings = self.for_body(object.bytes.len());
        let transmissions = Transmissions::default();
        let put = self.put(object.key, object.content_type, object.sha256);
        let put = match object.condition {
            PutCondition::Absent => put,
            PutCondition::Replace => put.set_if_none_match(None),
        };
        let answer = put
            .body(ByteStream::from(object.bytes))
            .customize()
            .config_override(settings)
            .interceptor(KnownPayloadHash(object.sha256))
            .interceptor(transmissions.clone())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(PutOutcome::Written),
            Err(error) => self.write_outcome("s3:PutObject", error, &transmissions),
        }
    }

    /// S3 checks permissions before bytes, and refuses bytes that differ from the announced hash:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>.
    async fn try_put(&self, key: &str) -> Result<(), PortError> {
        let operation = "s3:PutObject (trial)";
        let answer = self
            .put(key, ContentType::Gzip, Sha256::digest("other bytes than these").into())
            .body(ByteStream::from_static(b"trial"))
            .send()
            .await;
        match answer {
            Ok(_) => Err(PortError::internal(operation, "S3 accepted bytes that differ from their announced hash")),
            Err(error) => match Fault::of(&error).code {
                // S3 checks each of them after the permissions.
                Some("BadDigest" | "PreconditionFailed" | "ConditionalRequestConflict") => Ok(()),
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
            .expected_bucket_owner(self.expected_bucket_owner.as_str())
            .set_acl(self.acl.clone())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key_id())
            .content_type(content_type.header())
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_type(ChecksumType::Composite)
            .send()
            .await
            .map_err(|error| self.refused(operation, error))?;
        let id = answer.upload_id.ok_or_else(|| PortError::internal(operation, "S3 gave no upload id"))?;
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
            .expected_bucket_owner(self.expected_bucket_owner.as_str())
            .upload_id(&upload.0)
            .part_number(i32::from(number))
            .checksum_sha256(&sha256)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(settings)
            .interceptor(KnownPayloadHash(hash))
            .send()
            .await;
        match answer {
            Ok(part) => {
                let entity_tag = part.e_tag.ok_or_else(|| PortError::internal(operation, "S3 gave no entity tag"))?;
                Ok(PartOutcome::Uploaded(UploadedPart { number, entity_tag, sha256 }))
            }
            Err(error) if Fault::of(&error).code == Some("NoSuchUpload") => Ok(PartOutcome::Lost),
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
                .checksum_sha256(&part.sha256)
                .build()
        });
        let transmissions = Transmissions::default();
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .expected_bucket_owner(self.expected_bucket_owner.as_str())
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
            Err(error) => self.write_outcome("s3:CompleteMultipartUpload", error, &transmissions),
        }
    }
}
