//! The issuer's key set, fetched and cached.

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::HttpError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::{self, ByteStream};
use tokio::sync::Mutex;
use tokio::time::timeout;
use url::Url;

use super::clock::Clock;
use super::jwk::{KeySet, KeySetError, VerificationKey};

/// Bounds of fetching and caching keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksLimits {
    /// The time of one fetch, from name resolution to the last byte.
    pub timeout: Duration,
    /// The longest key set, in bytes.
    pub max_length_bytes: usize,
    /// The age from which keys are fetched again before use.
    pub max_age: Duration,
    /// The age from which keys aren't used, even if no newer ones can be had. Counted, as `max_age`, from the last fetch
    /// that succeeded.
    pub max_stale_age: Duration,
    /// The least time between two fetches while there are keys that may be used, whatever came of the first.
    pub cooldown: Duration,
}

impl JwksLimits {
    /// The limits in service: 2 s, 64 KiB, 10 min, 1 h, 30 s.
    pub const DEFAULT: Self = Self {
        timeout: Duration::from_secs(2),
        max_length_bytes: 64 * 1024,
        max_age: Duration::from_mins(10),
        max_stale_age: Duration::from_hours(1),
        cooldown: Duration::from_secs(30),
    };
}

impl Default for JwksLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer hasn't published a key of this ID.
    Unknown,
    /// What the issuer has published isn't known.
    Unavailable,
}

/// Keys from an address, kept for a while.
///
/// At most one fetch runs at a time; those who need its result wait for it.
#[derive(Debug)]
pub(super) struct RemoteKeys {
    address: Url,
    limits: JwksLimits,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    /// Held by the one who fetches.
    fetching: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// The keys and when they were fetched.
    keys: Option<(KeySet, SystemTime)>,
    attempted_at: Option<SystemTime>,
    attempt_failed: bool,
    /// How many fetches have ended, well or not. One that was dropped halfway has not.
    ended: u64,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the address can't be asked")]
    Address(#[source] HttpError),
    #[error("the request failed")]
    Request(#[source] ConnectorError),
    #[error("the answer broke off")]
    Answer(#[source] byte_stream::error::Error),
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    #[error("status {0} instead of 200")]
    Status(u16),
    #[error("longer than {0} bytes")]
    TooLong(usize),
    #[error("the document can't be used")]
    Document(#[source] KeySetError),
}

impl RemoteKeys {
    pub(super) fn new(address: Url, limits: JwksLimits, clock: Arc<dyn Clock>) -> Self {
        Self { address, limits, clock, state: RwLock::default(), fetching: Mutex::default() }
    }

    /// The key of this ID, fetched anew if it is unknown or the keys have aged.
    pub(super) async fn get(&self, key_id: &str) -> Result<Arc<VerificationKey>, NoKey> {
        if let Some(key) = self.fresh_key(key_id) {
            return Ok(key);
        }
        let ended_before = self.read(|state| state.ended);
        let fetching = self.fetching.lock().await;
        // Another one may have fetched while this one waited.
        if let Some(key) = self.fresh_key(key_id) {
            return Ok(key);
        }
        if self.may_fetch(ended_before) {
            self.refresh().await;
        }
        drop(fetching);
        self.stale_key(key_id)
    }

    fn fresh_key(&self, key_id: &str) -> Option<Arc<VerificationKey>> {
        self.read(|state| match &state.keys {
            Some((keys, fetched_at)) if self.is_younger(*fetched_at, self.limits.max_age) => keys.get(key_id),
            _ => None,
        })
    }

    fn stale_key(&self, key_id: &str) -> Result<Arc<VerificationKey>, NoKey> {
        self.read(|state| match &state.keys {
            Some((keys, fetched_at)) if self.is_younger(*fetched_at, self.limits.max_stale_age) => {
                // After a failure, an unknown key may be one that the issuer has just begun to use.
                let absent = if state.attempt_failed { NoKey::Unavailable } else { NoKey::Unknown };
                keys.get(key_id).ok_or(absent)
            }
            _ => Err(NoKey::Unavailable),
        })
    }

    /// Whether to fetch now, for one who came when `ended_before` fetches had ended. Without keys nobody can be let in, so
    /// each who comes has them fetched; those who came while a fetch was under way share what it brought.
    fn may_fetch(&self, ended_before: u64) -> bool {
        self.read(|state| {
            let is_usable = |fetched_at| self.is_younger(fetched_at, self.limits.max_stale_age);
            if state.keys.as_ref().is_some_and(|(_, fetched_at)| is_usable(*fetched_at)) {
                state.attempted_at.is_none_or(|at| !self.is_younger(at, self.limits.cooldown))
            } else {
                state.ended == ended_before
            }
        })
    }

    async fn refresh(&self) {
        let now = self.clock.now();
        // Noted first: a fetch that is dropped halfway counts as one that failed.
        self.write(|state| (state.attempted_at, state.attempt_failed) = (Some(now), true));
        let fetched = timeout(self.limits.timeout, self.fetch()).await;
        self.write(|state| state.ended += 1);
        match fetched.unwrap_or(Err(FetchError::Timeout(self.limits.timeout))) {
            Ok(keys) => self.write(|state| (state.keys, state.attempt_failed) = (Some((keys, now)), false)),
            Err(error) => tracing::warn!(error = &error as &dyn Error, "the issuer's keys can't be fetched"),
        }
    }

    /// Asks the issuer, as it is: without a proxy, and following no redirect.
    ///
    /// Over the client that AWS is asked over, so that a function has one, but trusting whom the system trusts: an issuer
    /// can be anybody. The client lives for one fetch: a connection wouldn't live to the next, least of all through a frozen
    /// function, and those certificates, which take milliseconds to read, are nothing that a start has to wait for.
    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(self.address.as_str()).map_err(FetchError::Address)?;
        request.headers_mut().insert("accept", "*/*");
        let client = Connector::builder().tls_provider(Provider::rustls(CryptoMode::AwsLc)).build();
        let answer = client.call(request).await.map_err(FetchError::Request)?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        let mut body = ByteStream::new(answer.into_body());
        let mut document = Vec::new();
        while let Some(chunk) = body.try_next().await.map_err(FetchError::Answer)? {
            if document.len() + chunk.len() > self.limits.max_length_bytes {
                return Err(FetchError::TooLong(self.limits.max_length_bytes));
            }
            document.extend_from_slice(&chunk);
        }
        KeySet::parse(&document).map_err(FetchError::Document)
    }

    /// Whether less than `age` has passed since `instant`. A clock that was set back makes things old, not new.
    fn is_younger(&self, instant: SystemTime, age: Duration) -> bool {
        self.clock.now().duration_since(instant).is_ok_and(|passed| passed < age)
    }

    // Nothing that could panic runs under the lock, so that a poisoned one holds nothing half-done.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impostor::impostor;
    use crate::token::clock::SystemClock;

    #[tokio::test]
    async fn an_issuer_that_nobody_vouches_for_is_not_asked() {
        let (endpoint, _) = impostor().await;
        let address = Url::parse(&endpoint).unwrap();
        let keys = RemoteKeys::new(address, JwksLimits::DEFAULT, Arc::new(SystemClock));
        let error = keys.fetch().await.err();
        assert!(matches!(error, Some(FetchError::Request(_))), "{error:?}");
        assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    }
}
