//! The decision about one request.

use std::sync::Arc;

use domain::error_code::ErrorCode;
use http::StatusCode;

use super::authorization::UnverifiedToken;
use super::claims::{self, Caller, Permission};
use super::clock::{Clock, SystemClock};
use super::jwk::{KeySet, VerificationKey};
use super::jwks::{JwksLimits, NoKey, RemoteKeys};
use super::settings::{KeySource, TokenSettings};
use crate::http_error::ErrorBody;

/// Why a request may not go on. The caller is told this much and no more; the reason is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// 401: there is no token, or it isn't valid here.
    #[error("A valid bearer token is required.")]
    Unauthenticated,
    /// 403: the token is valid and lacks the permission.
    #[error("The token doesn't permit this.")]
    Forbidden,
    /// 503: the issuer's keys can't be had, so that nothing can be said about the token. Worth repeating later.
    #[error("Tokens can't be verified at the moment. Try again later.")]
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

/// What is wrong with a token: for the log, never for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no bearer token")]
    NoToken,
    #[error("token too long")]
    TooLong,
    #[error("not three parts of base64url, or no JSON objects in them")]
    Malformed,
    #[error("header with a key, an address of a key or a critical extension")]
    RefusedHeader,
    #[error("header's typ is another one")]
    Type,
    #[error("header's alg isn't the key's")]
    Algorithm,
    #[error("header without kid")]
    NoKeyId,
    #[error("unknown kid")]
    UnknownKey,
    #[error("wrong signature")]
    Signature,
    #[error("expired, or exp isn't there")]
    Expiry,
    #[error("not valid yet")]
    NotBefore,
    #[error("another issuer")]
    Issuer,
    #[error("another audience")]
    Audience,
    #[error("the tenant claim isn't a tenant's id")]
    Tenant,
    #[error("the sub claim isn't there or too long")]
    Subject,
    #[error("the permissions claim isn't a list")]
    Permissions,
}

#[derive(Debug)]
enum Keys {
    Remote(Box<RemoteKeys>),
    Inline(KeySet),
}

/// Verifies the bearer tokens of requests. One per process: it holds the cached keys.
#[derive(Debug)]
pub struct TokenVerifier {
    settings: TokenSettings,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl TokenVerifier {
    /// A verifier by the machine's clock and [`JwksLimits::DEFAULT`]. Keys are fetched with the first token.
    #[must_use]
    pub fn new(settings: TokenSettings) -> Self {
        Self::with_limits(settings, JwksLimits::DEFAULT, Arc::new(SystemClock))
    }

    /// A verifier by another clock and other limits.
    #[must_use]
    pub fn with_limits(settings: TokenSettings, limits: JwksLimits, clock: Arc<dyn Clock>) -> Self {
        let keys = match &settings.key_source {
            KeySource::Remote(address) => {
                Keys::Remote(Box::new(RemoteKeys::new(address.clone(), limits, Arc::clone(&clock))))
            }
            KeySource::Inline(keys) => Keys::Inline(keys.clone()),
        };
        Self { settings, keys, clock }
    }

    /// Decides whether the request with this `Authorization` header (see
    /// [`authorization_header`](super::authorization_header)) may do what needs `required`.
    ///
    /// # Errors
    /// [`AccessError`]. Its reason is logged, without anything from the token.
    pub async fn verify(
        &self,
        authorization_header: Option<&str>,
        required: Permission,
    ) -> Result<Caller, AccessError> {
        let refuse = |refusal: Refusal| {
            tracing::info!(reason = %refusal, "a request was refused: UNAUTHENTICATED");
            AccessError::Unauthenticated
        };

        let token = UnverifiedToken::parse(authorization_header).map_err(refuse)?;
        let key = match self.key(&token.key_id).await {
            Ok(key) => key,
            Err(NoKey::Unknown) => return Err(refuse(Refusal::UnknownKey)),
            Err(NoKey::Unavailable) => {
                tracing::warn!("a request was refused: KEYS_UNAVAILABLE");
                return Err(AccessError::KeysUnavailable);
            }
        };
        let caller = self.caller(&token, &key).map_err(refuse)?;
        if !caller.permissions.contains(&required) {
            tracing::info!(
                tenant = caller.tenant.as_str(),
                required = required.as_str(),
                "a request was refused: FORBIDDEN"
            );
            return Err(AccessError::Forbidden);
        }
        Ok(caller)
    }

    async fn key(&self, key_id: &str) -> Result<Arc<VerificationKey>, NoKey> {
        match &self.keys {
            Keys::Remote(keys) => keys.get(key_id).await,
            Keys::Inline(keys) => keys.get(key_id).ok_or(NoKey::Unknown),
        }
    }

    fn caller(&self, token: &UnverifiedToken<'_>, key: &VerificationKey) -> Result<Caller, Refusal> {
        if token.algorithm != key.algorithm_name() {
            return Err(Refusal::Algorithm);
        }
        if !key.verifies(token.signed_part, token.signature) {
            return Err(Refusal::Signature);
        }
        claims::caller(&token.payload()?, &self.settings, self.clock.now())
    }
}
