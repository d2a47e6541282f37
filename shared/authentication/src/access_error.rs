//! The errors that a caller sees.

use domain::error_code::ErrorCode;
use function_runtime::http_error::ErrorBody;
use http::StatusCode;

/// The reason why a request is refused, as far as the caller may know it. Details are in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// 401: no token, or one that isn't valid here.
    #[error("{0}")]
    Unauthenticated(TokenFault),
    /// 403: a valid token without the required permission.
    #[error("The token lacks the permission {required}. Request it from the issuer of your tokens.")]
    Forbidden {
        /// The permission's name in tokens of this issuer.
        required: String,
        /// Whether a client gets the permission by requesting it as a scope: not that of a role or a group.
        is_scope: bool,
    },
    /// 503: the issuer's keys can't be fetched, so that no token can be checked. The request may be repeated later.
    #[error("Tokens can't be checked at the moment. Try again later.")]
    KeysUnavailable,
}

/// The fault of a token. All but the first two say what a token contains that its issuer signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("A valid bearer token is required.")]
    Missing,
    /// Anything that is found before the signature is checked.
    #[error("The bearer token is not valid here.")]
    Invalid,
    #[error("The token has expired or has no expiry. Get a new token.")]
    Expired,
    #[error("The token is not valid yet. Wait, or check the clocks.")]
    NotYetValid,
    #[error("The token is for another audience. Request a token for this service.")]
    Audience,
    #[error("The token is not an access token. Send the access token, not the ID token or the refresh token.")]
    Kind,
    #[error("The token is bound to a key of its client, which is not checked here. Request a token without `cnf`.")]
    Bound,
    #[error("The token names no tenant that its issuer may name. Check the issuer's tenant claim.")]
    Tenant,
    #[error("The token has no usable subject, or its permissions are not a list. Check the issuer's claims.")]
    Claim,
}

impl TokenFault {
    /// Returns the stable name in `extensions.reason`.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::Invalid => None,
            Self::Expired => Some("EXPIRED"),
            Self::NotYetValid => Some("NOT_YET_VALID"),
            Self::Audience => Some("WRONG_AUDIENCE"),
            Self::Kind => Some("NOT_AN_ACCESS_TOKEN"),
            Self::Bound => Some("BOUND_TO_A_KEY"),
            Self::Tenant => Some("NO_TENANT"),
            Self::Claim => Some("INVALID_CLAIM"),
        }
    }
}

impl AccessError {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code in the error body.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthenticated(_) => ErrorCode::Unauthenticated,
            Self::Forbidden { .. } => ErrorCode::Forbidden,
            Self::KeysUnavailable => ErrorCode::KeysUnavailable,
        }
    }

    /// Returns the parameters of the challenge (RFC 6750 section 3). A request without a token gets none.
    fn challenge(&self) -> Option<String> {
        match self {
            Self::Unauthenticated(TokenFault::Missing) | Self::KeysUnavailable => None,
            Self::Unauthenticated(fault) => Some(format!(r#"error="invalid_token", error_description="{fault}""#)),
            Self::Forbidden { required, is_scope } => {
                // RFC 6749 section 3.3.
                let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
                let has_scope = *is_scope && required.bytes().all(is_allowed);
                let scope = if has_scope { format!(r#", scope="{required}""#) } else { String::new() };
                Some(format!(
                    r#"error="insufficient_scope", error_description="The token lacks the required permission."{scope}"#
                ))
            }
        }
    }
}

impl From<AccessError> for ErrorBody {
    fn from(error: AccessError) -> Self {
        let mut body = Self::new(error.status(), error.code(), error.to_string());
        if let Some(parameters) = error.challenge() {
            body = body.with_challenge(&parameters);
        }
        match error {
            AccessError::Unauthenticated(fault) => match fault.reason() {
                Some(reason) => body.with_extension("reason", reason),
                None => body,
            },
            AccessError::Forbidden { required, .. } => body.with_extension("requiredPermission", required),
            AccessError::KeysUnavailable => body,
        }
    }
}
