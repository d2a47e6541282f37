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
            let remote = |address| Keys::Remote(Box::new(RemoteKeys::new(address, limits, Arc::clone(&clock))));
            let keys = match &settings.key_source {
                KeySource::Remote(address) => remote(KeysAddress::Known(address.clone())),
                KeySource::Discovered(metadata) => {
                    remote(KeysAddress::Discovered { metadata: metadata.clone(), issuer: settings.issuer.clone() })
                }
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
        let refuse = |refusal: Refusal| {
            tracing::info!(reason = %refusal, "a request was refused: UNAUTHENTICATED");
            AccessError::Unauthenticated(refusal.fault())
        };

        let token = UncheckedToken::parse(authorization_header).map_err(refuse)?;
        // Not trusted yet: the issuer's name selects the keys and the rules, and the signature decides.
        let issuer = token.claims.text("iss").and_then(|name| self.issuer(name));
        let issuer = issuer.ok_or_else(|| refuse(Refusal::Issuer))?;
        let key = match issuer.key(&token.key_id).await {
            Ok(key) => key,
            Err(NoKey::Unknown) => return Err(refuse(Refusal::UnknownKey)),
            Err(NoKey::Unavailable) => {
                tracing::warn!(issuer = issuer.settings.issuer, "a request was refused: KEYS_UNAVAILABLE");
                return Err(AccessError::KeysUnavailable);
            }
        };
        check_signature(&token, &key).map_err(refuse)?;
        let caller = claims::caller(&token.claims, &issuer.settings, self.clock.now()).map_err(refuse)?;
        if !caller.permissions.contains(&required) {
            tracing::info!(
                tenant = caller.tenant.as_str(),
                required = required.as_str(),
                "a request was refused: FORBIDDEN"
            );
            return Err(AccessError::Forbidden { required: issuer.settings.permissions.name(required).to_owned() });
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

fn check_signature(token: &UncheckedToken<'_>, key: &PublicKey) -> Result<(), Refusal> {
    if token.algorithm != key.algorithm_name() {
        return Err(Refusal::Algorithm);
    }
    if !key.has_signed(token.signed_part, token.signature) {
        return Err(Refusal::Signature);
    }
    Ok(())
}
