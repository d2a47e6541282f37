//! Texts for errors of the AWS SDK, whose own texts are `Debug` forms of its types.

use std::{error::Error, io};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::failure::chain;

const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; \
    with single sign-on, `eval \"$(aws configure export-credentials --format env)\"` sets them";

/// Explains why a request failed and, if known, what to do.
pub(super) fn of_request<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status();
            let service = refused.err();
            match (service.code(), service.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => format!("{code} (HTTP status {})", status.as_u16()),
                (None, _) => format!("S3 answered with HTTP status {}", status.as_u16()),
            }
        }
        SdkError::TimeoutError(_) => "no answer in time; try again, or check the network".to_owned(),
        SdkError::ResponseError(answer) => {
            format!("the answer with HTTP status {} could not be read; try again", answer.raw().status().as_u16())
        }
        SdkError::DispatchFailure(failure) => {
            let connector = failure.as_connector_error();
            connector.map_or_else(|| of_causes(error), of_connector)
        }
        _ => of_causes(error),
    }
}

/// Explains why the credentials could not be found or used.
pub(super) fn of_credentials(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => NO_CREDENTIALS.to_owned(),
        CredentialsError::ProviderTimedOut(_) => {
            "the AWS credentials were not found in time; check AWS_PROFILE and the network".to_owned()
        }
        CredentialsError::InvalidConfiguration(_) => with_cause(
            "the AWS profile or environment is not valid; check AWS_PROFILE and the configuration files of the AWS CLI",
            error,
        ),
        _ => with_cause("the AWS credentials could not be obtained; check AWS_PROFILE, or sign in again", error),
    }
}

/// Explains why reading a body failed.
pub(super) fn of_body(error: &(dyn Error + 'static)) -> String {
    with_cause("the connection was closed", error)
}

fn of_connector(error: &ConnectorError) -> String {
    if error.is_timeout() {
        return "no connection in time; check the network, the Region and AWS_ENDPOINT_URL".to_owned();
    }
    if let Some(credentials) = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
        return of_credentials(credentials);
    }
    with_cause("no connection to S3; check the network, the Region and AWS_ENDPOINT_URL", error)
}

fn of_causes(error: &(dyn Error + 'static)) -> String {
    match chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
        Some(credentials) => of_credentials(credentials),
        None => with_cause("the request could not be sent; check the Region and the AWS settings", error),
    }
}

/// Adds the error of the operating system, if there is one, to `text`.
fn with_cause(text: &str, error: &(dyn Error + 'static)) -> String {
    match chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last() {
        Some(cause) if cause.raw_os_error().is_some() => format!("{text} ({cause})"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};

    use super::*;

    type GetError = SdkError<GetObjectError, HttpResponse>;

    /// Returns whether a text looks like `{:?}` of a type: a name in camel case before a bracket.
    fn looks_like_debug(text: &str) -> bool {
        text.split_whitespace().any(|word| {
            word.split(['(', '{']).next().is_some_and(|name| {
                name.len() < word.len()
                    && name.chars().next().is_some_and(char::is_uppercase)
                    && name.chars().any(char::is_lowercase)
            })
        }) || text.contains(" { ")
            || text.contains("Some(")
    }

    fn response(status: u16) -> HttpResponse {
        HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty())
    }

    #[test]
    fn no_error_is_shown_in_its_debug_form() {
        assert!(looks_like_debug("DispatchFailure(DispatchFailure { source: x })"));
        let refused =
            |metadata: ErrorMetadata| GetError::service_error(GetObjectError::generic(metadata), response(403));
        let io = || io::Error::from_raw_os_error(111);
        let no_credentials = CredentialsError::not_loaded("no providers in chain");
        for (error, expected) in [
            (refused(ErrorMetadata::builder().code("AccessDenied").message("No.").build()), "AccessDenied: No."),
            (refused(ErrorMetadata::builder().build()), "HTTP status 403"),
            (GetError::timeout_error("x"), "no answer in time"),
            (GetError::response_error("x", response(200)), "could not be read"),
            (GetError::construction_failure(no_credentials), "no AWS credentials were found"),
            (GetError::construction_failure("x"), "could not be sent"),
            (GetError::dispatch_failure(ConnectorError::timeout("x".into())), "no connection in time"),
            (GetError::dispatch_failure(ConnectorError::io(io().into())), "(Connection refused (os error 111))"),
            (GetError::dispatch_failure(ConnectorError::user("x".into())), "no connection to S3"),
        ] {
            let text = of_request(&error);
            assert!(text.contains(expected) && !looks_like_debug(&text), "{text}");
        }
        for error in [
            CredentialsError::not_loaded("x"),
            CredentialsError::provider_timed_out(std::time::Duration::from_secs(1)),
            CredentialsError::invalid_configuration(io()),
            CredentialsError::provider_error("x"),
            CredentialsError::unhandled("x"),
        ] {
            let text = of_credentials(&error);
            assert!(!looks_like_debug(&text) && text.contains("AWS"), "{text}");
        }
        assert_eq!(of_body(&io()), "the connection was closed (Connection refused (os error 111))");
    }
}
