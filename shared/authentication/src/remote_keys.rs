//! The cache of the issuer's key set.

use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use domain::time::Timestamp;
use function_runtime::http_get::{self, GetError};
use host::Clock;
use tokio::{sync::Mutex, time::timeout};
use url::Url;

use crate::{
    discovery::{self, MetadataError},
    key_set::{KeySet, KeySetError, PublicKey},
};

/// The limits of fetching and caching keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksLimits {
    /// The longest duration of one fetch, from name resolution to the last byte. With discovery, it includes the
    /// metadata.
    pub timeout: Duration,
    /// The largest key set, and the largest metadata, in bytes.
    pub max_length_bytes: usize,
    /// The age from which keys are fetched again before they are used.
    pub max_age: Duration,
    /// The age from which keys are no longer used, even if the issuer is unreachable. Both ages count from the last
    /// successful fetch.
    pub max_stale_age: Duration,
    /// The shortest time between two fetches, successful or not, while usable keys are cached.
    pub cooldown: Duration,
    /// The shortest time between two fetches without usable keys. Anybody can name an issuer that is down, and each
    /// fetch keeps a function busy that other tenants need.
    pub failure_cooldown: Duration,
}

impl JwksLimits {
    /// The limits in production: 2 s, 64 KiB, 10 min, 1 h, 30 s, 10 s.
    pub const DEFAULT: Self = Self {
        timeout: Duration::from_secs(2),
        max_length_bytes: 64 * 1024,
        max_age: Duration::from_mins(10),
        max_stale_age: Duration::from_hours(1),
        cooldown: Duration::from_secs(30),
        failure_cooldown: Duration::from_secs(10),
    };
}

impl Default for JwksLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The reason why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// The issuer has not published a key with this ID.
    Unknown,
    /// The issuer's current keys are not known.
    Unavailable,
}

/// Where a key set is.
#[derive(Clone, Debug)]
pub(crate) enum KeysAddress {
    Known(Url),
    /// In the metadata at this address. They are read with every fetch of the keys, so that they are never older than
    /// the keys.
    Discovered(Url),
}

/// Cached keys from an address.
///
/// At most one fetch runs at a time; every caller that needs its result waits for it.
#[derive(Debug)]
pub(crate) struct RemoteKeys {
    /// The configured name, for the log.
    issuer: String,
    address: KeysAddress,
    limits: JwksLimits,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    /// Held during a fetch.
    fetching: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// The keys, and the time when they were fetched.
    keys: Option<(KeySet, Timestamp)>,
    attempted_at: Option<Timestamp>,
    attempt_failed: bool,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Get(#[from] GetError),
    #[error("no complete response within {0:?}")]
    Timeout(Duration),
    #[error("invalid document")]
    Document(#[from] KeySetError),
    #[error("invalid metadata")]
    Metadata(#[from] MetadataError),
}

impl RemoteKeys {
    pub(crate) fn new(issuer: String, address: KeysAddress, limits: JwksLimits, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, address, limits, clock, state: RwLock::default(), fetching: Mutex::default() }
    }

    /// Returns the key with this ID. Fetches the keys if the ID is unknown or the cached keys are too old.
    pub(crate) async fn get(&self, key_id: &str) -> Result<Arc<PublicKey>, NoKey> {
        if let Some(key) = self.fresh_key(key_id) {
            return Ok(key);
        }
        let fetching = self.fetching.lock().await;
        // Another task may have fetched the keys in the meantime.
        if let Some(key) = self.fresh_key(key_id) {
            return Ok(key);
        }
        if self.may_fetch() {
            self.refresh().await;
        }
        drop(fetching);
        self.stale_key(key_id)
    }

    fn fresh_key(&self, key_id: &str) -> Option<Arc<PublicKey>> {
        self.read(|state| match &state.keys {
            Some((keys, fetched_at)) if self.is_younger(*fetched_at, self.limits.max_age) => keys.get(key_id),
            _ => None,
        })
    }

    fn stale_key(&self, key_id: &str) -> Result<Arc<PublicKey>, NoKey> {
        self.read(|state| match &state.keys {
            Some((keys, fetched_at)) if self.is_younger(*fetched_at, self.limits.max_stale_age) => {
                // After a failed fetch, an unknown key may be one that the issuer has just published.
                let absent = if state.attempt_failed { NoKey::Unavailable } else { NoKey::Unknown };
                keys.get(key_id).ok_or(absent)
            }
            _ => Err(NoKey::Unavailable),
        })
    }

    fn may_fetch(&self) -> bool {
        self.read(|state| {
            let is_usable = |fetched_at| self.is_younger(fetched_at, self.limits.max_stale_age);
            let has_keys = state.keys.as_ref().is_some_and(|(_, fetched_at)| is_usable(*fetched_at));
            let cooldown = if has_keys { self.limits.cooldown } else { self.limits.failure_cooldown };
            state.attempted_at.is_none_or(|at| !self.is_younger(at, cooldown))
        })
    }

    async fn refresh(&self) {
        let now = self.clock.now();
        // Recorded before the fetch, so that a dropped fetch counts as a failed one.
        self.write(|state| (state.attempted_at, state.attempt_failed) = (Some(now), true));
        let fetched = timeout(self.limits.timeout, self.fetch()).await;
        match fetched.unwrap_or(Err(FetchError::Timeout(self.limits.timeout))) {
            Ok(keys) => self.write(|state| (state.keys, state.attempt_failed) = (Some((keys, now)), false)),
            Err(error) => {
                tracing::warn!(
                    issuer = self.issuer,
                    error = &error as &dyn Error,
                    "the issuer's keys can't be fetched"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let document = match &self.address {
            KeysAddress::Known(address) => self.get_document(address).await?,
            KeysAddress::Discovered(metadata) => {
                let document = self.get_document(metadata).await?;
                self.get_document(&discovery::keys_address(&document, &self.issuer, metadata)?).await?
            }
        };
        Ok(KeySet::parse(&document)?)
    }

    async fn get_document(&self, address: &Url) -> Result<Vec<u8>, GetError> {
        http_get::get(address, self.limits.max_length_bytes).await
    }

    /// Returns whether less than `age` has passed since `instant`. If the clock was set back, keys count as old.
    fn is_younger(&self, instant: Timestamp, age: Duration) -> bool {
        let now = self.clock.now();
        now >= instant && now.saturating_since(instant) < age
    }

    // Nothing under the lock can panic, so a poisoned lock holds consistent state.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}
