//! The claims of a token whose signature has been checked.

use std::{collections::BTreeSet, time::Duration};

use domain::{tenant::TenantId, time::Timestamp};
use serde_json::Value;

use crate::{authorization::UniqueObject, refusal::Refusal, settings::TokenSettings};

/// The longest `sub` claim, in characters.
pub const MAX_SUBJECT_LENGTH: usize = 256;

/// The largest accepted difference between the issuer's clock and ours.
const LEEWAY: Duration = Duration::from_mins(1);

/// A permission of a caller. Neither permission includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// `AUDIT`: read and change the tenant's export configurations.
    Audit,
    /// `AUDIT_WRITE`: send audit events.
    AuditWrite,
}

impl Permission {
    pub const ALL: [Self; 2] = [Self::Audit, Self::AuditWrite];

    /// Returns the permission's name in a token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "AUDIT",
            Self::AuditWrite => "AUDIT_WRITE",
        }
    }
}

/// The caller that a valid token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The only tenant that the caller has access to.
    pub tenant: TenantId,
    /// The `sub` claim: 1 to [`MAX_SUBJECT_LENGTH`] characters, none of them a control character.
    pub subject: String,
    /// The permissions that this service knows; others are ignored.
    pub permissions: BTreeSet<Permission>,
}

/// Checks the standard claims and returns the caller.
pub(crate) fn caller(claims: &UniqueObject, settings: &TokenSettings, now: Timestamp) -> Result<Caller, Refusal> {
    check_times(claims, now)?;
    if claims.text("iss") != Some(settings.issuer.as_str()) {
        return Err(Refusal::Issuer);
    }
    if !audiences(claims)?.contains(&settings.audience.as_str()) {
        return Err(Refusal::Audience);
    }

    let tenant = claims.text(&settings.tenant_claim).ok_or(Refusal::Tenant)?;
    Ok(Caller {
        tenant: TenantId::parse(tenant).map_err(|_| Refusal::Tenant)?,
        subject: subject(claims)?,
        permissions: permissions(claims.get(&settings.permissions_claim))?,
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

/// Returns the values of `aud`, a string or an array of strings.
fn audiences(claims: &UniqueObject) -> Result<Vec<&str>, Refusal> {
    match claims.get("aud") {
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => {
            audiences.iter().map(|audience| audience.as_str().ok_or(Refusal::Audience)).collect()
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

/// Reads the permissions from an array with one permission per string, or from a string with permissions between
/// spaces, like OAuth's `scope`. Without the claim the caller has no permissions; any other type is refused.
fn permissions(claim: Option<&Value>) -> Result<BTreeSet<Permission>, Refusal> {
    let named: Vec<&str> = match claim {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(values)) => {
            values.iter().map(|value| value.as_str().ok_or(Refusal::Permissions)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(Refusal::Permissions),
    };
    Ok(Permission::ALL.into_iter().filter(|permission| named.contains(&permission.as_str())).collect())
}
