//! Several issuers as one JSON text, the value of `TOKEN_ISSUERS`.

use std::{collections::BTreeSet, fmt};

use domain::tenant::TenantId;
use serde::Deserialize;

use crate::{
    claim_path::{ClaimPath, InvalidClaimPath},
    issuer::{
        AllowedTenants, IssuerSettings, Issuers, IssuersError, MAX_AUDIENCES, MAX_NAME_LENGTH, MAX_PERMISSION_CLAIMS,
        PermissionRule, TenantPrefix, TenantRule,
    },
    key_source::{KeySource, Schemes, parse_address},
};

/// The claims and names of a token if nothing else is configured.
pub(crate) const DEFAULT_TENANT_CLAIM: &str = "tenant_id";
pub(crate) const DEFAULT_PERMISSIONS_CLAIM: &str = "permissions";
pub(crate) const DEFAULT_AUDIT_PERMISSION: &str = "AUDIT";
pub(crate) const DEFAULT_AUDIT_WRITE_PERMISSION: &str = "AUDIT_WRITE";

/// The most tenants that an issuer lists.
const MAX_LISTED_TENANTS: usize = 100;

/// The value of `tenants` for an issuer that speaks for every tenant.
const EVERY_TENANT: &str = "*";

/// An issuer as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenIssuer {
    issuer: String,
    audiences: Vec<String>,
    jwks_url: Option<String>,
    tenant: Option<TenantId>,
    tenants: Option<WrittenTenants>,
    tenant_prefix: Option<String>,
    tenant_claim: Option<String>,
    permissions_claim: Option<String>,
    audit_permission: Option<String>,
    audit_write_permission: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenTenants {
    Every(String),
    Listed(BTreeSet<TenantId>),
}

/// The reason why a text is not a list of issuers; it follows the name of the variable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerListError {
    #[error("must be a JSON array of issuers: {0}")]
    Json(serde_json::Error),
    #[error("issuer {position}: {problem}")]
    Issuer { position: usize, problem: IssuerProblem },
    #[error("{0}")]
    Together(IssuersError),
}

/// What is wrong with the settings of an issuer. It starts with the member's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IssuerProblem {
    Issuer,
    Audiences,
    JwksUrl,
    NoMetadata,
    OneTenantRule,
    EveryTenant,
    ListedTenants,
    TenantPrefix,
    ClaimOfFixedTenant,
    Claim { member: &'static str, error: InvalidClaimPath },
    Permission { member: &'static str },
}

impl fmt::Display for IssuerProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer => write!(formatter, "issuer must have 1 to {MAX_NAME_LENGTH} bytes without control characters"),
            Self::Audiences => write!(
                formatter,
                "audiences must have 1 to {MAX_AUDIENCES} values of 1 to {MAX_NAME_LENGTH} bytes without control characters"
            ),
            Self::JwksUrl => {
                formatter.write_str("jwksUrl must be an absolute https address without user name, password or fragment")
            }
            Self::NoMetadata => formatter.write_str(
                "issuer must be an https address without query and fragment, below which the issuer's metadata are; set the \
                 address of its keys if it has none",
            ),
            Self::OneTenantRule => formatter.write_str(
                "exactly one of tenant, tenants and tenantPrefix must say for whom the issuer speaks; \"tenants\": \"*\" is \
                 for your own issuer alone",
            ),
            Self::EveryTenant => formatter.write_str("tenants must be a list of tenants, or \"*\""),
            Self::ListedTenants => write!(formatter, "tenants must list 1 to {MAX_LISTED_TENANTS} tenants"),
            Self::TenantPrefix => formatter.write_str(
                "tenantPrefix must be the beginning of tenant IDs and end with `.`, `_` or `-`, such as `acme-`",
            ),
            Self::ClaimOfFixedTenant => {
                formatter.write_str("tenantClaim has no effect beside tenant; remove one of them")
            }
            Self::Claim { member, error } => write!(formatter, "{member} {error}"),
            Self::Permission { member } => {
                write!(formatter, "{member} must have 1 to {MAX_NAME_LENGTH} bytes without control characters")
            }
        }
    }
}

