//! Issuers from the `TOKEN_*` environment variables.

use function_runtime::environment::{DeploymentMode, Environment};

use crate::{
    claim_path::ClaimPath,
    issuer::{AllowedTenants, IssuerSettings, Issuers, MAX_AUDIENCES, MAX_NAME_LENGTH, PermissionRule, TenantRule},
    issuer_list::{
        self, DEFAULT_AUDIT_PERMISSION, DEFAULT_AUDIT_WRITE_PERMISSION, DEFAULT_PERMISSIONS_CLAIM,
        DEFAULT_TENANT_CLAIM, is_name, parse_audiences, parse_permission_claims,
    },
    key_set::KeySet,
    key_source::{KeySource, Schemes, parse_address},
};

const ISSUERS: &str = "TOKEN_ISSUERS";
const ISSUER: &str = "TOKEN_ISSUER";
const AUDIENCE: &str = "TOKEN_AUDIENCE";
const KEYS_ADDRESS: &str = "TOKEN_JWKS_URL";
const INLINE_KEYS: &str = "TOKEN_DEVELOPMENT_JWKS";

/// The longest `TOKEN_ISSUERS`, in bytes of a JSON string: Lambda counts the variables of a function as JSON, in which a
/// quote takes two bytes. The template's other parameters leave this much.
const MAX_ISSUERS_LENGTH_BYTES: usize = 1_792;

impl Issuers {
    /// Reads `TOKEN_ISSUERS`, a JSON array, or for a single issuer `TOKEN_ISSUER`, `TOKEN_AUDIENCE` (separated by
    /// commas), `TOKEN_TENANT_CLAIM`, `TOKEN_PERMISSIONS_CLAIM`, `TOKEN_AUDIT_PERMISSION`,
    /// `TOKEN_AUDIT_WRITE_PERMISSION`, `TOKEN_JWKS_URL` and `TOKEN_DEVELOPMENT_JWKS`.
    ///
    /// Inline keys take precedence over an address, and an address over the issuer's metadata.
    pub fn from_environment(environment: &mut Environment, mode: DeploymentMode) -> Option<Self> {
        let schemes = if mode.is_development() { Schemes::HttpsOrHttp } else { Schemes::Https };
        if environment.is_set(ISSUERS) {
            for name in [ISSUER, AUDIENCE, KEYS_ADDRESS, INLINE_KEYS] {
                if environment.is_set(name) {
                    environment.note(name, format!("must be empty beside {ISSUERS}"));
                }
            }
            let text = environment.text(ISSUERS)?;
            return issuer_list::parse(&text, schemes)
                .map_err(|error| environment.note(ISSUERS, error.to_string()))
                .ok();
        }
        let settings = single_issuer(environment, mode, schemes)?;
        Self::new(vec![settings]).map_err(|error| environment.note(ISSUER, error.to_string())).ok()
    }

    /// Notes a `TOKEN_ISSUERS` that is too long to be deployed beside the longest values of all other parameters.
    ///
    /// A function does not ask this at its start: what Lambda accepted fits, because the other values are shorter.
    pub fn check_length(environment: &mut Environment) {
        let Some(text) = environment.is_set(ISSUERS).then(|| environment.text(ISSUERS)).flatten() else { return };
        let length = serde_json::Value::from(text).to_string().len() - "\"\"".len();
        if length > MAX_ISSUERS_LENGTH_BYTES {
            let problem = format!(
                "must have at most {MAX_ISSUERS_LENGTH_BYTES} bytes, each quote counted twice; it has {length}"
            );
            environment.note(ISSUERS, problem);
        }
    }
}

/// Reads the only issuer, which speaks for every tenant.
fn single_issuer(environment: &mut Environment, mode: DeploymentMode, schemes: Schemes) -> Option<IssuerSettings> {
    let issuer = name(environment, ISSUER, None);
    let expected = format!("1 to {MAX_AUDIENCES} values of 1 to {MAX_NAME_LENGTH} bytes, separated by commas");
    let audiences = environment.parsed(AUDIENCE, &expected, |text| {
        parse_audiences(text.split(',').map(|audience| audience.trim().to_owned()).collect())
    });
    let tenant_claim = claim(environment, "TOKEN_TENANT_CLAIM", DEFAULT_TENANT_CLAIM);
    let permissions_claims = claims(environment, "TOKEN_PERMISSIONS_CLAIM", DEFAULT_PERMISSIONS_CLAIM);
    let audit = name(environment, "TOKEN_AUDIT_PERMISSION", Some(DEFAULT_AUDIT_PERMISSION));
    let audit_write = name(environment, "TOKEN_AUDIT_WRITE_PERMISSION", Some(DEFAULT_AUDIT_WRITE_PERMISSION));
    let key_source = key_source(environment, mode, schemes, issuer.as_deref());
    Some(IssuerSettings {
        issuer: issuer?,
        audiences: audiences?,
        tenants: TenantRule::Claim { claim: tenant_claim?, allowed: AllowedTenants::Any },
        permissions: PermissionRule { claims: permissions_claims?, audit: audit?, audit_write: audit_write? },
        key_source: key_source?,
    })
}

