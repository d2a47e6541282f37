//! The authentication of one request.

use std::sync::Arc;

use host::{Clock, Machine};

use crate::{
    access_error::AccessError,
    authorization::UncheckedToken,
    claims::{self, Caller, Permission},
    key_set::{KeySet, PublicKey},
    refusal::Refusal,
    remote_keys::{JwksLimits, NoKey, RemoteKeys},
    settings::{KeySource, TokenSettings},
};

#[derive(Debug)]
enum Keys {
    Remote(Box<RemoteKeys>),
    Inline(KeySet),
}

/// Checks the bearer tokens of requests. A process needs only one: it holds the cached keys.
#[derive(Debug)]
pub struct Authenticator {
    settings: TokenSettings,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// Creates an authenticator with the machine's clock and [`JwksLimits::DEFAULT`]. Keys are fetched with the first
    /// token.
    #[must_use]
    pub fn new(settings: TokenSettings) -> Self {
        Self::with_limits(settings, JwksLimits::DEFAULT, Arc::new(Machine))
    }

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

    /// Returns the caller of the request with this `Authorization` header (see
    /// [`authorization_header`](crate::authorization_header)) if its token is valid and grants the `required`
    /// permission.
    ///
    /// # Errors
    /// [`AccessError`]. The reason is logged, without any content of the token.
    pub async fn authenticate(
        &self,
        authorization_header: Option<&str>,
        required: Permission,
    ) -> Result<Caller, AccessError> {
        let refuse = |refusal: Refusal| {
            tracing::info!(reason = %refusal, "a request was refused: UNAUTHENTICATED");
            AccessError::Unauthenticated
        };

        let token = UncheckedToken::parse(authorization_header).map_err(refuse)?;
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

    async fn key(&self, key_id: &str) -> Result<Arc<PublicKey>, NoKey> {
        match &self.keys {
            Keys::Remote(keys) => keys.get(key_id).await,
            Keys::Inline(keys) => keys.get(key_id).ok_or(NoKey::Unknown),
        }
    }

    fn caller(&self, token: &UncheckedToken<'_>, key: &PublicKey) -> Result<Caller, Refusal> {
        if token.algorithm != key.algorithm_name() {
            return Err(Refusal::Algorithm);
        }
        if !key.has_signed(token.signed_part, token.signature) {
            return Err(Refusal::Signature);
        }
        claims::caller(&token.payload()?, &self.settings, self.clock.now())
    }
}
