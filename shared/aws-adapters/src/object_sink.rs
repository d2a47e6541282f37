//! A customer's bucket, as S3 shows it to us.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::{
    Client,
    config::{Region as SdkRegion, retry::RetryConfig, timeout::TimeoutConfig},
    operation::put_object::builders::PutObjectFluentBuilder,
    primitives::ByteStream,
    types::{
        ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectCannedAcl, ServerSideEncryption,
    },
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef},
        },
        orchestrator::HttpResponse,
        result::SdkError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{config_bag::ConfigBag, error::metadata::ProvideErrorMetadata};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    configuration::{
        Destination,
        arn::{AccountId, KmsKeyArn},
        region::Region,
    },
    connection::ConnectionFailure,
    digest::Hex32,
    policy::{AccountScope, BUCKET_OWNER_FULL_CONTROL},
};
use export_engine::ports::{
    ContentType, ErrorKind, ObjectSink, PartAnswer, PortError, PutObject, UploadId, UploadedPart, WriteAnswer,
};
use sha2::{Digest, Sha256};

use crate::error::{Fault, describe, is_transient_code};

/// The time of one attempt of a request to S3 that has no body; [`attempt_timeout`] adds to it what a body takes.
const BASE_TIMEOUT: Duration = Duration::from_secs(5);

/// The rate at which a body is sent at the least, in bytes a second.
const MIN_UPLOAD_RATE: u64 = 512 * 1024;

/// The time of one attempt to complete an upload: S3 assembles the parts before it answers.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(15);

/// The attempts of one request to S3, the first included. A run that fails comes back later, and a Region that is out of
/// order must not hold it for longer.
const MAX_ATTEMPTS: u32 = 2;

/// `If-None-Match: *`: only if there is no such object. Source:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
const ANY_OBJECT: &str = "*";

/// Writes into one bucket, with credentials of the customer's.
#[derive(Clone, Debug)]
pub struct S3ObjectSink {
    client: Client,
    bucket: String,
    expected_bucket_owner: AccountId,
    acl: Option<ObjectCannedAcl>,
    /// Whether the credentials are a session's: then this service made them, and not the customer.
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

    /// Begins the request that writes `key` at once. The trial and every object that is delivered are made by it, so that a
    /// policy that permits one permits all.
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

    /// Bucket policies can demand both headers:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms>.
    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.kms_key_arn.is_some().then_some(ServerSideEncryption::AwsKms)
    }

    fn kms_key_id(&self) -> Option<String> {
        self.kms_key_arn.as_ref().map(|arn| arn.as_str().to_owned())
    }

    fn write_answer<E>(
        &self,
        operation: &'static str,
        error: &SdkError<E, HttpResponse>,
        transmissions: &Transmissions,
    ) -> Result<WriteAnswer, PortError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match Fault::of(error).code {
            Some("PreconditionFailed") => Ok(WriteAnswer::Exists { was_repeated: transmissions.was_repeated() }),
            // "Retry the upload": <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
            Some("ConditionalRequestConflict" | "NoSuchUpload") => Ok(WriteAnswer::Lost),
            Some("OperationAborted") => Ok(WriteAnswer::Aborted(self.refused(operation, error))),
            _ => Err(self.refused(operation, error)),
        }
    }

    /// As [`customer_error`], but that a session's credentials are not the customer's to mend.
    fn refused<E>(&self, operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match Fault::of(error).code {
            Some("SignatureDoesNotMatch") if self.is_session => PortError::internal(operation, describe(error)),
            // The session may have ended, or AWS doesn't know it in this place yet: a new run has a new one.
            Some("InvalidAccessKeyId" | "TokenRefreshRequired") if self.is_session => {
                PortError::transient(operation, describe(error))
            }
            _ => customer_error(operation, error),
        }
    }

    /// The settings of a request with a body of this length.
    fn for_body(&self, length: usize) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder().timeout_config(timeout_config(attempt_timeout(self.base_timeout, length)))
    }
}

/// The time of one attempt of a request with a body of this length, from its first byte to the answer.
fn attempt_timeout(base: Duration, length: usize) -> Duration {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    base.saturating_add(Duration::from_millis(length.saturating_mul(1000).div_ceil(MIN_UPLOAD_RATE)))
}