fn name(environment: &mut Environment, variable: &str, default: Option<&str>) -> Option<String> {
    if let (false, Some(default)) = (environment.is_set(variable), default) {
        return Some(default.to_owned());
    }
    let expected = format!("1 to {MAX_NAME_LENGTH} bytes without control characters");
    environment.parsed(variable, &expected, |text| is_name(text).then(|| text.to_owned()))
}

fn claim(environment: &mut Environment, variable: &str, default: &str) -> Option<ClaimPath> {
    let text = environment.text_or(variable, default)?;
    ClaimPath::parse(&text).map_err(|error| environment.note(variable, error.to_string())).ok()
}

fn claims(environment: &mut Environment, variable: &str, default: &str) -> Option<Vec<ClaimPath>> {
    let text = environment.text_or(variable, default)?;
    parse_permission_claims(&text).map_err(|error| environment.note(variable, error.to_string())).ok()
}

fn key_source(
    environment: &mut Environment,
    mode: DeploymentMode,
    schemes: Schemes,
    issuer: Option<&str>,
) -> Option<KeySource> {
    if environment.is_set(INLINE_KEYS) {
        if !mode.is_development() {
            environment.note(INLINE_KEYS, "must not be set in production");
            return None;
        }
        let expected = "a JSON Web Key Set with an RSA, P-256, P-384 or Ed25519 verification key that has a kid";
        return environment.parsed(INLINE_KEYS, expected, |text| {
            KeySet::parse(text.as_bytes()).ok().filter(|keys| !keys.is_empty()).map(KeySource::Inline)
        });
    }
    let address = |condition: &str| {
        let schemes = schemes.names().join(" or ");
        format!("an absolute {schemes} address without user name, password or fragment{condition}")
    };
    if environment.is_set(KEYS_ADDRESS) {
        return environment
            .parsed(KEYS_ADDRESS, &address(""), |text| parse_address(text, schemes).map(KeySource::Remote));
    }
    let discovered = KeySource::discovered(issuer?, schemes);
    if discovered.is_none() {
        environment.note(ISSUER, format!("must be {}", address(&format!(" or query, unless {KEYS_ADDRESS} is set"))));
    }
    discovered
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

    fn read_all(mode: DeploymentMode, variables: &[(&str, &str)]) -> Result<Vec<IssuerSettings>, String> {
        let mut environment = Environment::from_map(variables.iter().copied());
        let issuers = Issuers::from_environment(&mut environment, mode);
        environment.finish(issuers).map(Vec::from_iter).map_err(|error| error.to_string())
    }

    fn read(mode: DeploymentMode, variables: &[(&str, &str)]) -> Result<IssuerSettings, String> {
        let token = [("TOKEN_ISSUER", "https://issuer"), ("TOKEN_AUDIENCE", "audit")];
        let variables: Vec<_> = token.iter().chain(variables).copied().collect();
        read_all(mode, &variables).map(|issuers| issuers.into_iter().next().unwrap())
    }

    #[test]
    fn claims_and_permissions_have_default_names() {
        let settings =
            read(DeploymentMode::Production, &[("TOKEN_JWKS_URL", "https://issuer/keys"), ("TOKEN_TENANT_CLAIM", "")])
                .unwrap();
        let TenantRule::Claim { claim, allowed: AllowedTenants::Any } = settings.tenants else { panic!() };
        assert_eq!(claim, ClaimPath::parse("tenant_id").unwrap());
        assert_eq!(settings.permissions.claims, [ClaimPath::parse("permissions").unwrap()]);
        assert_eq!(
            (settings.permissions.audit, settings.permissions.audit_write),
            ("AUDIT".into(), "AUDIT_WRITE".into())
        );
        assert!(matches!(settings.key_source, KeySource::Remote(url) if url.as_str() == "https://issuer/keys"));
    }

    #[test]
    fn claims_permissions_and_audiences_are_parameters() {
        let settings = read(
            DeploymentMode::Production,
            &[
                ("TOKEN_AUDIENCE", "people, machines"),
                ("TOKEN_TENANT_CLAIM", "https://acme.example/tenant"),
                ("TOKEN_PERMISSIONS_CLAIM", "/realm_access/roles,scope"),
                ("TOKEN_AUDIT_PERMISSION", "audit:read"),
                ("TOKEN_AUDIT_WRITE_PERMISSION", "Audit Writers"),
            ],
        )
        .unwrap();
        assert_eq!(settings.audiences, ["people", "machines"]);
        let claims = ["/realm_access/roles", "scope"].map(|claim| ClaimPath::parse(claim).unwrap());
        assert_eq!(settings.permissions.claims, claims);
        assert_eq!(
            (settings.permissions.audit.as_str(), settings.permissions.audit_write.as_str()),
            ("audit:read", "Audit Writers")
        );
        for (name, value) in [
            ("TOKEN_AUDIENCE", "people,"),
            ("TOKEN_AUDIENCE", "a,b,c,d,e,f,g,h,i,j,k"),
            ("TOKEN_TENANT_CLAIM", "/a//b"),
            ("TOKEN_PERMISSIONS_CLAIM", "/a~b"),
            ("TOKEN_PERMISSIONS_CLAIM", "a,"),
            ("TOKEN_PERMISSIONS_CLAIM", "a,b,c,d"),
            ("TOKEN_AUDIT_PERMISSION", "a\tb"),
        ] {
            let error = read(DeploymentMode::Production, &[(name, value)]).unwrap_err();
            assert!(error.contains(&format!("{name} must")), "{error}");
        }
    }

    #[test]
    fn an_issuer_alone_is_enough() {
        let settings = read(DeploymentMode::Production, &[("TOKEN_JWKS_URL", "")]).unwrap();
        let expected = "https://issuer/.well-known/openid-configuration";
        assert!(matches!(settings.key_source, KeySource::Discovered(url) if url.as_str() == expected));

        for issuer in ["http://issuer", "issuer", "https://issuer?a"] {
            let error = read(DeploymentMode::Production, &[("TOKEN_ISSUER", issuer)]).unwrap_err();
            assert!(error.contains("TOKEN_ISSUER must be an absolute https address"), "{error}");
            // An issuer that is no address has keys at one.
            let keys = ("TOKEN_JWKS_URL", "https://issuer/keys");
            assert!(read(DeploymentMode::Production, &[("TOKEN_ISSUER", issuer), keys]).is_ok());
        }
        assert!(read(DeploymentMode::Development, &[("TOKEN_ISSUER", "http://127.0.0.1:9")]).is_ok());
    }

    #[test]
    fn several_issuers_replace_the_single_one() {
        let list = r#"[{"issuer":"https://a.example","audiences":["audit"],"tenant":"a"},
                       {"issuer":"https://b.example","audiences":["audit"],"tenant":"b"}]"#;
        assert_eq!(read_all(DeploymentMode::Production, &[("TOKEN_ISSUERS", list)]).unwrap().len(), 2);

        let both = [("TOKEN_ISSUERS", list), ("TOKEN_ISSUER", "https://c.example"), ("TOKEN_JWKS_URL", "https://c/k")];
        let error = read_all(DeploymentMode::Production, &both).unwrap_err();
        for name in ["TOKEN_ISSUER", "TOKEN_JWKS_URL"] {
            assert!(error.contains(&format!("{name} must be empty beside TOKEN_ISSUERS")), "{error}");
        }
        let without_rule = list.replace(r#","tenant":"b""#, "");
        let error = read_all(DeploymentMode::Production, &[("TOKEN_ISSUERS", &without_rule)]).unwrap_err();
        assert!(error.contains("TOKEN_ISSUERS issuer 2: exactly one of tenant"), "{error}");
    }

    #[test]
    fn a_list_that_may_not_fit_is_found_before_the_deployment_and_does_not_stop_the_start() {
        let list = r#"[{"issuer":"https://a.example","audiences":["audit"],"tenant":"a"}]"#;
        let quotes = list.matches('"').count();
        let check = |length: usize| {
            let padded = format!("{list}{}", " ".repeat(length - list.len() - quotes));
            let mut environment = Environment::from_map([(ISSUERS, padded.as_str())]);
            let issuers = Issuers::from_environment(&mut environment, DeploymentMode::Production);
            assert!(issuers.is_some());
            Issuers::check_length(&mut environment);
            environment.finish(issuers).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(check(MAX_ISSUERS_LENGTH_BYTES), Ok(()));
        let error = check(MAX_ISSUERS_LENGTH_BYTES + 1).unwrap_err();
        assert!(
            error.contains("TOKEN_ISSUERS must have at most 1792 bytes, each quote counted twice; it has 1793"),
            "{error}"
        );
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
        let settings = Issuers::from_environment(&mut environment, DeploymentMode::Production);
        let error = environment.finish(settings).unwrap_err();
        let names: Vec<&str> = error.problems().map(|(name, _)| name).collect();
        assert_eq!(names, ["TOKEN_AUDIENCE", "TOKEN_ISSUER", "TOKEN_JWKS_URL"]);

        for bad in ["https://", "ftp://issuer/", "https://user@issuer/", "https://issuer/#k", "file:///keys", "data:,x"]
        {
            assert!(read(DeploymentMode::Development, &[("TOKEN_JWKS_URL", bad)]).is_err(), "{bad}");
        }
    }
}
