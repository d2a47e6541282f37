//! The claims of a token whose signature has been checked.

use std::{collections::BTreeSet, time::Duration};

use domain::{tenant::TenantId, time::Timestamp};
use serde_json::Value;

use crate::{
    authorization::{UncheckedToken, UniqueObject},
    issuer::{IssuerSettings, PermissionRule},
    permission::Permission,
    refusal::Refusal,
};

/// The longest `sub` claim, in characters.
pub const MAX_SUBJECT_LENGTH: usize = 256;

/// The largest accepted difference between the issuer's clock and ours.
const LEEWAY: Duration = Duration::from_mins(1);

/// The `token_use` claim of Amazon Cognito's access tokens.
const ACCESS_TOKEN_USE: &str = "access";

/// The values of the `typ` claim by which Keycloak marks tokens that are not access tokens, in small letters.
const OTHER_TOKEN_TYPES: [&str; 4] = ["id", "refresh", "offline", "logout"];

/// The value of the `typ` claim by which Keycloak marks access tokens.
const ACCESS_TOKEN_TYPE: &str = "Bearer";

/// Claims of ID tokens alone (`OpenID` Connect Core 1.0 section 3.3.2.11).
const ID_TOKEN_CLAIMS: [&str; 2] = ["at_hash", "c_hash"];

/// The caller that a valid token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The only tenant that the caller has access to.
    pub tenant: TenantId,
    /// The `iss` claim. Subjects are unique within an issuer only.
    pub issuer: String,
    /// The `sub` claim: 1 to [`MAX_SUBJECT_LENGTH`] characters, none of them a control character.
    pub subject: String,
    /// The permissions that this service knows; others are ignored.
    pub permissions: BTreeSet<Permission>,
}

/// Checks the standard claims and returns the caller. `iss` was compared when the issuer was looked up.
pub(crate) fn caller(token: &UncheckedToken<'_>, issuer: &IssuerSettings, now: Timestamp) -> Result<Caller, Refusal> {
    let claims = &token.claims;
    check_times(claims, now)?;
    check_kind(token)?;
    if claims.get("cnf").is_some() {
        return Err(Refusal::Bound);
    }
    if !audiences(claims)?.iter().any(|audience| issuer.audiences.iter().any(|expected| expected == audience)) {
        return Err(Refusal::Audience);
    }
    Ok(Caller {
        tenant: issuer.tenants.tenant_of(claims).ok_or(Refusal::Tenant)?,
        issuer: issuer.issuer.clone(),
        subject: subject(claims)?,
        permissions: permissions(claims, &issuer.permissions)?,
    })
}

/// Checks `exp`, which is required, and `nbf`, which is optional (RFC 7519 section 4.1). Both are seconds and may have
/// a fraction.
fn check_times(claims: &UniqueObject, now: Timestamp) -> Result<(), Refusal> {
    // A clock that is not set: no token would be expired.
    if now == Timestamp::EPOCH {
        return Err(Refusal::Expiry);
    }
    let now = Duration::from_millis(now.as_millis()).as_secs_f64();
    let leeway = LEEWAY.as_secs_f64();
    let expiry = claims.get("exp").and_then(Value::as_f64).ok_or(Refusal::Expiry)?;
    if now >= expiry + leeway {
        return Err(Refusal::Expiry);
    }
    if let Some(not_before) = claims.get("nbf") {
        let not_before = not_before.as_f64().ok_or(Refusal::NotBefore)?;
        if now + leeway < not_before {
            return Err(Refusal::NotBefore);
        }
    }
    Ok(())
}

/// Refuses ID tokens and refresh tokens, as far as they show what they are. An issuer signs them with the same keys, and
/// the audience of an ID token is the ID of a client, which is also the audience of Cognito's access tokens, and of
/// others if a client is its own API.
fn check_kind(token: &UncheckedToken<'_>) -> Result<(), Refusal> {
    let claims = &token.claims;
    let is_other_use = claims.get("token_use").is_some_and(|token_use| token_use != ACCESS_TOKEN_USE);
    let is_other_type = claims.get("typ").is_some_and(|kind| {
        kind.as_str().is_none_or(|kind| OTHER_TOKEN_TYPES.contains(&kind.to_ascii_lowercase().as_str()))
    });
    let is_marked = token.is_marked_access_token || claims.text("typ") == Some(ACCESS_TOKEN_TYPE);
    // A client sends a nonce to find it in its ID token; Keycloak repeats it in access tokens.
    let is_id_token =
        ID_TOKEN_CLAIMS.iter().any(|name| claims.get(name).is_some()) || (claims.get("nonce").is_some() && !is_marked);
    if is_other_use || is_other_type || is_id_token { Err(Refusal::Kind) } else { Ok(()) }
}

/// Returns the values of `aud`, a string or an array of strings. An access token of Cognito has no `aud`: it is for its
/// `client_id`.
fn audiences(claims: &UniqueObject) -> Result<Vec<&str>, Refusal> {
    match claims.get("aud") {
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => {
            audiences.iter().map(|audience| audience.as_str().ok_or(Refusal::Audience)).collect()
        }
        None if claims.text("token_use") == Some(ACCESS_TOKEN_USE) => {
            claims.text("client_id").map(|client| vec![client]).ok_or(Refusal::Audience)
        }
        _ => Err(Refusal::Audience),
    }
}

fn subject(claims: &UniqueObject) -> Result<String, Refusal> {
    let subject = claims.text("sub").ok_or(Refusal::Subject)?;
    let length = subject.chars().count();
    if length == 0 || length > MAX_SUBJECT_LENGTH || subject.chars().any(char::is_control) {
        return Err(Refusal::Subject);
    }
    Ok(subject.to_owned())
}

/// Reads the permissions of every claim of the rule: an array with one permission per string, or a string with
/// permissions between spaces, like OAuth's `scope`. A claim that is missing grants nothing; any other type is refused.
fn permissions(claims: &UniqueObject, rule: &PermissionRule) -> Result<BTreeSet<Permission>, Refusal> {
    let mut named: Vec<&str> = Vec::new();
    for claim in &rule.claims {
        match claims.find(claim) {
            None => {}
            Some(Value::String(text)) => named.extend(text.split(' ')),
            Some(Value::Array(values)) => {
                for value in values {
                    named.push(value.as_str().ok_or(Refusal::Permissions)?);
                }
            }
            Some(_) => return Err(Refusal::Permissions),
        }
    }
    Ok(Permission::ALL.into_iter().filter(|permission| named.contains(&rule.name(*permission))).collect())
}