/// Bounds attempts alone. The time to connect stays the SDK's own: with another one it would keep the connections of such
/// requests apart from all others.
fn timeout_config(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(attempt).build()
}

/// The retries of `base`, with fewer attempts if it has more than these.
pub(crate) fn retry_at_most(base: &SdkConfig, attempts: u32) -> RetryConfig {
    let retries = base.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    let attempts = retries.max_attempts().min(attempts);
    retries.with_max_attempts(attempts)
}

impl ObjectSink for S3ObjectSink {
    async fn put_object(&self, object: PutObject<'_>) -> Result<WriteAnswer, PortError> {
        let settings = self.for_body(object.bytes.len());
        let transmissions = Transmissions::default();
        let answer = self
            .put(object.key, object.content_type, object.sha256)
            .body(ByteStream::from(object.bytes))
            .customize()
            .config_override(settings)
            .interceptor(KnownPayloadHash(object.sha256))
            .interceptor(transmissions.clone())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(WriteAnswer::Written),
            Err(error) => self.write_answer("s3:PutObject", &error, &transmissions),
        }
    }

    /// S3 looks at the permissions before it looks at the bytes, and refuses those that don't have the announced hash:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>.
    async fn try_put(&self, key: &str) -> Result<(), PortError> {
        let operation = "s3:PutObject (trial)";
        let answer = self
            .put(key, ContentType::Gzip, Sha256::digest("other bytes than these").into())
            .body(ByteStream::from_static(b"trial"))
            .send()
            .await;
        match answer {
            Ok(_) => Err(PortError::internal(operation, "S3 took bytes that it was told are wrong")),
            Err(error) => match Fault::of(&error).code {
                // Each of them comes after the permissions.
                Some("BadDigest" | "PreconditionFailed" | "ConditionalRequestConflict") => Ok(()),
                _ => Err(self.refused(operation, &error)),
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
            .map_err(|error| self.refused(operation, &error))?;
        let id = answer.upload_id.ok_or_else(|| PortError::internal(operation, "S3 gave no upload id"))?;
        Ok(UploadId(id))
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<PartAnswer, PortError> {
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
                Ok(PartAnswer::Uploaded(UploadedPart { number, entity_tag, sha256 }))
            }
            Err(error) if Fault::of(&error).code == Some("NoSuchUpload") => Ok(PartAnswer::Lost),
            Err(error) => Err(self.refused(operation, &error)),
        }
    }

    async fn complete_multipart_upload(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<WriteAnswer, PortError> {
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
            Ok(_) => Ok(WriteAnswer::Written),
            Err(error) => self.write_answer("s3:CompleteMultipartUpload", &error, &transmissions),
        }
    }
}

/// Has a request signed by the SHA-256 of its body that is known already. The SDK would compute it again, which takes a
/// tenth of all that an export computes.
#[derive(Debug)]
struct KnownPayloadHash([u8; 32]);

impl Intercept for KnownPayloadHash {
    fn name(&self) -> &'static str {
        "KnownPayloadHash"
    }

    fn modify_before_signing(
        &self,
        _context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let hash = Hex32(self.0).to_string();
        configuration.interceptor_state().store_put(PayloadSigningOverride::Precomputed(hash));
        Ok(())
    }
}

/// The number of times that a request left: the SDK repeats one whose answer was lost or said that S3 failed.
#[derive(Clone, Debug, Default)]
struct Transmissions(Arc<AtomicU32>);

