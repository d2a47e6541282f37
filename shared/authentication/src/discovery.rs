//! The metadata of an issuer (`OpenID` Connect Discovery 1.0, RFC 8414).

use serde::Deserialize;
use url::Url;

use crate::key_source::{Schemes, parse_address};

/// The longest `jwks_uri`, in bytes.
const MAX_ADDRESS_LENGTH: usize = 1024;

/// The reason why metadata are not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("the issuer's metadata are no JSON object with `issuer` and `jwks_uri`")]
    Malformed(#[source] serde_json::Error),
    #[error("the metadata name another issuer than the configured one")]
    Issuer,
    #[error("`jwks_uri` of the metadata is not an absolute https address without user name, password or fragment")]
    KeysAddress,
}

/// Returns the address of the key set of `issuer`, from the metadata at `address`.
///
/// The metadata have to name exactly this issuer (section 4.3). Otherwise a host that serves several issuers, or a
/// mistaken address, would supply keys of one issuer for the tokens of another.
pub(crate) fn keys_address(metadata: &[u8], issuer: &str, address: &Url) -> Result<Url, MetadataError> {
    /// The derived code refuses a member that occurs twice.
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }

    let metadata: Metadata = serde_json::from_slice(metadata).map_err(MetadataError::Malformed)?;
    if metadata.issuer != issuer {
        return Err(MetadataError::Issuer);
    }
    Some(metadata.jwks_uri)
        .filter(|text| text.len() <= MAX_ADDRESS_LENGTH)
        .and_then(|text| parse_address(&text, Schemes::reachable_from(address)))
        .ok_or(MetadataError::KeysAddress)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://acme.example/realms/a";

    fn keys_of(metadata: &str, from: &str) -> Result<String, String> {
        let address = Url::parse(from).unwrap();
        keys_address(metadata.as_bytes(), ISSUER, &address).map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn metadata_name_the_issuer_and_an_https_address() {
        let https = "https://acme.example/metadata";
        let with = |issuer: &str, jwks_uri: &str| json!({"issuer": issuer, "jwks_uri": jwks_uri, "x": 1}).to_string();
        let keys = "https://keys.example/a?b=c";
        assert_eq!(keys_of(&with(ISSUER, keys), https).as_deref(), Ok(keys));

        for issuer in
            ["https://acme.example/realms/b", "https://acme.example/realms/a/", "", "HTTPS://acme.example/realms/a"]
        {
            assert!(keys_of(&with(issuer, keys), https).unwrap_err().contains("another issuer"), "{issuer}");
        }
        for bad in
            ["http://keys.example/", "keys", "file:///keys", "https://a:b@keys.example/", "https://keys.example/#a", ""]
        {
            assert!(keys_of(&with(ISSUER, bad), https).unwrap_err().contains("jwks_uri"), "{bad}");
        }
        let long = format!("https://keys.example/{}", "a".repeat(MAX_ADDRESS_LENGTH));
        assert!(keys_of(&with(ISSUER, &long), https).is_err());
        assert!(keys_of(&with(ISSUER, "http://127.0.0.1/keys"), "http://127.0.0.1/metadata").is_ok());
        for malformed in [
            "",
            "[]",
            "{}",
            &json!({"issuer": ISSUER}).to_string(),
            &json!({"issuer": [ISSUER], "jwks_uri": keys}).to_string(),
            &with(ISSUER, keys).replacen('{', r#"{"jwks_uri":"https://attacker.example/","#, 1),
            &with(ISSUER, keys).replacen('{', r#"{"issuer":"https://other.example","#, 1),
        ] {
            assert!(keys_of(malformed, https).unwrap_err().contains("no JSON object"), "{malformed}");
        }
    }
}
