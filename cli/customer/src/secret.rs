//! Secrets: wiped on drop, and never printed.

use std::{ffi::OsStr, process::Command, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{tenant::TenantId, time::Timestamp};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use terminal::{Style, short_duration};
use zeroize::Zeroizing;

/// The environment variables that may hold the token and the secret access key themselves.
pub const TOKEN_VARIABLE: &str = "AUDIT_EXPORT_TOKEN";
pub const SECRET_ACCESS_KEY_VARIABLE: &str = "AUDIT_EXPORT_SECRET_ACCESS_KEY";

/// API Gateway accepts no larger header.
pub const MAX_TOKEN_LENGTH_BYTES: u64 = 8 * 1_024;

/// The remaining lifetime of a token from which on a command warns.
const SHORT_LIFETIME: Duration = Duration::from_mins(5);

/// Prepares to run another program, which gets none of these variables: it may record its environment, or run others.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove(TOKEN_VARIABLE).env_remove(SECRET_ACCESS_KEY_VARIABLE);
    command
}

/// A text that is never printed. Serializing it sends it to the service.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// Removes surrounding whitespace: editors end a file with a line feed.
    pub fn trimmed(text: &Zeroizing<String>) -> Self {
        Self(text.trim().into())
    }

    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A bearer token.
#[derive(Clone, Debug)]
pub struct Token {
    authorization: HeaderValue,
    claims: Claims,
}

/// The claims of a JSON Web Token that the commands use. Any other token has none.
#[derive(Clone, Debug, Default)]
struct Claims {
    /// The time that the token itself names as its end.
    expires_at: Option<Timestamp>,
    /// The tenant, if its claim has the default name.
    tenant: Option<TenantId>,
}

impl Token {
    /// Parses a token, ignoring surrounding whitespace.
    pub fn parse(text: &Zeroizing<String>) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.len() as u64 > MAX_TOKEN_LENGTH_BYTES {
            return Err("is too long for a token");
        }
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err("holds no token");
        }
        let bearer = Zeroizing::new(format!("Bearer {text}"));
        let mut header = HeaderValue::try_from(bearer.as_str()).map_err(|_| "holds no token")?;
        // HTTP logs hide it.
        header.set_sensitive(true);
        Ok(Self { authorization: header, claims: Claims::of(text).unwrap_or_default() })
    }

    pub fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// Returns the tenant that the token names. The service decides: its operator may have configured another claim.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.claims.tenant.as_ref()
    }

    /// Returns a warning if the token has expired or ends soon. The service decides: this machine's clock may be wrong.
    pub fn warning(&self, now: Timestamp, style: &Style) -> Option<String> {
        let end = self.claims.expires_at?;
        let at = style.time(&end.to_string());
        let left = end.saturating_since(now);
        let spent = now.saturating_since(end);
        if end <= now {
            let ago = short_duration(spent.as_secs());
            Some(format!("the token expired {ago} ago, at {at}; get a new one from your identity provider"))
        } else if left < SHORT_LIFETIME {
            let left = short_duration(left.as_secs());
            Some(format!("the token expires in {left}, at {at}; get a new one before a command that takes longer"))
        } else {
            None
        }
    }
}

impl Claims {
    fn of(token: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Payload {
            /// Seconds, which may have a fraction.
            #[serde(default)]
            exp: Value,
            #[serde(default)]
            tenant_id: Value,
        }

        let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?);
        let Payload { exp, tenant_id } = serde_json::from_slice(&payload).ok()?;
        let since = exp.as_f64().and_then(|exp| Duration::try_from_secs_f64(exp).ok());
        Some(Self {
            expires_at: since.map(|since| Timestamp::EPOCH.saturating_add(since)),
            tenant: tenant_id.as_str().and_then(|tenant| TenantId::parse(tenant).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let text = Zeroizing::new(" hush \n".to_owned());
        let shown = format!("{:?} {:?}", Secret::trimmed(&text), Token::parse(&text).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
        assert_eq!(Secret::trimmed(&text).expose(), "hush");
    }

    #[test]
    fn a_token_that_ends_soon_is_warned_of() {
        let now = Timestamp::parse("2026-11-29T12:00:00.000Z").unwrap();
        let warning = |claims: &str| {
            let text = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
            Token::parse(&Zeroizing::new(text)).unwrap().warning(now, &Style::for_tests())
        };
        let with_expiry =
            |seconds: i64| warning(&format!(r#"{{"exp":{}}}"#, i64::try_from(now.as_seconds()).unwrap() + seconds));
        assert_eq!(with_expiry(300), None);
        assert_eq!(
            with_expiry(299).unwrap(),
            "the token expires in 4m 59s, at 2026-11-29T12:04:59Z (13:04:59 CET); get a new one before a command that takes \
             longer"
        );
        for (seconds, ago) in [(0, "0s"), (-3_600, "1h")] {
            let warning = with_expiry(seconds).unwrap();
            assert!(warning.starts_with(&format!("the token expired {ago} ago, at 2026-11-29T1")), "{warning}");
            assert!(warning.ends_with("; get a new one from your identity provider"), "{warning}");
        }
        for unknown in ["{}", r#"{"exp":"1"}"#, r#"{"exp":-1}"#, r#"{"exp":1e300}"#, "x"] {
            assert_eq!(warning(unknown), None, "{unknown}");
        }
        assert_eq!(Token::parse(&Zeroizing::new("opaque".to_owned())).unwrap().warning(now, &Style::for_tests()), None);
    }

    #[test]
    fn a_token_shows_its_tenant_by_the_default_claim() {
        let tenant = |text: String| Token::parse(&Zeroizing::new(text)).unwrap().tenant().map(ToString::to_string);
        let with = |claims: &str| tenant(format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims)));
        assert_eq!(with(r#"{"tenant_id":"acme","exp":"1"}"#).as_deref(), Some("acme"));
        for unknown in ["{}", r#"{"tenant_id":7}"#, r#"{"tenant_id":"a#b"}"#, r#"{"tenant":"acme"}"#, "[]"] {
            assert_eq!(with(unknown), None, "{unknown}");
        }
        assert_eq!(tenant("opaque".to_owned()), None);
    }

    #[test]
    fn a_token_is_one_word() {
        for bad in ["", " \n", "two words", "a\u{0}b", &"a".repeat(8_193)] {
            assert!(Token::parse(&Zeroizing::new(bad.to_owned())).is_err(), "{bad:?}");
        }
    }
}
