//! The service's public keys, and the end that it expects of an export.

use domain::{configuration::ConfigurationId, digest::Hex32, time::Timestamp};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use verification::{Expectation, ExpectationSource, Place, PublicKeys};

use crate::{
    access::Access,
    api::{GraphQl, operations},
    failure::Failure,
    model::{Endpoint, Job, Located},
    service::WAITING,
    spinner::spinning,
};

/// The text of the spinner while the service is asked for the place.
const LOCATING: &str = "Asking the service for the bucket";

/// A public key of the service, in PEM.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    fingerprint: Hex32,
    pub public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportedThrough {
    exported_through: Option<String>,
}

/// Digests to search for the newest one of a place that the export left: two years with one every two hours.
const MAX_DIGESTS_ASKED: u64 = 8_760;
/// Concurrent requests of this search.
const DIGESTS_AT_ONCE: usize = 8;

/// The place of a digest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocatedDigest {
    bucket_name: String,
    object_key: String,
    sha256: Hex32,
}

impl LocatedDigest {
    fn lies_in(&self, place: &Place) -> bool {
        place.holds_digest(&self.bucket_name, &self.object_key)
    }
}

/// The source of the place to verify.
#[derive(Clone, Copy, Debug)]
pub enum PlaceSource<'a> {
    /// The arguments.
    Given(&'a Place),
    /// The copy itself, which could be forged.
    Claimed(&'a Place),
    Unknown,
}

pub struct Service {
    api: GraphQl,
    accepts_keys: bool,
}

impl Service {
    /// `accepts_keys`: whether the service's public keys are accepted.
    pub fn new(access: &Access, accepts_keys: bool) -> Result<Self, Failure> {
        Ok(Self { api: GraphQl::new(access)?, accepts_keys })
    }

    /// Returns what the configuration exports to.
    pub async fn endpoint(&self, id: ConfigurationId) -> Result<Endpoint, Failure> {
        let answer = spinning(LOCATING, self.api.ask(&operations::PLACE, &json!({ "id": id.to_string() }))).await?;
        Ok(answer.parse::<Located>()?.endpoint_configuration)
    }

    /// Adds all public keys of the service, if they are accepted.
    pub async fn add_keys(&self, keys: &mut PublicKeys) -> Result<(), Failure> {
        if !self.accepts_keys {
            return Ok(());
        }
        for SigningKey { fingerprint, public_key } in self.keys().await? {
            keys.add_pem(&public_key).map_err(|error| invalid_key(fingerprint, &error.to_string()))?;
        }
        Ok(())
    }

    /// Returns all public keys of the service, each with the fingerprint that belongs to it.
    pub async fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        let keys: Vec<SigningKey> =
            spinning(WAITING, self.api.ask(&operations::SIGNING_KEYS, &json!({}))).await?.parse()?;
        if keys.is_empty() {
            return Err(Failure::Unavailable("the service returned no public keys".to_owned()));
        }
        for &SigningKey { fingerprint, ref public_key } in &keys {
            let mut key = PublicKeys::default();
            key.add_pem(public_key).map_err(|error| invalid_key(fingerprint, &error.to_string()))?;
            if !key.fingerprints().eq([fingerprint]) {
                return Err(invalid_key(fingerprint, "the key has another fingerprint"));
            }
        }
        Ok(keys)
    }

    /// Returns the expected end of the export in a place: normally everything that the service exported. If the export was
    /// moved and the newest digest is in another place, the newest digest of this place, but only if the arguments give the
    /// place.
    pub async fn expectation(&self, id: ConfigurationId, source: PlaceSource<'_>) -> Result<Expectation, Failure> {
        // Before the jobs, so that an export that ends meanwhile is not expected.
        let through = self.exported_through(id).await?;
        let expected = Expectation { through, head: None, source: ExpectationSource::Service };
        let (PlaceSource::Given(place) | PlaceSource::Claimed(place), Some(_)) = (source, through) else {
            return Ok(expected);
        };
        let jobs: Vec<Job> = self.api.ask(&operations::JOBS, &json!({ "id": id.to_string() })).await?.parse()?;
        let newest = jobs.iter().find(|job| &*job.status == "SUCCEEDED").and_then(sequence_of);
        let Some(newest) = newest else { return Ok(expected) };
        let Some(newest_digest) = self.digest(id, newest).await? else {
            if let PlaceSource::Given(_) = source {
                terminal::warn(
                    "the service no longer knows the place of its newest digest, so everything that it exported is expected \
                     here: if the export was moved before, give --expect-head with the SHA-256 in the report of the next \
                     place",
                );
            }
            return Ok(expected);
        };
        if newest_digest.lies_in(place) {
            return Ok(expected);
        }
        if let PlaceSource::Claimed(_) = source {
            terminal::warn(
                "the digests of this copy name another place than the service's newest digest, so everything that the service \
                 exported is expected here: give --place if this is a copy of the old place",
            );
            return Ok(expected);
        }
        let oldest_asked = (newest + 1).saturating_sub(MAX_DIGESTS_ASKED);
        let mut digests = stream::iter((oldest_asked..newest).rev())
            .map(|sequence| self.digest(id, sequence))
            .buffered(DIGESTS_AT_ONCE);
        while let Some(digest) = digests.next().await {
            let Some(digest) = digest? else { break };
            if digest.lies_in(place) {
                return Ok(Expectation { through: None, head: Some(digest.sha256), ..expected });
            }
        }
        terminal::warn(
            "the service no longer knows a digest of this place, so missing newest digests would not be found: give \
             --expect-head with the SHA-256 in the report of the next place",
        );
        Ok(Expectation::default())
    }

    /// Returns the place of a digest, if the service still has it.
    async fn digest(&self, id: ConfigurationId, sequence: u64) -> Result<Option<LocatedDigest>, Failure> {
        match self.api.ask(&operations::DIGEST_LOCATION, &json!({ "id": format!("{id}.{sequence}") })).await {
            Ok(answer) => answer.parse().map(Some),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Returns the time through which signed digests cover all events, once an export has ended.
    async fn exported_through(&self, id: ConfigurationId) -> Result<Option<Timestamp>, Failure> {
        let answer = self.api.ask(&operations::EXPORTED_THROUGH, &json!({ "id": id.to_string() })).await?;
        let Some(text) = answer.parse::<ExportedThrough>()?.exported_through else { return Ok(None) };
        Timestamp::parse(&text)
            .map(Some)
            .map_err(|error| Failure::Unavailable(format!("the service's exportedThrough is not a time: {error}")))
    }
}

fn invalid_key(fingerprint: Hex32, reason: &str) -> Failure {
    Failure::Unavailable(format!("the service's public key {fingerprint}: {reason}"))
}

/// Returns the digest's sequence, the last part of a job's ID.
fn sequence_of(job: &Job) -> Option<u64> {
    job.id.rsplit_once('.')?.1.parse().ok()
}
