//! What a token says, once its signature has been checked.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use domain::tenant::TenantId;
use serde_json::{Map, Value};

use super::settings::TokenSettings;
use super::verifier::Refusal;

/// The longest `sub` claim, in characters.
pub const MAX_SUBJECT_LENGTH: usize = 256;

/// How far the issuer's clock may be from ours.
pub(super) const LEEWAY: Duration = Duration::from_mins(1);

/// What a caller may do. Neither permission includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// `AUDIT`: to see and change the tenant's export configurations.
    Audit,
    /// `AUDIT_WRITE`: to send audit events.
    AuditWrite,
}

impl Permission {
    pub const ALL: [Self; 2] = [Self::Audit, Self::AuditWrite];

    /// The permission as a token spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "AUDIT",
            Self::AuditWrite => "AUDIT_WRITE",
        }
    }
}

/// Who is calling, from a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose data the caller may touch.
    pub tenant: TenantId,
    /// The `sub` claim: 1 to [`MAX_SUBJECT_LENGTH`] characters, none of them a control character.
    pub subject: String,
    /// The permissions that are ours; others in the token are left out.
    pub permissions: BTreeSet<Permission>,
}

/// Checks a payload's standard claims and takes the caller from it.
pub(super) fn caller(
    claims: &Map<String, Value>,
    settings: &TokenSettings,
    now: SystemTime,
) -> Result<Caller, Refusal> {
    check_times(claims, now)?;
    if claims.get("iss").and_then(Value::as_str) != Some(settings.issuer.as_str()) {
        return Err(Refusal::Issuer);
    }
    if !audiences(claims)?.contains(&settings.audience.as_str()) {
        return Err(Refusal::Audience);
    }

    let tenant = claims.get(&settings.tenant_claim).and_then(Value::as_str).ok_or(Refusal::Tenant)?;
    Ok(Caller {
        tenant: TenantId::parse(tenant).map_err(|_| Refusal::Tenant)?,
        subject: subject(claims)?,
        permissions: permissions(claims.get(&settings.permissions_claim))?,
    })
}

/// `exp` has to be there; `nbf` counts if it is there (RFC 7519 section 4.1). Both are seconds, fractions allowed.
fn check_times(claims: &Map<String, Value>, now: SystemTime) -> Result<(), Refusal> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Refusal::Expiry)?.as_secs_f64();
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

/// `aud` is one text or an array of texts.
fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    match claims.get("aud") {
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => {
            audiences.iter().map(|audience| audience.as_str().ok_or(Refusal::Audience)).collect()
        }
        _ => Err(Refusal::Audience),
    }
}

fn subject(claims: &Map<String, Value>) -> Result<String, Refusal> {
    let subject = claims.get("sub").and_then(Value::as_str).ok_or(Refusal::Subject)?;
    let length = subject.chars().count();
    if length == 0 || length > MAX_SUBJECT_LENGTH || subject.chars().any(char::is_control) {
        return Err(Refusal::Subject);
    }
    Ok(subject.to_owned())
}

/// The claim is an array of texts, each one permission, or one text with permissions between spaces (as OAuth's `scope`).
/// Without it, the caller has no permissions; anything else is no claim of permissions and no token of ours.
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