impl Transmissions {
    /// Whether the object may have been written before the request that was answered.
    fn was_repeated(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

impl Intercept for Transmissions {
    fn name(&self) -> &'static str {
        "Transmissions"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Codes of S3 for a session that ended, or a clock that is wrong: a new run has a new session.
const OUT_OF_TIME: &[&str] = &["ExpiredToken", "RequestExpired", "RequestTimeTooSkewed"];

/// Codes of S3 about what only this service decides: the bytes, their hashes, and the list of parts.
const OF_THIS_SERVICE: &[&str] = &[
    "BadDigest",
    "EntityTooLarge",
    "EntityTooSmall",
    "InvalidDigest",
    "InvalidPart",
    "InvalidPartOrder",
    "MalformedXML",
    "MissingContentLength",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
];

/// Classifies a refusal of KMS that S3 passes on; `None`: it is none. `KMS.` precedes KMS's own code:
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors>.
fn kms_error(fault: &Fault<'_>) -> Option<ErrorKind> {
    let code = fault.code?.strip_prefix("KMS.")?;
    Some(match code {
        "DisabledException" | "NotFoundException" | "KMSInvalidStateException" | "InvalidStateException" => {
            ErrorKind::Customer(ConnectionFailure::KmsKeyUnusable)
        }
        "AccessDeniedException" | "AccessDenied" => ErrorKind::Customer(ConnectionFailure::KmsDenied),
        "DependencyTimeoutException" | "KMSInternalException" | "InternalException" | "KeyUnavailableException" => {
            ErrorKind::Transient
        }
        _ if is_transient_code(code) || fault.is_transient() => ErrorKind::Transient,
        _ => fault
            .refusal()
            .map_or(ErrorKind::Internal, |refusal| ErrorKind::Customer(ConnectionFailure::KmsRefused(refusal))),
    })
}

/// Classifies what S3 says of somebody else's bucket: every refusal that is neither about time nor about what this service
/// alone decides is for the bucket's owner to mend.
/// Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
fn customer_error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let fault = Fault::of(error);
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    let bucket_region = || {
        let header = error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region"));
        header.or_else(|| quoted_region(message)).and_then(|region| Region::parse(region).ok())
    };
    let kind = match (fault.code, fault.status) {
        (Some("NoSuchBucket"), _) => ErrorKind::Customer(ConnectionFailure::BucketNotFound),
        (
            Some(
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException",
            ),
            _,
        )
        | (None, Some(301 | 307)) => {
            ErrorKind::Customer(ConnectionFailure::BucketInAnotherRegion { actual: bucket_region() })
        }
        (Some("InvalidAccessKeyId"), _) => ErrorKind::Customer(ConnectionFailure::AccessKeyUnknown),
        (Some("SignatureDoesNotMatch"), _) => ErrorKind::Customer(ConnectionFailure::SecretAccessKeyWrong),
        (Some(code), _) if OUT_OF_TIME.contains(&code) => ErrorKind::Transient,
        (Some(code), _) if OF_THIS_SERVICE.contains(&code) => ErrorKind::Internal,
        (Some("AccessDenied"), _) if message.contains("kms:") => ErrorKind::Customer(ConnectionFailure::KmsDenied),
        (Some("AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "InvalidBucketOwnerAWSAccountID"), _)
        | (None, Some(403)) => ErrorKind::Customer(ConnectionFailure::WriteDenied),
        _ if fault.is_unanswered() => ErrorKind::Customer(ConnectionFailure::EndpointUnreachable),
        _ if fault.is_transient() => ErrorKind::Transient,
        _ => match (kms_error(&fault), fault.refusal()) {
            (Some(kind), _) => kind,
            (None, Some(refusal)) => ErrorKind::Customer(ConnectionFailure::BucketRefused(refusal)),
            (None, None) => ErrorKind::Internal,
        },
    };
    PortError { kind, operation, detail: describe(error) }
}

/// `…; expecting 'eu-west-1'` is how S3 names the region in the text of `AuthorizationHeaderMalformed`.
fn quoted_region(message: &str) -> Option<&str> {
    message.split_once("expecting '")?.1.split('\'').next()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::put_object::PutObjectError;
    use aws_smithy_runtime_api::http::{Response, StatusCode};
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
    use domain::{
        configuration::bucket::BucketName,
        connection::{AwsErrorCode, Refusal},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    use super::*;

    fn answer(status: u16, code: &str, message: &str, region: Option<&str>) -> ErrorKind {
        let metadata = ErrorMetadata::builder().code(code).message(message).build();
        let mut response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        if let Some(region) = region {
            response.headers_mut().insert("x-amz-bucket-region", region.to_owned());
        }
        customer_error("test", &SdkError::service_error(PutObjectError::generic(metadata), response)).kind
    }

    /// What the emulator does not enforce, in the words in which AWS says it.
    #[test]
    fn every_refusal_of_s3_has_its_own_failure() {
        let customer = ErrorKind::Customer;
        let refusal = |status, code| Refusal { code: AwsErrorCode::parse(code), status };
        let s3 = |status, code| customer(ConnectionFailure::BucketRefused(refusal(status, code)));
        let kms = |status, code| customer(ConnectionFailure::KmsRefused(refusal(status, code)));
        let table = [
            (404, "NoSuchBucket", "", customer(ConnectionFailure::BucketNotFound)),
            (403, "AccessDenied", "Access Denied", customer(ConnectionFailure::WriteDenied)),
            (
                403,
                "AccessDenied",
                "User: arn:aws:sts::1:assumed-role/x/y is not authorized to perform: kms:GenerateDataKey on resource: \
                 arn:aws:kms:eu-west-1:1:key/k because no identity-based policy allows the kms:GenerateDataKey action",
                customer(ConnectionFailure::KmsDenied),
            ),
            (
                403,
                "AccessDenied",
                "User: arn:aws:sts::1:assumed-role/x/y is not authorized to perform: kms:Decrypt on the resource \
                 associated with this ciphertext because the resource does not exist in this Region",
                customer(ConnectionFailure::KmsDenied),
            ),
            (400, "KMS.AccessDeniedException", "", customer(ConnectionFailure::KmsDenied)),
            (400, "KMS.InvalidKeyUsageException", "", kms(400, "KMS.InvalidKeyUsageException")),
            (400, "KMS.UnsupportedOperationException", "", kms(400, "KMS.UnsupportedOperationException")),
            (400, "KMS.XksKeyInvalidConfigurationException", "", kms(400, "KMS.XksKeyInvalidConfigurationException")),
            (400, "KMS.ThrottlingException", "", ErrorKind::Transient),
            (400, "KMS.KMSInternalException", "", ErrorKind::Transient),
            (400, "KMS.KeyUnavailableException", "", ErrorKind::Transient),
            (503, "KMS.UnheardOfException", "", ErrorKind::Transient),
            (403, "NotSignedUp", "", s3(403, "NotSignedUp")),
            (400, "InvalidRequest", "", s3(400, "InvalidRequest")),
            (400, "InvalidToken", "", s3(400, "InvalidToken")),
            (405, "MethodNotAllowed", "", s3(405, "MethodNotAllowed")),
            (409, "OperationAborted", "", s3(409, "OperationAborted")),
            (409, "InvalidBucketState", "", s3(409, "InvalidBucketState")),
            (400, "AccessControlListNotSupported", "", s3(400, "AccessControlListNotSupported")),
            (418, "Some Text, no code", "", s3(418, "Some Text, no code")),
            (429, "UnheardOf", "", ErrorKind::Transient),
            (501, "NotImplemented", "", ErrorKind::Transient),
            (400, "RequestTimeout", "", ErrorKind::Transient),
            (400, "IncompleteBody", "", ErrorKind::Transient),
            (403, "RequestTimeTooSkewed", "", ErrorKind::Transient),
            (400, "InvalidPart", "", ErrorKind::Internal),
            (304, "UnheardOf", "", ErrorKind::Internal),
            (400, "KMS.DisabledException", "", customer(ConnectionFailure::KmsKeyUnusable)),
            (400, "KMS.NotFoundException", "", customer(ConnectionFailure::KmsKeyUnusable)),
            (400, "KMS.KMSInvalidStateException", "", customer(ConnectionFailure::KmsKeyUnusable)),
            (403, "InvalidAccessKeyId", "", customer(ConnectionFailure::AccessKeyUnknown)),
            (403, "SignatureDoesNotMatch", "", customer(ConnectionFailure::SecretAccessKeyWrong)),
            (503, "SlowDown", "", ErrorKind::Transient),
            (500, "InternalError", "", ErrorKind::Transient),
            (400, "ExpiredToken", "", ErrorKind::Transient),
            (400, "BadDigest", "", ErrorKind::Internal),
        ];
        for (status, code, message, kind) in table {
            assert_eq!(answer(status, code, message, None), kind, "{code}: {message}");
        }
    }

    fn sink(endpoint: &str) -> S3ObjectSink {
        sink_with(endpoint, RetryConfig::disabled(), BASE_TIMEOUT)
    }

    /// As many attempts as in service, without the waits between them.
    fn retrying_sink(endpoint: &str, base_timeout: Duration) -> S3ObjectSink {
        sink_with(endpoint, RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)), base_timeout)
    }

    fn sink_with(endpoint: &str, retries: RetryConfig, base_timeout: Duration) -> S3ObjectSink {
        let base = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .retry_config(retries)
            .build();
        let destination = Destination {
            bucket_name: BucketName::parse("acme").unwrap(),
            bucket_path: None,
            region: Region::parse("eu-west-1").unwrap(),
            kms_key_arn: None,
            expected_bucket_owner: None,
        };
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
        let owner = AccountId::parse("222222222222").unwrap();
        S3ObjectSink::with_base_timeout(&base, credentials, &destination, &owner, base_timeout)
    }

    async fn put(sink: &S3ObjectSink) -> PortError {
        put_bytes(sink, 1).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_session_is_not_the_customers_to_mend() {
        let kind = |sink: &S3ObjectSink, code| {
            let metadata = ErrorMetadata::builder().code(code).build();
            let response = Response::new(StatusCode::try_from(403).unwrap(), SdkBody::empty());
            sink.refused("test", &SdkError::service_error(PutObjectError::generic(metadata), response)).kind
        };
        let with_key = sink("http://127.0.0.1:1");
        let with_session = S3ObjectSink { is_session: true, ..with_key.clone() };
        assert_eq!(kind(&with_session, "SignatureDoesNotMatch"), ErrorKind::Internal);
        assert_eq!(kind(&with_session, "InvalidAccessKeyId"), ErrorKind::Transient);
        assert_eq!(kind(&with_session, "TokenRefreshRequired"), ErrorKind::Transient);
        let customer = ErrorKind::Customer;
        assert_eq!(kind(&with_session, "AccessDenied"), customer(ConnectionFailure::WriteDenied));
        assert_eq!(kind(&with_key, "SignatureDoesNotMatch"), customer(ConnectionFailure::SecretAccessKeyWrong));
        assert_eq!(kind(&with_key, "InvalidAccessKeyId"), customer(ConnectionFailure::AccessKeyUnknown));
    }

    async fn put_bytes(sink: &S3ObjectSink, length: usize) -> Result<WriteAnswer, PortError> {
        let bytes = Bytes::from(vec![b'x'; length]);
        let sha256 = Sha256::digest(&bytes).into();
        sink.put_object(PutObject { key: "k", bytes, sha256, content_type: ContentType::Gzip }).await
    }

    async fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        (listener, endpoint)
    }

    /// Reads whole requests from one connection, answers them in this order, each after `delay`, and closes it.
    async fn answer_all(mut connection: TcpStream, answers: &[(&str, &str)], delay: Duration) {
        for (index, (status, body)) in answers.iter().enumerate() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            connection.read_exact(&mut vec![0; length.unwrap_or(0)]).await.unwrap();
            tokio::time::sleep(delay).await;
            let length = body.len();
            let fate = if index + 1 < answers.len() { "keep-alive" } else { "close" };
            let head = format!("Content-Length: {length}\r\nConnection: {fate}\r\nETag: \"e\"");
            let answer = format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}");
            // Whoever has given up is gone.
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    }

    #[test]
    fn an_attempt_may_take_as_long_as_its_body_needs() {
        let table = [
            (0, 5000),
            (1, 5001),
            (512 * 1024, 6000),
            (8 * 1024 * 1024, 21_000),
            (16 * 1024 * 1024, 37_000),
            (usize::MAX, 5000 + u64::MAX.div_ceil(MIN_UPLOAD_RATE)),
        ];
        for (length, millis) in table {
            assert_eq!(attempt_timeout(BASE_TIMEOUT, length), Duration::from_millis(millis), "{length} bytes");
        }
        assert!(BASE_TIMEOUT * MAX_ATTEMPTS <= Duration::from_secs(10), "a Region that hangs is given up soon");
    }

    /// Accepts and never answers, as a Region that browns out does.
    #[tokio::test]
    async fn who_never_answers_is_given_up_after_two_attempts() {
        let (listener, endpoint) = listen().await;
        let sink = retrying_sink(&endpoint, Duration::from_millis(200));
        let silence = async {
            let mut connections = Vec::new();
            loop {
                connections.push(listener.accept().await.unwrap());
                assert!(connections.len() <= 2, "a third attempt");
            }
        };
        let start = Instant::now();
        let error = tokio::select! {
            error = put(&sink) => error,
            () = silence => unreachable!(),
        };
        assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
        let elapsed = start.elapsed();
        assert!((Duration::from_millis(400)..Duration::from_secs(5)).contains(&elapsed), "{elapsed:?}");
    }

    #[tokio::test]
    async fn a_long_body_is_waited_for_where_a_short_one_is_not() {
        let (listener, endpoint) = listen().await;
        let sink = sink_with(&endpoint, RetryConfig::disabled(), Duration::from_millis(100));
        let late = Duration::from_millis(600);
        // 2 s, by their length.
        for length in [1024 * 1024, 1] {
            let server = async {
                let (connection, _) = listener.accept().await.unwrap();
                answer_all(connection, &[("200 OK", "")], late).await;
            };
            let (answer, ()) = tokio::join!(put_bytes(&sink, length), server);
            let unreachable = ErrorKind::Customer(ConnectionFailure::EndpointUnreachable);
            let expected = if length == 1 { Err(unreachable) } else { Ok(WriteAnswer::Written) };
            assert_eq!(answer.map_err(|error| error.kind), expected, "{length} bytes");
        }
    }

    /// Settings of a single request don't make the SDK open a connection for it.
    #[tokio::test]
    async fn requests_of_every_length_share_a_connection() {
        let (listener, endpoint) = listen().await;
        let sink = sink(&endpoint);
        let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
        let answers = [
            ("200 OK", ""),
            ("200 OK", ""),
            ("200 OK", begun),
            ("200 OK", ""),
            ("200 OK", "<CompleteMultipartUploadResult/>"),
        ];
        let server = async {
            let (connection, _) = listener.accept().await.unwrap();
            answer_all(connection, &answers, Duration::ZERO).await;
        };
        let requests = async {
            assert_eq!(put_bytes(&sink, 1).await, Ok(WriteAnswer::Written));
            assert_eq!(put_bytes(&sink, 300_000).await, Ok(WriteAnswer::Written));
            let upload = sink.create_multipart_upload("k", ContentType::Gzip).await.unwrap();
            let part = sink.upload_part("k", &upload, 1, Bytes::from_static(b"part")).await.unwrap();
            let PartAnswer::Uploaded(part) = part else { unreachable!("{part:?}") };
            sink.complete_multipart_upload("k", &upload, &[part]).await.unwrap()
        };
        let (answer, ()) = tokio::join!(requests, server);
        assert_eq!(answer, WriteAnswer::Written);
    }

    /// The SDK repeats a request that S3 failed to answer. Then the object that is there may be the one that was sent.
    #[tokio::test]
    async fn an_object_that_is_there_may_be_our_own_only_after_a_repeated_request() {
        let exists = ("412 Precondition Failed", "<Error><Code>PreconditionFailed</Code></Error>");
        let failed = ("500 Internal Server Error", "<Error><Code>InternalError</Code></Error>");
        for (answers, was_repeated) in [(vec![exists], false), (vec![failed, exists], true)] {
            let (listener, endpoint) = listen().await;
            let sink = retrying_sink(&endpoint, BASE_TIMEOUT);
            let upload = UploadId("u".to_owned());
            let server = async {
                for answer in [answers.clone(), answers].concat() {
                    let (connection, _) = listener.accept().await.unwrap();
                    answer_all(connection, &[answer], Duration::ZERO).await;
                }
            };
            let requests = async {
                let put = put_bytes(&sink, 1).await.unwrap();
                (put, sink.complete_multipart_upload("k", &upload, &[]).await.unwrap())
            };
            let ((put, completed), ()) = tokio::join!(requests, server);
            assert_eq!(put, WriteAnswer::Exists { was_repeated });
            assert_eq!(completed, WriteAnswer::Exists { was_repeated }, "each call counts its own");
        }
    }

    #[tokio::test]
    async fn a_region_that_nobody_answers_for_is_told() {
        // Bound and closed again: nothing listens there.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = put(&sink(&format!("http://{address}"))).await;
        assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
    }

    /// Answers one request with a refusal and gives its head.
    async fn refuse_one(listener: &TcpListener) -> String {
        answer_one(listener, "403 Forbidden", "AccessDenied").await
    }

    async fn answer_one(listener: &TcpListener, status: &str, code: &str) -> String {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let body = format!("<Error><Code>{code}</Code><Message>As it is</Message></Error>");
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    /// The emulator lets every owner pass; that the owner is sent with every write is seen on the wire.
    #[tokio::test]
    async fn every_write_names_the_owner_and_only_new_objects_are_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = sink(&format!("http://{}", listener.local_addr().unwrap()));
        let upload = UploadId("u".to_owned());
        let part = UploadedPart { number: 1, entity_tag: "e".to_owned(), sha256: STANDARD.encode([0; 32]) };
        let denied = ErrorKind::Customer(ConnectionFailure::WriteDenied);

        let (error, head) = tokio::join!(put(&sink), refuse_one(&listener));
        assert_eq!(error.kind, denied);
        assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
        assert!(head.contains("if-none-match: *") && head.contains("x-amz-checksum-sha256: "), "{head}");

        let (answer, head) = tokio::join!(sink.try_put("k"), refuse_one(&listener));
        assert_eq!(answer.unwrap_err().kind, denied);
        assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
        assert!(head.contains("if-none-match: *") && head.contains("x-amz-checksum-sha256: "), "{head}");

        let create = sink.create_multipart_upload("k", ContentType::Gzip);
        let (answer, head) = tokio::join!(create, refuse_one(&listener));
        assert_eq!(answer.unwrap_err().kind, denied);
        assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");

        let (answer, head) =
            tokio::join!(sink.upload_part("k", &upload, 1, Bytes::from_static(b"x")), refuse_one(&listener));
        assert_eq!(answer.unwrap_err().kind, denied);
        assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
        assert!(head.contains("x-amz-checksum-sha256: "), "{head}");

        let parts = [part];
        let complete = sink.complete_multipart_upload("k", &upload, &parts);
        let (answer, head) = tokio::join!(complete, refuse_one(&listener));
        assert_eq!(answer.unwrap_err().kind, denied);
        assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
        assert!(head.contains("if-none-match: *"), "{head}");
    }

    /// S3 refuses a body that doesn't have the hash in the signature, so a known one protects it as a computed one does.
    #[tokio::test]
    async fn a_body_is_signed_by_the_hash_that_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = sink(&format!("http://{}", listener.local_addr().unwrap()));
        let object = PutObject {
            key: "k",
            bytes: Bytes::from_static(b"x"),
            // Of other bytes: if it is sent, it was not computed.
            sha256: [0xAB; 32],
            content_type: ContentType::Gzip,
        };
        let (_, head) = tokio::join!(sink.put_object(object), refuse_one(&listener));
        assert!(head.contains(&format!("x-amz-content-sha256: {}", "ab".repeat(32))), "{head}");

        let upload = UploadId("u".to_owned());
        let part = Bytes::from_static(b"part");
        let hash = Hex32(Sha256::digest(&part).into());
        let (_, head) = tokio::join!(sink.upload_part("k", &upload, 1, part), refuse_one(&listener));
        assert!(head.contains(&format!("x-amz-content-sha256: {hash}")), "{head}");
    }

    #[tokio::test]
    async fn what_could_be_written_is_told_by_what_is_wrong_with_the_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = sink(&format!("http://{}", listener.local_addr().unwrap()));
        for (status, code, permitted) in [
            ("400 Bad Request", "BadDigest", Ok(())),
            ("412 Precondition Failed", "PreconditionFailed", Ok(())),
            ("409 Conflict", "ConditionalRequestConflict", Ok(())),
            ("403 Forbidden", "AccessDenied", Err(ErrorKind::Customer(ConnectionFailure::WriteDenied))),
            ("404 Not Found", "NoSuchBucket", Err(ErrorKind::Customer(ConnectionFailure::BucketNotFound))),
            ("503 Slow Down", "SlowDown", Err(ErrorKind::Transient)),
            // S3 would have written what was never to be written.
            ("200 OK", "", Err(ErrorKind::Internal)),
        ] {
            let (answer, _) = tokio::join!(sink.try_put("k"), answer_one(&listener, status, code));
            assert_eq!(answer.map_err(|error| error.kind), permitted, "{code}");
        }
    }

    #[test]
    fn the_buckets_region_is_taken_from_header_or_text() {
        let elsewhere = |region| ErrorKind::Customer(ConnectionFailure::BucketInAnotherRegion { actual: region });
        let ireland = Region::parse("eu-west-1").ok();
        assert_eq!(answer(301, "PermanentRedirect", "", Some("eu-west-1")), elsewhere(ireland.clone()));
        let text = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        assert_eq!(answer(400, "AuthorizationHeaderMalformed", text, None), elsewhere(ireland));
        assert_eq!(answer(301, "PermanentRedirect", "", Some("evil.example/")), elsewhere(None));
    }
}