/// Parses the list. Addresses may have these schemes.
pub(crate) fn parse(text: &str, schemes: Schemes) -> Result<Issuers, IssuerListError> {
    let written: Vec<WrittenIssuer> = serde_json::from_str(text).map_err(IssuerListError::Json)?;
    let issuers = written.into_iter().enumerate().map(|(index, issuer)| {
        issuer.parse(schemes).map_err(|problem| IssuerListError::Issuer { position: index + 1, problem })
    });
    Issuers::new(issuers.collect::<Result<_, _>>()?).map_err(IssuerListError::Together)
}

impl WrittenIssuer {
    fn parse(self, schemes: Schemes) -> Result<IssuerSettings, IssuerProblem> {
        let issuer = Some(self.issuer).filter(|issuer| is_name(issuer)).ok_or(IssuerProblem::Issuer)?;
        let audiences = parse_audiences(self.audiences).ok_or(IssuerProblem::Audiences)?;
        let key_source = match self.jwks_url {
            Some(address) => parse_address(&address, schemes).map(KeySource::Remote).ok_or(IssuerProblem::JwksUrl)?,
            None => KeySource::discovered(&issuer, schemes).ok_or(IssuerProblem::NoMetadata)?,
        };
        let tenants = match (self.tenant, self.tenants, self.tenant_prefix) {
            (Some(_), None, None) if self.tenant_claim.is_some() => return Err(IssuerProblem::ClaimOfFixedTenant),
            (Some(tenant), None, None) => TenantRule::Fixed(tenant),
            (None, tenants, prefix) => TenantRule::Claim {
                claim: claim("tenantClaim", self.tenant_claim.as_deref(), DEFAULT_TENANT_CLAIM)?,
                allowed: allowed_tenants(tenants, prefix)?,
            },
            (Some(_), _, _) => return Err(IssuerProblem::OneTenantRule),
        };
        let permissions = PermissionRule {
            claims: parse_permission_claims(self.permissions_claim.as_deref().unwrap_or(DEFAULT_PERMISSIONS_CLAIM))
                .map_err(|error| IssuerProblem::Claim { member: "permissionsClaim", error })?,
            audit: permission("auditPermission", self.audit_permission, DEFAULT_AUDIT_PERMISSION)?,
            audit_write: permission(
                "auditWritePermission",
                self.audit_write_permission,
                DEFAULT_AUDIT_WRITE_PERMISSION,
            )?,
        };
        Ok(IssuerSettings { issuer, audiences, tenants, permissions, key_source })
    }
}

fn allowed_tenants(tenants: Option<WrittenTenants>, prefix: Option<String>) -> Result<AllowedTenants, IssuerProblem> {
    match (tenants, prefix) {
        (Some(WrittenTenants::Every(text)), None) if text == EVERY_TENANT => Ok(AllowedTenants::Any),
        (Some(WrittenTenants::Every(_)), None) => Err(IssuerProblem::EveryTenant),
        (Some(WrittenTenants::Listed(tenants)), None) if (1..=MAX_LISTED_TENANTS).contains(&tenants.len()) => {
            Ok(AllowedTenants::Listed(tenants))
        }
        (Some(WrittenTenants::Listed(_)), None) => Err(IssuerProblem::ListedTenants),
        (None, Some(prefix)) => {
            TenantPrefix::parse(&prefix).map(AllowedTenants::Prefix).ok_or(IssuerProblem::TenantPrefix)
        }
        (None, None) | (Some(_), Some(_)) => Err(IssuerProblem::OneTenantRule),
    }
}

fn claim(member: &'static str, written: Option<&str>, default: &str) -> Result<ClaimPath, IssuerProblem> {
    ClaimPath::parse(written.unwrap_or(default)).map_err(|error| IssuerProblem::Claim { member, error })
}

/// Parses the paths of 1 to [`MAX_PERMISSION_CLAIMS`] claims, separated by commas.
pub(crate) fn parse_permission_claims(text: &str) -> Result<Vec<ClaimPath>, InvalidClaimPath> {
    let claims: Vec<ClaimPath> =
        text.split(',').map(|claim| ClaimPath::parse(claim.trim())).collect::<Result<_, _>>()?;
    if claims.len() <= MAX_PERMISSION_CLAIMS { Ok(claims) } else { Err(InvalidClaimPath) }
}

