//! Classification of the errors of S3, and of KMS as S3 passes them on.

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use domain::{
    configuration::region::Region,
    connection::{AwsErrorCode, ConnectionFailure, Refusal},
};
use export_engine::ports::ErrorKind;

use crate::{
    customer_server::{AddressError, cause},
    error::{Fault, Reached, is_transient_code},
};

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

/// Classifies the errors of S3 for a customer's bucket: every refusal that is neither about time nor about what this service
/// alone decides is for the bucket's owner to resolve.
/// Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
pub(super) fn classify<E>(error: &SdkError<E, HttpResponse>) -> ErrorKind
where
    E: ProvideErrorMetadata,
{
    let fault = Fault::of(error);
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    let bucket_region = || {
        let header = error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region"));
        header.or_else(|| quoted_region(message)).and_then(|region| Region::parse(region).ok())
    };
    match (fault.code, fault.status) {
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
    }
}

/// Classifies the errors of another server than AWS's. Whatever it refuses, and every outage, is for its owner to resolve.
pub(super) fn classify_of_server<E>(error: &SdkError<E, HttpResponse>) -> ErrorKind
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let fault = Fault::of(error);
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    ErrorKind::Customer(match (fault.code, fault.status) {
        (Some("NoSuchBucket"), _) => ConnectionFailure::BucketNotFound,
        (Some("AuthorizationHeaderMalformed" | "PermanentRedirect"), _) => ConnectionFailure::BucketInAnotherRegion {
            actual: quoted_region(message).and_then(|region| Region::parse(region).ok()),
        },
        (Some("InvalidAccessKeyId" | "NotSignedUp"), _) => ConnectionFailure::AccessKeyUnknown,
        (Some("SignatureDoesNotMatch"), _) => ConnectionFailure::SecretAccessKeyWrong,
        (Some("AccessDenied"), _) | (None, Some(403)) => ConnectionFailure::WriteDenied,
        (code, Some(status)) => {
            ConnectionFailure::BucketRefused(Refusal { code: code.and_then(AwsErrorCode::parse), status })
        }
        (_, None) => match cause::<AddressError>(error) {
            Some(AddressError::NotPublic) => ConnectionFailure::EndpointNotPublic,
            None if fault.reached == Reached::Nowhere => return ErrorKind::Internal,
            Some(AddressError::NotFound | AddressError::Unresolved) | None => ConnectionFailure::EndpointUnreachable,
        },
    })
}

/// Returns the Region that S3 names in the text of `AuthorizationHeaderMalformed`: `…; expecting 'eu-west-1'`.
fn quoted_region(message: &str) -> Option<&str> {
    message.split_once("expecting '")?.1.split('\'').next()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::put_object::PutObjectError;
    use aws_smithy_runtime_api::http::{Response, StatusCode};
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};

    use super::*;

    /// Returns the answer of a server other than AWS's.
    fn server_answer(status: u16, code: Option<&str>, message: &str) -> ErrorKind {
        let mut metadata = ErrorMetadata::builder().message(message);
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        classify_of_server(&SdkError::service_error(PutObjectError::generic(metadata.build()), response))
    }

    #[test]
    fn whatever_another_server_refuses_is_its_owners() {
        let refused = |status, code: Option<&str>| {
            ConnectionFailure::BucketRefused(Refusal { code: code.and_then(AwsErrorCode::parse), status })
        };
        let expecting = "The authorization header is malformed; the region is wrong; expecting 'eu-west-1'.";
        let region = Region::parse("eu-west-1").ok();
        for (status, code, message, failure) in [
            (404, Some("NoSuchBucket"), "", ConnectionFailure::BucketNotFound),
            (403, Some("AccessDenied"), "", ConnectionFailure::WriteDenied),
            (403, None, "", ConnectionFailure::WriteDenied),
            (403, Some("InvalidAccessKeyId"), "", ConnectionFailure::AccessKeyUnknown),
            (403, Some("NotSignedUp"), "", ConnectionFailure::AccessKeyUnknown),
            (403, Some("SignatureDoesNotMatch"), "", ConnectionFailure::SecretAccessKeyWrong),
            (400, Some("AuthorizationHeaderMalformed"), "", ConnectionFailure::BucketInAnotherRegion { actual: None }),
            (
                400,
                Some("AuthorizationHeaderMalformed"),
                expecting,
                ConnectionFailure::BucketInAnotherRegion { actual: region },
            ),
            (301, Some("PermanentRedirect"), "", ConnectionFailure::BucketInAnotherRegion { actual: None }),
            (301, None, "", refused(301, None)),
            (403, Some("RequestTimeTooSkewed"), "", refused(403, Some("RequestTimeTooSkewed"))),
            (501, Some("NotImplemented"), "", refused(501, Some("NotImplemented"))),
            (503, Some("SlowDown"), "", refused(503, Some("SlowDown"))),
            (502, None, "", refused(502, None)),
            (400, Some("BadDigest"), "", refused(400, Some("BadDigest"))),
        ] {
            assert_eq!(server_answer(status, code, message), ErrorKind::Customer(failure), "{status} {code:?}");
        }
    }

    fn answer(status: u16, code: &str, message: &str, region: Option<&str>) -> ErrorKind {
        let metadata = ErrorMetadata::builder().code(code).message(message).build();
        let mut response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        if let Some(region) = region {
            response.headers_mut().insert("x-amz-bucket-region", region.to_owned());
        }
        classify(&SdkError::service_error(PutObjectError::generic(metadata), response))
    }

    /// Refusals that the emulator does not make, in the words of AWS.
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
