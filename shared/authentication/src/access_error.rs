//! The errors that a caller sees.

use domain::error_code::ErrorCode;
use function_runtime::http_error::ErrorBody;
use http::StatusCode;

/// The reason why a request is refused, as far as the caller may know it. Details are in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// 401: no token, or one that isn't valid here.
    #[error("A valid bearer token is required.")]
    Unauthenticated,
    /// 403: a valid token without the required permission.
    #[error("The token lacks the permission for this request.")]
    Forbidden,
    /// 503: the issuer's keys can't be fetched, so that no token can be checked. The request may be repeated later.
    #[error("Tokens can't be checked at the moment. Try again later.")]
    KeysUnavailable,
}

impl AccessError {
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code in the error body.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::Forbidden => ErrorCode::Forbidden,
            Self::KeysUnavailable => ErrorCode::KeysUnavailable,
        }
    }
}

impl From<AccessError> for ErrorBody {
    fn from(error: AccessError) -> Self {
        Self::new(error.status(), error.code(), error.to_string())
    }
}