fn permission(member: &'static str, written: Option<String>, default: &str) -> Result<String, IssuerProblem> {
    Some(written.unwrap_or_else(|| default.to_owned()))
        .filter(|name| is_name(name))
        .ok_or(IssuerProblem::Permission { member })
}

/// Returns the audiences if there are 1 to [`MAX_AUDIENCES`] of them, all valid.
pub(crate) fn parse_audiences(audiences: Vec<String>) -> Option<Vec<String>> {
    let is_valid = (1..=MAX_AUDIENCES).contains(&audiences.len()) && audiences.iter().all(|audience| is_name(audience));
    is_valid.then_some(audiences)
}

/// Returns whether a text can be the name of an issuer, an audience or a permission.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_LENGTH).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::issuer::MAX_ISSUERS;

    fn issuer(name: &str, changes: &Value) -> Value {
        let mut issuer = json!({"issuer": format!("https://{name}.example"), "audiences": ["audit-export"]});
        for (member, value) in changes.as_object().unwrap() {
            issuer[member] = value.clone();
        }
        issuer
    }

    fn outcome(issuers: &[Value]) -> Result<Issuers, String> {
        parse(&json!(issuers).to_string(), Schemes::Https).map_err(|error| error.to_string())
    }

    #[test]
    fn every_member_has_a_meaning() {
        let all = issuer(
            "all",
            &json!({
                "audiences": ["a", "b"], "jwksUrl": "https://keys.example/jwks", "tenants": ["x", "y"],
                "tenantClaim": "/app/tenant", "permissionsClaim": "groups, scope", "auditPermission": "Audit Admins",
                "auditWritePermission": "audit:write",
            }),
        );
        let fixed = issuer("fixed", &json!({"tenant": "acme"}));
        let [all, fixed] = Vec::from_iter(outcome(&[all, fixed]).unwrap()).try_into().unwrap();

        assert_eq!(
            (all.issuer.as_str(), all.audiences.as_slice()),
            ("https://all.example", &["a", "b"].map(String::from)[..])
        );
        assert!(
            matches!(all.key_source, KeySource::Remote(address) if address.as_str() == "https://keys.example/jwks")
        );
        assert_eq!(
            (all.permissions.audit.as_str(), all.permissions.audit_write.as_str()),
            ("Audit Admins", "audit:write")
        );
        assert_eq!(all.permissions.claims, ["groups", "scope"].map(|claim| ClaimPath::parse(claim).unwrap()));
        let TenantRule::Claim { claim, allowed: AllowedTenants::Listed(tenants) } = all.tenants else { panic!() };
        assert_eq!((claim, tenants.len()), (ClaimPath::parse("/app/tenant").unwrap(), 2));

        assert!(matches!(fixed.key_source, KeySource::Discovered(_)));
        assert!(matches!(fixed.tenants, TenantRule::Fixed(tenant) if tenant.as_str() == "acme"));
        assert_eq!(
            (fixed.permissions.audit.as_str(), fixed.permissions.audit_write.as_str()),
            ("AUDIT", "AUDIT_WRITE")
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let every = json!({"tenants": "*"});
        for (case, expected) in [
            (json!({}), "exactly one of tenant, tenants and tenantPrefix"),
            (json!({"tenant": "a", "tenants": "*"}), "exactly one of"),
            (json!({"tenant": "a", "tenantPrefix": "a-"}), "exactly one of"),
            (json!({"tenants": ["a"], "tenantPrefix": "a-"}), "exactly one of"),
            (json!({"tenant": "a", "tenantClaim": "t"}), "tenantClaim has no effect"),
            (json!({"tenant": "a b"}), "a tenant ID must have"),
            (json!({"tenant": ""}), "a tenant ID must have"),
            (json!({"tenants": "a"}), "tenants must be a list"),
            (json!({"tenants": []}), "tenants must list 1 to 100"),
            (json!({"tenants": ["a#"]}), "must be a JSON array"),
            (json!({"tenantPrefix": "acme"}), "tenantPrefix must"),
            (json!({"tenantPrefix": ""}), "tenantPrefix must"),
            (json!({"tenantPrefix": "-"}), "tenantPrefix must"),
            (json!({"tenants": "*", "issuer": ""}), "issuer must have"),
            (json!({"tenants": "*", "issuer": "acme"}), "issuer must be an https address"),
            (json!({"tenants": "*", "issuer": "http://acme.example"}), "issuer must be an https address"),
            (json!({"tenants": "*", "audiences": []}), "audiences must have"),
            (json!({"tenants": "*", "audiences": [""]}), "audiences must have"),
            (json!({"tenants": "*", "audiences": vec!["a"; MAX_AUDIENCES + 1]}), "audiences must have"),
            (json!({"tenants": "*", "jwksUrl": "http://keys.example"}), "jwksUrl must"),
            (json!({"tenants": "*", "tenantClaim": "/a//b"}), "tenantClaim must be the name of a claim"),
            (json!({"tenants": "*", "permissionsClaim": ""}), "permissionsClaim must be the name of a claim"),
            (json!({"tenants": "*", "auditPermission": ""}), "auditPermission must have"),
            (json!({"tenants": "*", "auditWritePermission": "a\n"}), "auditWritePermission must have"),
            (json!({"tenants": "*", "audience": "a"}), "unknown field `audience`"),
        ] {
            let error = outcome(&[issuer("first", &every), issuer("second", &case)]).unwrap_err();
            assert!(error.contains(expected), "{case}: {error}");
        }
        for text in ["", "{}", "[1]", r#"[{"issuer":"a","issuer":"b","audiences":["a"],"tenants":"*"}]"#] {
            assert!(matches!(parse(text, Schemes::Https), Err(IssuerListError::Json(_))), "{text}");
        }
    }

    #[test]
    fn issuers_are_few_and_keep_tenants_apart() {
        let with = |name: &str, rule: Value| issuer(name, &rule);
        let several = |count: usize| {
            outcome(&(0..count).map(|number| with(&format!("i{number}"), json!({"tenants": "*"}))).collect::<Vec<_>>())
        };
        assert!(several(MAX_ISSUERS).is_ok());
        assert!(several(0).unwrap_err().contains("1 to 5 issuers"));
        assert!(several(MAX_ISSUERS + 1).unwrap_err().contains("1 to 5 issuers"));
        let twice = outcome(&[with("a", json!({"tenant": "x"})), with("a", json!({"tenant": "y"}))]);
        assert!(twice.unwrap_err().contains("issuers 1 and 2 have the same name"));

        for (one, other, apart) in [
            (json!({"tenant": "acme"}), json!({"tenant": "beta"}), true),
            // A customer that changes its issuer.
            (json!({"tenant": "acme"}), json!({"tenant": "acme"}), true),
            (json!({"tenants": ["acme"]}), json!({"tenants": ["acme"]}), false),
            (json!({"tenant": "acme"}), json!({"tenants": ["beta", "acme"]}), false),
            (json!({"tenants": ["acme"]}), json!({"tenants": ["beta"]}), true),
            (json!({"tenant": "acme-1"}), json!({"tenantPrefix": "acme-"}), false),
            (json!({"tenant": "acme"}), json!({"tenantPrefix": "acme-"}), true),
            (json!({"tenantPrefix": "acme-"}), json!({"tenantPrefix": "acme-eu-"}), false),
            (json!({"tenantPrefix": "acme-"}), json!({"tenantPrefix": "beta-"}), true),
            (json!({"tenants": "*"}), json!({"tenant": "acme"}), true),
        ] {
            for pair in [[&one, &other], [&other, &one]] {
                let outcome = outcome(&[with("a", pair[0].clone()), with("b", pair[1].clone())]);
                assert_eq!(outcome.is_ok(), apart, "{one} {other}");
                if let Err(error) = outcome {
                    assert!(error.contains("keep tenants apart: issuers 1 and 2"), "{error}");
                }
            }
        }
    }
}
