//! What the service knows of an export: the keys that it signs with, and how far the export has to reach.

use std::path::Path;

use domain::{configuration::ConfigurationId, digest::Hex32, time::Timestamp};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use verification::PublicKeys;

use crate::{api::GraphQl, failure::Failure};

const KEYS_QUERY: &str = "{ exportSigningKeys { fingerprint publicKey } }";
const EXPORTED_THROUGH_QUERY: &str = "query($id: ID!) { getExportConfiguration(id: $id) { exportedThrough } }";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeysData {
    export_signing_keys: Vec<SigningKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningKey {
    fingerprint: Hex32,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigurationData {
    get_export_configuration: ExportedThrough,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportedThrough {
    exported_through: Option<String>,
}

pub struct Service(GraphQl);

impl Service {
    pub fn new(base: &Url, token_file: &Path) -> Result<Self, Failure> {
        GraphQl::new(base, token_file).map(Self)
    }

    /// Adds every key that the service signs or signed with.
    pub async fn add_keys(&self, keys: &mut PublicKeys) -> Result<(), Failure> {
        let KeysData { export_signing_keys } = self.0.query("to tell its public keys", KEYS_QUERY, json!({})).await?;
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
        let what = format!("to tell how far {id} is exported; --expect-through says it instead");
        let data: ConfigurationData =
            self.0.query(&what, EXPORTED_THROUGH_QUERY, json!({ "id": id.to_string() })).await?;
        let Some(text) = data.get_export_configuration.exported_through else { return Ok(None) };
        Timestamp::parse(&text)
            .map(Some)
            .map_err(|error| Failure::Unavailable(format!("its exportedThrough is no time: {error}")))
    }
}
