use std::{path::PathBuf, time::Duration};

use clap::Args;
use domain::tenant::TenantId;
use host::Clock;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value, json};

use super::key_pair;
use crate::failure::Failure;

/// The issuer that a development stack trusts, a name that can't exist (RFC 2606).
const DEFAULT_ISSUER: &str = "https://development.audit-export.invalid";
const DEFAULT_AUDIENCE: &str = "audit-export";
/// A longer lifetime is a habit that people take with them into production.
const MAX_LIFETIME: Duration = Duration::from_hours(24);

/// Sign a token for a development stack, and print it
///
/// AUDIT permits the GraphQL API, `AUDIT_WRITE` permits sending events. The token is a secret until it expires: redirect it
/// into a file, and don't put it on a command line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dev-tools token sign --directory .local/token --tenant acme --permissions AUDIT,AUDIT_WRITE
  dev-tools token sign --directory .local/token --tenant acme --permissions AUDIT --expires-in 8h > token")]
pub struct SignArguments {
    /// The directory that `token keygen` wrote the key pair to
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,

    /// The tenant that the bearer acts for
    #[arg(long, value_parser = TenantId::parse)]
    tenant: TenantId,

    /// The permissions of the bearer, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    permissions: Vec<String>,

    #[arg(long, default_value = DEFAULT_ISSUER)]
    issuer: String,

    #[arg(long, default_value = DEFAULT_AUDIENCE)]
    audience: String,

    /// The bearer, shown as `createdBy` and `updatedBy`
    #[arg(long, default_value = "developer@example.com")]
    subject: String,

    /// The lifetime of the token: 90s, 15m, 8h; 24h at most
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = parse_lifetime)]
    expires_in: Duration,

    /// The claim that the stack reads the tenant from
    #[arg(long, default_value = "tenant_id", value_name = "NAME")]
    tenant_claim: String,

    /// The claim that the stack reads the permissions from
    #[arg(long, default_value = "permissions", value_name = "NAME")]
    permissions_claim: String,
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "a duration is written as a number and a unit, for example 15m or 8h".to_owned())?;
    let lifetime = Duration::try_from(duration).map_err(|_| "the lifetime must be greater than zero".to_owned())?;
    if lifetime.is_zero() || lifetime > MAX_LIFETIME {
        return Err("the lifetime must be more than 0 s and at most 24h".to_owned());
    }
    Ok(lifetime)
}

pub fn run(arguments: &SignArguments, clock: &dyn Clock) -> Result<(), Failure> {
    Ok(terminal::print_line(&sign(arguments, clock.now().as_millis() / 1_000)?)?)
}

/// Signs a token. `now` is in seconds since the epoch.
fn sign(arguments: &SignArguments, now: u64) -> Result<String, Failure> {
    let signing_key = key_pair::load(&arguments.directory)?;
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(signing_key.key_id);
    jsonwebtoken::encode(&header, &claims(arguments, now)?, &signing_key.key)
        .map_err(|error| Failure::Cryptography(error.to_string()))
}

fn claims(arguments: &SignArguments, now: u64) -> Result<Map<String, Value>, Failure> {
    let claims = [
        ("iss", json!(arguments.issuer)),
        ("aud", json!(arguments.audience)),
        ("sub", json!(arguments.subject)),
        ("iat", json!(now)),
        ("exp", json!(now + arguments.expires_in.as_secs())),
        (arguments.tenant_claim.as_str(), json!(arguments.tenant)),
        (arguments.permissions_claim.as_str(), json!(arguments.permissions)),
    ];
    let number = claims.len();
    let claims: Map<String, Value> = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if claims.len() < number {
        return Err(Failure::ClaimTwice);
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};

    use super::*;

    fn arguments(directory: &Path) -> SignArguments {
        SignArguments {
            directory: directory.to_owned(),
            tenant: TenantId::parse("acme").unwrap(),
            permissions: vec!["AUDIT".to_owned(), "AUDIT_WRITE".to_owned()],
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            subject: "someone".to_owned(),
            expires_in: Duration::from_mins(1),
            tenant_claim: "tenant_id".to_owned(),
            permissions_claim: "permissions".to_owned(),
        }
    }

    #[test]
    fn the_key_set_verifies_what_the_private_key_signed() {
        let directory = tempfile::tempdir().unwrap();
        let written = key_pair::generate(directory.path(), false).unwrap();
        let now = host::Machine.now().as_millis() / 1_000;
        let token = sign(&arguments(directory.path()), now).unwrap();

        let key_set: JwkSet = serde_json::from_slice(&fs::read(written.key_set).unwrap()).unwrap();
        let key_id = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(key_set.find(&key_id).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[DEFAULT_ISSUER]);
        validation.set_audience(&[DEFAULT_AUDIENCE]);
        let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims;
        assert_eq!(claims["tenant_id"], "acme");
        assert_eq!(claims["permissions"], json!(["AUDIT", "AUDIT_WRITE"]));
        assert_eq!(claims["exp"], now + 60);
    }

    #[test]
    fn a_claim_is_not_said_twice() {
        let directory = tempfile::tempdir().unwrap();
        let twice = SignArguments { tenant_claim: "sub".to_owned(), ..arguments(directory.path()) };
        assert!(matches!(claims(&twice, 0), Err(Failure::ClaimTwice)));
    }

    #[test]
    fn lifetimes() {
        assert_eq!(parse_lifetime("1h").unwrap(), Duration::from_hours(1));
        assert_eq!(parse_lifetime("1h 30m").unwrap(), Duration::from_mins(90));
        for bad in ["", "1", "0s", "-1h", "25h", "soon"] {
            assert!(parse_lifetime(bad).is_err(), "{bad:?}");
        }
    }
}
