//! The authentication of one request.

use std::sync::Arc;

use host::{Clock, Machine};

use crate::{
    access_error::AccessError,
    authorization::UncheckedToken,
    claims::{self, Caller},
    issuer::{IssuerSettings, Issuers},
    key_set::{KeySet, PublicKey},
    key_source::KeySource,
    permission::Permission,
    refusal::Refusal,
    remote_keys::{JwksLimits, KeysAddress, NoKey, RemoteKeys},
};

#[derive(Debug)]
enum Keys {
    Remote(Box<RemoteKeys>),
    Inline(KeySet),
}

/// An issuer and its keys. Keys of one issuer never check the tokens of another.
#[derive(Debug)]
struct TrustedIssuer {
    settings: IssuerSettings,
    keys: Keys,
}

/// Checks the bearer tokens of requests. A process needs only one: it holds the cached keys.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Vec<TrustedIssuer>,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// Creates an authenticator with the machine's clock and [`JwksLimits::DEFAULT`]. Keys are fetched with the first
    /// token of their issuer.
    #[must_use]
    pub fn new(issuers: Issuers) -> Self {
        Self::with_limits(issuers, JwksLimits::DEFAULT, Arc::new(Machine))
    }

    #[must_use]
    pub fn with_limits(issuers: Issuers, limits: JwksLimits, clock: Arc<dyn Clock>) -> Self {
        let trusted = |settings: IssuerSettings| {
            let remote = |address| {
                let keys = RemoteKeys::new(settings.issuer.clone(), address, limits, Arc::clone(&clock));
                Keys::Remote(Box::new(keys))
            };
            let keys = match &settings.key_source {
                KeySource::Remote(address) => remote(KeysAddress::Known(address.clone())),
                KeySource::Discovered(metadata) => remote(KeysAddress::Discovered(metadata.clone())),
                KeySource::Inline(keys) => Keys::Inline(keys.clone()),
            };
            TrustedIssuer { settings, keys }
        };
        Self { issuers: issuers.into_iter().map(trusted).collect(), clock }
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
        let token = UncheckedToken::parse(authorization_header).map_err(|refusal| refuse(refusal, None))?;
        // Not trusted yet: the issuer's name selects the keys and the rules, and the signature decides.
        let issuer = token.claims.text("iss").and_then(|name| self.issuer(name));
        let issuer = issuer.ok_or_else(|| refuse(Refusal::Issuer, None))?;
        let refuse = |refusal| refuse(refusal, Some(&issuer.settings.issuer));
        let key = match issuer.key(&token.key_id).await {
            Ok(key) => key,
            Err(NoKey::Unknown) => return Err(refuse(Refusal::UnknownKey)),
            Err(NoKey::Unavailable) => {
                tracing::warn!(issuer = issuer.settings.issuer, "a request was refused: KEYS_UNAVAILABLE");
                return Err(AccessError::KeysUnavailable);
            }
        };
        check_signature(&token, &key).map_err(refuse)?;
        let caller = claims::caller(&token, &issuer.settings, self.clock.now()).map_err(refuse)?;
        if !caller.permissions.contains(&required) {
            tracing::info!(
                issuer = issuer.settings.issuer,
                tenant = caller.tenant.as_str(),
                required = required.as_str(),
                "a request was refused: FORBIDDEN"
            );
            let rule = &issuer.settings.permissions;
            return Err(AccessError::Forbidden {
                required: rule.name(required).to_owned(),
                is_scope: rule.has_scopes(),
            });
        }
        Ok(caller)
    }

    fn issuer(&self, name: &str) -> Option<&TrustedIssuer> {
        self.issuers.iter().find(|issuer| issuer.settings.issuer == name)
    }
}

impl TrustedIssuer {
    async fn key(&self, key_id: &str) -> Result<Arc<PublicKey>, NoKey> {
        match &self.keys {
            Keys::Remote(keys) => keys.get(key_id).await,
            Keys::Inline(keys) => keys.get(key_id).ok_or(NoKey::Unknown),
        }
    }
}

/// Logs the reason, with the configured name of the issuer, never the token's.
fn refuse(refusal: Refusal, issuer: Option<&str>) -> AccessError {
    tracing::info!(reason = %refusal, issuer, "a request was refused: UNAUTHENTICATED");
    AccessError::Unauthenticated(refusal.fault())
}

fn check_signature(token: &UncheckedToken<'_>, key: &PublicKey) -> Result<(), Refusal> {
    if !key.is_for(&token.algorithm) {
        return Err(Refusal::Algorithm);
    }
    if !key.has_signed(token.signed_part, token.signature) {
        return Err(Refusal::Signature);
    }
    Ok(())
}
