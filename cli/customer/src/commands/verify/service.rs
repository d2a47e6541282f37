//! What the service knows of an export: the keys that it signs with, and how far the export has to reach.

use domain::{configuration::ConfigurationId, digest::Hex32, time::Timestamp};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use verification::{Expectation, ExpectationSource, Place, PublicKeys};

use crate::{
    access::Access,
    api::{GraphQl, Operation},
    commands::config::jobs,
    failure::Failure,
    model::Job,
    output,
};

pub const KEYS: Operation = Operation {
    what: "to tell its public keys",
    field: "exportSigningKeys",
    document: "{ exportSigningKeys { fingerprint publicKey } }",
};
pub const EXPORTED_THROUGH: Operation = Operation {
    what: "to tell how far the configuration is exported; --expect-through says it instead",
    field: "getExportConfiguration",
    document: "query($id: ID!) { getExportConfiguration(id: $id) { exportedThrough } }",
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningKey {
    fingerprint: Hex32,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportedThrough {
    exported_through: Option<String>,
}

pub const DIGEST: Operation = Operation {
    what: "to name the digest of the export job; --expect-head says it instead",
    field: "getExportDigest",
    document: "query($id: ID!) { getExportDigest(exportJobId: $id) { bucketName objectKey sha256 } }",
};

/// Digests that are asked for to find the newest one of a place that the export has left: two years of one every two hours.
const MAX_DIGESTS_ASKED: u64 = 8_760;
/// Digests that are asked for at once.
const DIGESTS_AT_ONCE: usize = 8;

/// Where a digest lies.
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

/// Who says which place is verified.
#[derive(Clone, Copy, Debug)]
pub enum PlaceSource<'a> {
    /// The person.
    Given(&'a Place),
    /// The copy itself: whoever changed it chose the place too.
    Claimed(&'a Place),
    /// Nobody.
    Unknown,
}

pub struct Service(GraphQl);

impl Service {
    pub fn new(access: &Access) -> Result<Self, Failure> {
        GraphQl::new(access).map(Self)
    }

    /// Adds every key that the service signs or signed with.
    pub async fn add_keys(&self, keys: &mut PublicKeys) -> Result<(), Failure> {
        let export_signing_keys: Vec<SigningKey> = self.0.ask(&KEYS, &json!({})).await?.parse()?;
        if export_signing_keys.is_empty() {
            return Err(Failure::Unavailable("it has no public keys".to_owned()));
        }
        for SigningKey { fingerprint, public_key } in export_signing_keys {
            let invalid = |reason: String| Failure::Unavailable(format!("its public key {fingerprint}: {reason}"));
            let mut key = PublicKeys::default();
            key.add_pem(&public_key).map_err(|error| invalid(error.to_string()))?;
            if !key.fingerprints().eq([fingerprint]) {
                return Err(invalid("the key has another fingerprint".to_owned()));
            }
            keys.add_pem(&public_key).map_err(|error| invalid(error.to_string()))?;
        }
        Ok(())
    }

    /// Returns what has to be in a place by what the service knows: as much as it exported. If the newest digest lies
    /// elsewhere, because the export was moved to another destination, the newest digest that lies here is enough, but only
    /// where the person said that it is this place.
    pub async fn expectation(&self, id: ConfigurationId, source: PlaceSource<'_>) -> Result<Expectation, Failure> {
        // Before the jobs: what ends in between is no more than what is expected.
        let through = self.exported_through(id).await?;
        let expected = Expectation { through, head: None, source: ExpectationSource::Service };
        let (PlaceSource::Given(place) | PlaceSource::Claimed(place), Some(_)) = (source, through) else {
            return Ok(expected);
        };
        let jobs: Vec<Job> = self.0.ask(&jobs::OPERATION, &json!({ "id": id.to_string() })).await?.parse()?;
        let newest = jobs.iter().find(|job| &*job.status == "SUCCEEDED").and_then(sequence_of);
        let Some(newest) = newest else { return Ok(expected) };
        let Some(newest_digest) = self.digest(id, newest).await? else {
            if let PlaceSource::Given(_) = source {
                output::warn(
                    "the service does not know any more where its newest digest lies, so all that it exported is expected \
                     here: if the export was moved away before, give --expect-head with the SHA-256 that the report of the \
                     next place names",
                );
            }
            return Ok(expected);
        };
        if newest_digest.lies_in(place) {
            return Ok(expected);
        }
        if let PlaceSource::Claimed(_) = source {
            output::warn(
                "this copy's digests name another place than the one of the service's newest digest, and all that the \
                 service exported is expected of it: give --place if this is a copy of the old place",
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
        output::warn(
            "the service knows of no digest here any more, so a tail that was cut off would not show: give --expect-head with \
             the SHA-256 that the report of the next place names",
        );
        Ok(Expectation::default())
    }

    /// `None`: the service does not have it any more.
    async fn digest(&self, id: ConfigurationId, sequence: u64) -> Result<Option<LocatedDigest>, Failure> {
        match self.0.ask(&DIGEST, &json!({ "id": format!("{id}.{sequence}") })).await {
            Ok(answer) => answer.parse().map(Some),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Everything received before it is told of by a signed digest. `None`: no export of the configuration has ended.
    async fn exported_through(&self, id: ConfigurationId) -> Result<Option<Timestamp>, Failure> {
        let answer = self.0.ask(&EXPORTED_THROUGH, &json!({ "id": id.to_string() })).await?;
        let Some(text) = answer.parse::<ExportedThrough>()?.exported_through else { return Ok(None) };
        Timestamp::parse(&text)
            .map(Some)
            .map_err(|error| Failure::Unavailable(format!("its exportedThrough is no time: {error}")))
    }
}

/// A job's id is the configuration's, a full stop and the digest's sequence.
fn sequence_of(job: &Job) -> Option<u64> {
    job.id.rsplit_once('.')?.1.parse().ok()
}
