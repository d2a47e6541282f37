//! Settings from the `TOKEN_*` environment variables.

use function_runtime::environment::{DeploymentMode, Environment};
use url::Url;

use crate::key_set::KeySet;

/// The source of the issuer's keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The address of a JSON Web Key Set. Plain HTTP is accepted in development only.
    Remote(Url),
    /// Keys from the environment, in development only.
    Inline(KeySet),
}

/// The expected claims of a token, and the source of the keys.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// One value of the `aud` claim, exactly.
    pub audience: String,
    /// The name of the top-level claim that holds the tenant. It is not a path.
    pub tenant_claim: String,
    /// The name of the top-level claim that holds the permissions.
    pub permissions_claim: String,
    pub key_source: KeySource,
}

impl TokenSettings {
    /// Reads `TOKEN_ISSUER`, `TOKEN_AUDIENCE`, `TOKEN_TENANT_CLAIM`, `TOKEN_PERMISSIONS_CLAIM`, `TOKEN_JWKS_URL` and
    /// `TOKEN_DEVELOPMENT_JWKS`. Keys take precedence over an address.
    pub fn from_environment(environment: &mut Environment, mode: DeploymentMode) -> Option<Self> {
        let issuer = environment.text("TOKEN_ISSUER");
        let audience = environment.text("TOKEN_AUDIENCE");
        let tenant_claim = environment.text_or("TOKEN_TENANT_CLAIM", "tenant_id");
        let permissions_claim = environment.text_or("TOKEN_PERMISSIONS_CLAIM", "permissions");
        let key_source = key_source(environment, mode);
        Some(Self {
            issuer: issuer?,
            audience: audience?,
            tenant_claim: tenant_claim?,
            permissions_claim: permissions_claim?,
            key_source: key_source?,
        })
    }
}

fn key_source(environment: &mut Environment, mode: DeploymentMode) -> Option<KeySource> {
    const INLINE: &str = "TOKEN_DEVELOPMENT_JWKS";
    const ADDRESS: &str = "TOKEN_JWKS_URL";

    if environment.is_set(INLINE) {
        if !mode.is_development() {
            environment.note(INLINE, "must not be set in production");
            return None;
        }
        let expected = "a JSON Web Key Set with an RS256 or ES256 verification key that has a kid";
        return environment.parsed(INLINE, expected, |text| {
            KeySet::parse(text.as_bytes()).ok().filter(|keys| !keys.is_empty()).map(KeySource::Inline)
        });
    }

    let schemes: &[&str] = if mode.is_development() { &["https", "http"] } else { &["https"] };
    let expected = format!("an absolute {} address without user name, password or fragment", schemes.join(" or "));
    environment.parsed(ADDRESS, &expected, |text| {
        let address = Url::parse(text).ok()?;
        let plain = address.username().is_empty() && address.password().is_none() && address.fragment().is_none();
        (plain && address.has_host() && schemes.contains(&address.scheme())).then_some(KeySource::Remote(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

    fn read(mode: DeploymentMode, variables: &[(&str, &str)]) -> Result<TokenSettings, String> {
        let token = [("TOKEN_ISSUER", "https://issuer"), ("TOKEN_AUDIENCE", "audit")];
        let mut environment = Environment::from_map(token.iter().chain(variables).copied());
        let settings = TokenSettings::from_environment(&mut environment, mode);
        environment.finish(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn claims_have_default_names() {
        let settings =
            read(DeploymentMode::Production, &[("TOKEN_JWKS_URL", "https://issuer/keys"), ("TOKEN_TENANT_CLAIM", "")])
                .unwrap();
        assert_eq!((settings.tenant_claim.as_str(), settings.permissions_claim.as_str()), ("tenant_id", "permissions"));
        assert!(matches!(settings.key_source, KeySource::Remote(url) if url.as_str() == "https://issuer/keys"));
    }

    #[test]
    fn plain_http_is_for_development() {
        let variables = [("TOKEN_JWKS_URL", "http://127.0.0.1:9/keys")];
        assert!(read(DeploymentMode::Development, &variables).is_ok());
        let error = read(DeploymentMode::Production, &variables).unwrap_err();
        assert!(error.contains("TOKEN_JWKS_URL must be an absolute https address"), "{error}");
    }

    #[test]
    fn inline_keys_are_for_development() {
        let variables = [("TOKEN_DEVELOPMENT_JWKS", KEY), ("TOKEN_JWKS_URL", "")];
        assert!(matches!(read(DeploymentMode::Development, &variables).unwrap().key_source, KeySource::Inline(_)));

        let both = [("TOKEN_DEVELOPMENT_JWKS", KEY), ("TOKEN_JWKS_URL", "https://issuer/keys")];
        let error = read(DeploymentMode::Production, &both).unwrap_err();
        assert!(error.contains("TOKEN_DEVELOPMENT_JWKS must not be set in production"), "{error}");
    }

    #[test]
    fn inline_keys_that_verify_nothing_stop_the_start() {
        for bad in ["{", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","kid":"1","k":"c2VjcmV0"}]}"#] {
            let error = read(DeploymentMode::Development, &[("TOKEN_DEVELOPMENT_JWKS", bad)]).unwrap_err();
            assert!(error.contains("TOKEN_DEVELOPMENT_JWKS must be a JSON Web Key Set"), "{error}");
        }
    }

    #[test]
    fn everything_that_is_missing_or_bad_is_named() {
        let mut environment = Environment::from_map([("TOKEN_JWKS_URL", "issuer/keys")]);
        let settings = TokenSettings::from_environment(&mut environment, DeploymentMode::Production);
        let error = environment.finish(settings).unwrap_err();
        let names: Vec<&str> = error.problems().map(|(name, _)| name).collect();
        assert_eq!(names, ["TOKEN_AUDIENCE", "TOKEN_ISSUER", "TOKEN_JWKS_URL"]);

        for bad in ["https://", "ftp://issuer/", "https://user@issuer/", "https://issuer/#k", "file:///keys", "data:,x"]
        {
            assert!(read(DeploymentMode::Development, &[("TOKEN_JWKS_URL", bad)]).is_err(), "{bad}");
        }
    }
}
