//! The issuers whose tokens are accepted, and what each of them may say.

use std::{collections::BTreeSet, fmt};

use domain::tenant::TenantId;

use crate::{authorization::UniqueObject, claim_path::ClaimPath, key_source::KeySource, permission::Permission};

/// The most issuers of a deployment.
pub const MAX_ISSUERS: usize = 5;

/// The most audiences of an issuer.
pub const MAX_AUDIENCES: usize = 10;

/// The most claims that may have permissions.
pub const MAX_PERMISSION_CLAIMS: usize = 3;

/// The longest name of an issuer, an audience or a permission, in bytes.
pub const MAX_NAME_LENGTH: usize = 512;

/// The rules for the tokens of one issuer.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// The accepted values of `aud`, each exactly. One of them has to be in a token.
    pub audiences: Vec<String>,
    pub tenants: TenantRule,
    pub permissions: PermissionRule,
    pub key_source: KeySource,
}

/// The tenants that an issuer speaks for.
#[derive(Clone, Debug)]
pub enum TenantRule {
    /// The issuer belongs to this tenant. No claim is read.
    Fixed(TenantId),
    /// A claim names the tenant, which has to be an allowed one.
    Claim { claim: ClaimPath, allowed: AllowedTenants },
}

/// The tenants that a claim may name.
#[derive(Clone, Debug)]
pub enum AllowedTenants {
    /// Every tenant: the operator's own issuer.
    Any,
    Listed(BTreeSet<TenantId>),
    Prefix(TenantPrefix),
}

/// The beginning of tenants' IDs. It ends with `.`, `_` or `-`, so that the issuer for `acme-` does not speak for the
/// tenant `acme2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantPrefix(String);

impl TenantPrefix {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_separated = text.ends_with(['.', '_', '-']);
        (is_separated && TenantId::parse(text).is_ok()).then(|| Self(text.to_owned()))
    }
}

/// The claims with the permissions, and the names that they have in them.
#[derive(Clone, Debug)]
pub struct PermissionRule {
    /// 1 to [`MAX_PERMISSION_CLAIMS`]: people may have them in another claim than machines.
    pub claims: Vec<ClaimPath>,
    /// The value that means [`Permission::Audit`].
    pub audit: String,
    /// The value that means [`Permission::AuditWrite`].
    pub audit_write: String,
}

/// The claims with the scopes of a token (RFC 9068 section 2.2.3; `scp` of Okta and Microsoft).
const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

impl PermissionRule {
    /// Returns whether a token may have permissions as scopes.
    pub(crate) fn has_scopes(&self) -> bool {
        self.claims.iter().any(|claim| SCOPE_CLAIMS.iter().any(|name| claim.is_name(name)))
    }

    #[must_use]
    pub fn name(&self, permission: Permission) -> &str {
        match permission {
            Permission::Audit => &self.audit,
            Permission::AuditWrite => &self.audit_write,
        }
    }
}

impl TenantRule {
    /// Returns the tenant of a token with these claims, if there is one that its issuer may speak for.
    pub(crate) fn tenant_of(&self, claims: &UniqueObject) -> Option<TenantId> {
        match self {
            Self::Fixed(tenant) => Some(tenant.clone()),
            Self::Claim { claim, allowed } => {
                let tenant = TenantId::parse(claims.find(claim)?.as_str()?).ok()?;
                allowed.contains(&tenant).then_some(tenant)
            }
        }
    }

    /// Returns the tenants if they are restricted.
    fn restricted(&self) -> Option<Tenants<'_>> {
        match self {
            Self::Fixed(tenant) => Some(Tenants::Set(vec![tenant])),
            Self::Claim { allowed: AllowedTenants::Any, .. } => None,
            Self::Claim { allowed: AllowedTenants::Listed(tenants), .. } => {
                Some(Tenants::Set(tenants.iter().collect()))
            }
            Self::Claim { allowed: AllowedTenants::Prefix(prefix), .. } => Some(Tenants::Prefix(&prefix.0)),
        }
    }
}

impl AllowedTenants {
    fn contains(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tenants) => tenants.contains(tenant),
            Self::Prefix(TenantPrefix(prefix)) => tenant.as_str().starts_with(prefix),
        }
    }
}

/// Tenants that are listed, or that share a prefix.
enum Tenants<'a> {
    Set(Vec<&'a TenantId>),
    Prefix(&'a str),
}

impl Tenants<'_> {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Set(some), Self::Set(others)) => some.iter().any(|tenant| others.contains(tenant)),
            (Self::Set(set), Self::Prefix(prefix)) | (Self::Prefix(prefix), Self::Set(set)) => {
                set.iter().any(|tenant| tenant.as_str().starts_with(prefix))
            }
            (Self::Prefix(one), Self::Prefix(other)) => one.starts_with(other) || other.starts_with(one),
        }
    }
}

/// The issuers of a deployment: 1 to [`MAX_ISSUERS`], each once. A tenant has at most one issuer that is restricted to
/// some tenants, so a mistake in one customer's rule does not open another customer's data. Several issuers may belong
/// to the same single tenant, which is changing from one to the other.
#[derive(Clone, Debug)]
pub struct Issuers(Vec<IssuerSettings>);

/// The reason why issuers can't be used together. Positions start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuersError {
    Count(usize),
    SameIssuer(usize, usize),
    SharedTenants(usize, usize),
}

impl fmt::Display for IssuersError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(formatter, "must have 1 to {MAX_ISSUERS} issuers; it has {count}"),
            Self::SameIssuer(one, other) => {
                write!(formatter, "must have each issuer once: issuers {one} and {other} have the same name")
            }
            Self::SharedTenants(one, other) => write!(
                formatter,
                "must keep tenants apart: issuers {one} and {other} may both name the same tenant. Change `tenant`, `tenants` \
                 or `tenantPrefix` of one of them"
            ),
        }
    }
}

impl Issuers {
    /// # Errors
    /// [`IssuersError`] if the issuers break a rule of this type.
    pub fn new(issuers: Vec<IssuerSettings>) -> Result<Self, IssuersError> {
        if issuers.is_empty() || issuers.len() > MAX_ISSUERS {
            return Err(IssuersError::Count(issuers.len()));
        }
        for (position, issuer) in issuers.iter().enumerate() {
            for (earlier_position, earlier) in issuers.iter().enumerate().take(position) {
                let pair = (earlier_position + 1, position + 1);
                if earlier.issuer == issuer.issuer {
                    return Err(IssuersError::SameIssuer(pair.0, pair.1));
                }
                let have_one_tenant = matches!(
                    (&earlier.tenants, &issuer.tenants),
                    (TenantRule::Fixed(one), TenantRule::Fixed(other)) if one == other
                );
                if let (Some(one), Some(other)) = (earlier.tenants.restricted(), issuer.tenants.restricted())
                    && one.overlaps(&other)
                    && !have_one_tenant
                {
                    return Err(IssuersError::SharedTenants(pair.0, pair.1));
                }
            }
        }
        Ok(Self(issuers))
    }
}

impl IntoIterator for Issuers {
    type Item = IssuerSettings;
    type IntoIter = std::vec::IntoIter<IssuerSettings>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
