//! Classification of the errors of STS.

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use domain::{configuration::region::Region, connection::ConnectionFailure};
use export_engine::ports::{ErrorKind, PortError};

use crate::error::{Fault, port_error_of_kind};

/// The credentials that signed a request to STS. Errors about credentials concern these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignedWith {
    /// The function's: roles are assumed with them.
    ServiceCredentials,
    /// The customer's.
    AccessKey,
}

/// Codes for credentials that STS doesn't know. In a Region that is not enabled by default, it knows only the credentials of
/// accounts that have enabled it:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html>.
const UNKNOWN_CREDENTIALS: &[&str] = &["InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"];

/// Codes for a refused signature.
const WRONG_SIGNATURE: &[&str] = &["InvalidSignatureException", "SignatureDoesNotMatch"];

/// Further codes for what the service alone decides when it assumes a role: its credentials, its account's use of STS, its
/// signatures, and the form of the session policy.
const OF_THIS_SERVICE: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "MalformedPolicyDocument",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
];

/// Codes for a request that is refused because of a clock.
const OUT_OF_TIME: &[&str] = &["RequestExpired", "RequestTimeTooSkewed"];

/// Prefixes of the message for a signature that is refused because of a clock, and not because of a key:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>.
const CLOCK_MESSAGES: &[&str] = &["Signature expired", "Signature not yet current"];

