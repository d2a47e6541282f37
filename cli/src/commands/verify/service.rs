//! What the service knows of an export: the keys that it signs with, and how far the export has to reach.

use domain::{configuration::ConfigurationId, digest::Hex32, time::Timestamp};
use serde::Deserialize;
use serde_json::json;
use verification::PublicKeys;

use crate::{
    access::Access,
    api::{GraphQl, Operation},
    failure::Failure,
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

    /// Everything received before it is told of by a signed digest. `None`: no export of the configuration has ended.
    pub async fn exported_through(&self, id: ConfigurationId) -> Result<Option<Timestamp>, Failure> {
        let answer = self.0.ask(&EXPORTED_THROUGH, &json!({ "id": id.to_string() })).await?;
        let Some(text) = answer.parse::<ExportedThrough>()?.exported_through else { return Ok(None) };
        Timestamp::parse(&text)
            .map(Some)
            .map_err(|error| Failure::Unavailable(format!("its exportedThrough is no time: {error}")))
    }
}
