//! Where the keys of an issuer come from.

use url::Url;

use crate::key_set::KeySet;

/// The path of an issuer's metadata (`OpenID` Connect Discovery 1.0 section 4).
const METADATA_PATH: &str = "/.well-known/openid-configuration";

/// The source of an issuer's keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The address of a JSON Web Key Set.
    Remote(Url),
    /// The address of the issuer's metadata, which name the address of the key set.
    Discovered(Url),
    /// Keys from the environment, in development only.
    Inline(KeySet),
}

impl KeySource {
    /// Returns the source for an issuer whose name is the address of its metadata.
    pub(crate) fn discovered(issuer: &str, schemes: Schemes) -> Option<Self> {
        if issuer.contains(['?', '#']) {
            return None;
        }
        parse_address(issuer, schemes)?;
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        parse_address(&format!("{base}{METADATA_PATH}"), schemes).map(Self::Discovered)
    }
}

/// The schemes that addresses of keys and metadata may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schemes {
    Https,
    /// In development only.
    HttpsOrHttp,
}

impl Schemes {
    /// Returns the schemes of addresses in a document from `address`: what came over TLS leads to TLS only.
    pub(crate) fn reachable_from(address: &Url) -> Self {
        if address.scheme() == "https" { Self::Https } else { Self::HttpsOrHttp }
    }

    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Https => &["https"],
            Self::HttpsOrHttp => &["https", "http"],
        }
    }
}

/// Parses an absolute address without user name, password and fragment.
pub(crate) fn parse_address(text: &str, schemes: Schemes) -> Option<Url> {
    let address = Url::parse(text).ok()?;
    let is_plain = address.username().is_empty() && address.password().is_none() && address.fragment().is_none();
    (is_plain && address.has_host() && schemes.names().contains(&address.scheme())).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(issuer: &str, schemes: Schemes) -> Option<String> {
        match KeySource::discovered(issuer, schemes) {
            Some(KeySource::Discovered(address)) => Some(address.to_string()),
            _ => None,
        }
    }

    #[test]
    fn metadata_are_below_the_issuer() {
        for (issuer, expected) in [
            ("https://acme.example", "https://acme.example/.well-known/openid-configuration"),
            ("https://acme.example/", "https://acme.example/.well-known/openid-configuration"),
            ("https://acme.example/realms/a", "https://acme.example/realms/a/.well-known/openid-configuration"),
            ("https://acme.example:8443/a/", "https://acme.example:8443/a/.well-known/openid-configuration"),
        ] {
            assert_eq!(metadata(issuer, Schemes::Https).as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_issuer_without_a_plain_https_address_has_no_metadata() {
        for issuer in [
            "http://acme.example",
            "acme.example",
            "acme",
            "https://",
            "https://user@acme.example",
            "https://acme.example?tenant=a",
            "https://acme.example/#a",
            "urn:acme",
            "file:///etc",
        ] {
            assert_eq!(metadata(issuer, Schemes::Https), None, "{issuer}");
        }
        assert!(metadata("http://127.0.0.1:9", Schemes::HttpsOrHttp).is_some());
    }
}