/// Classifies the errors of STS for a customer's role or access key.
/// Codes: <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>.
pub(super) fn customer_error<E>(
    operation: &'static str,
    signed_with: SignedWith,
    region: &Region,
    error: SdkError<E, HttpResponse>,
) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    use SignedWith::{AccessKey, ServiceCredentials};

    let fault = Fault::of(&error);
    let code = fault.code.unwrap_or_default();
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    let is_wrongly_signed = WRONG_SIGNATURE.contains(&code);
    let is_about_clock = is_wrongly_signed && CLOCK_MESSAGES.iter().any(|begin| message.starts_with(begin));
    let is_unknown = UNKNOWN_CREDENTIALS.contains(&code);
    let kind = match signed_with {
        _ if is_about_clock || OUT_OF_TIME.contains(&code) => ErrorKind::Transient,
        ServiceCredentials if is_unknown => {
            // Every tenant can name such a Region, so an export that never worked there is refused; see `export_engine::outage`.
            let kind = ErrorKind::Customer(ConnectionFailure::RegionNotOffered);
            let failure = port_error_of_kind(kind, operation, error);
            let detail = format!(
                "{} (STS does not accept the service's own credentials in {region}: enable the Region in the service's \
                 AWS account)",
                failure.detail
            );
            return PortError { detail, ..failure };
        }
        ServiceCredentials if is_wrongly_signed => ErrorKind::Internal,
        AccessKey if is_unknown => ErrorKind::Customer(ConnectionFailure::AccessKeyUnknown),
        AccessKey if is_wrongly_signed => ErrorKind::Customer(ConnectionFailure::SecretAccessKeyWrong),
        ServiceCredentials if code == "AccessDenied" => ErrorKind::Customer(ConnectionFailure::RoleNotAssumable),
        AccessKey if code == "AccessDenied" => ErrorKind::Customer(ConnectionFailure::WriteDenied),
        ServiceCredentials if OF_THIS_SERVICE.contains(&code) => ErrorKind::Internal,
        _ if code == "RegionDisabledException" => ErrorKind::Customer(ConnectionFailure::RegionDisabled),
        _ if fault.is_unanswered() => ErrorKind::Customer(ConnectionFailure::EndpointUnreachable),
        _ if fault.is_transient() => ErrorKind::Transient,
        _ => fault
            .refusal()
            .map_or(ErrorKind::Internal, |refusal| ErrorKind::Customer(ConnectionFailure::StsRefused(refusal))),
    };
    port_error_of_kind(kind, operation, error)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::operation::assume_role::AssumeRoleError;
    use aws_smithy_runtime_api::{
        client::result::ConnectorError,
        http::{Response, StatusCode},
    };
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
    use domain::connection::{AwsErrorCode, Refusal};

    use super::*;

    fn refused(signed_with: SignedWith, status: u16, code: &str, message: &str) -> PortError {
        let metadata = ErrorMetadata::builder().code(code).message(message).build();
        let response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        let error = SdkError::service_error(AssumeRoleError::generic(metadata), response);
        customer_error("test", signed_with, &Region::parse("ap-east-2").unwrap(), error)
    }

    /// Refusals that the emulator can't make.
    #[test]
    fn every_refusal_of_sts_is_classified_by_whose_credentials_signed_the_request() {
        use ConnectionFailure as Failure;
        use ErrorKind::{Customer, Internal, Transient};

        let sts =
            |status, code: &str| Customer(Failure::StsRefused(Refusal { code: AwsErrorCode::parse(code), status }));
        let table = [
            // Code, message, with the service's credentials (role), with the customer's access key.
            (403, "AccessDenied", "", Customer(Failure::RoleNotAssumable), Customer(Failure::WriteDenied)),
            (403, "RegionDisabledException", "", Customer(Failure::RegionDisabled), Customer(Failure::RegionDisabled)),
            (403, "InvalidClientTokenId", "", Customer(Failure::RegionNotOffered), Customer(Failure::AccessKeyUnknown)),
            (403, "InvalidAccessKeyId", "", Customer(Failure::RegionNotOffered), Customer(Failure::AccessKeyUnknown)),
            (
                403,
                "UnrecognizedClientException",
                "",
                Customer(Failure::RegionNotOffered),
                Customer(Failure::AccessKeyUnknown),
            ),
            (403, "SignatureDoesNotMatch", "The request", Internal, Customer(Failure::SecretAccessKeyWrong)),
            (403, "SignatureDoesNotMatch", "Signature expired: 20261122T000000Z is now earlier", Transient, Transient),
            (403, "SignatureDoesNotMatch", "Signature not yet current: 20261122T000000Z", Transient, Transient),
            (400, "Throttling", "Rate exceeded", Transient, Transient),
            (500, "InternalFailure", "", Transient, Transient),
            (503, "ServiceUnavailable", "", Transient, Transient),
            (403, "RequestExpired", "", Transient, Transient),
            (400, "PackedPolicyTooLarge", "", sts(400, "PackedPolicyTooLarge"), sts(400, "PackedPolicyTooLarge")),
            (400, "ValidationError", "", sts(400, "ValidationError"), sts(400, "ValidationError")),
            (404, "<b>no code</b>", "", sts(404, "<b>no code</b>"), sts(404, "<b>no code</b>")),
            (403, "ExpiredToken", "", Internal, sts(403, "ExpiredToken")),
            (403, "OptInRequired", "", Internal, sts(403, "OptInRequired")),
            (400, "MalformedPolicyDocument", "", Internal, sts(400, "MalformedPolicyDocument")),
        ];
        for (status, code, message, by_role, by_key) in table {
            let kind = |signed_with| refused(signed_with, status, code, message).kind;
            assert_eq!(kind(SignedWith::ServiceCredentials), by_role, "{code}: {message}");
            assert_eq!(kind(SignedWith::AccessKey), by_key, "{code}: {message}");
        }
    }

    #[test]
    fn a_region_that_the_services_account_lacks_is_the_operators_to_enable() {
        let error = refused(SignedWith::ServiceCredentials, 403, "InvalidClientTokenId", "The token is invalid");
        assert_eq!(
            error.to_string(),
            "test: customer: REGION_DISABLED: InvalidClientTokenId: The token is invalid (STS does not accept the service's own credentials \
             in ap-east-2: enable the Region in the service's AWS account)"
        );
    }

    #[test]
    fn sts_that_does_not_answer_is_an_unreachable_endpoint() {
        let region = Region::parse("eu-west-1").unwrap();
        for signed_with in [SignedWith::ServiceCredentials, SignedWith::AccessKey] {
            for error in [
                SdkError::<AssumeRoleError, HttpResponse>::timeout_error("5 s"),
                SdkError::dispatch_failure(ConnectorError::timeout("3 s".into())),
                SdkError::dispatch_failure(ConnectorError::io("no such host".into())),
            ] {
                let error = customer_error("test", signed_with, &region, error);
                assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
            }
        }
        let no_credentials = SdkError::dispatch_failure(ConnectorError::other("no credentials".into(), None));
        let kind = customer_error::<AssumeRoleError>("test", SignedWith::AccessKey, &region, no_credentials).kind;
        assert_eq!(kind, ErrorKind::Transient);
    }
}
