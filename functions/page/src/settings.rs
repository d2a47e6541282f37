//! The settings of the page, from environment variables. The page reads them as `settings.json`.

use function_runtime::environment::{DeploymentMode, Environment};
use serde::Serialize;

use crate::origin::{Origin, https_url};

/// The most origins of a variable.
pub(crate) const MAX_PAGE_ORIGINS: usize = 8;

/// The place of the GraphQL API, relative to the page.
const API: &str = "api/audit/graphql";

/// How the page is embedded, and how its users sign in.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) sign_in: Option<SignIn>,
    /// The portal of the operator, which may hand over tokens.
    pub(crate) portal_origin: Option<Origin>,
    /// The pages that may show this one in a frame. Empty: none.
    pub(crate) frame_ancestors: Vec<Origin>,
    /// Whether a link may have a token in its fragment.
    pub(crate) token_in_link: bool,
    /// The claim with the tenant, as the page shows it beside the user: a name or a JSON Pointer.
    pub(crate) tenant_claim: String,
    /// Origins of the issuer that the page may connect to, besides that of its identifier.
    pub(crate) connect_origins: Vec<Origin>,
}

/// The client of `OpenID` Connect that the page is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignIn {
    pub(crate) issuer: String,
    #[serde(skip)]
    pub(crate) issuer_origin: Origin,
    pub(crate) client_id: String,
    pub(crate) scopes: String,
    /// The parameter `audience` of the authorization request, which some issuers need.
    pub(crate) audience: Option<String>,
}

/// What the page reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicSettings<'a> {
    api: &'static str,
    sign_in: Option<&'a SignIn>,
    portal_origin: Option<&'a Origin>,
    token_in_link: bool,
    tenant_claim: &'a str,
}

impl Settings {
    /// Reads the settings. `None`: a variable is not valid, and `environment` has noted which.
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let sign_in = sign_in(environment, mode);
        let portal_origin =
            optional(environment, "PAGE_PORTAL_ORIGIN", "an origin such as https://example.com", |text| {
                Origin::parse(mode?, text)
            });
        let token_in_link = environment.choice("PAGE_TOKEN_IN_LINK", &[("enabled", true), ("disabled", false)]);
        let tenant_claim = environment.text("TOKEN_TENANT_CLAIM");
        let frame_ancestors = origins(environment, mode, "PAGE_FRAME_ANCESTORS");
        let connect_origins = origins(environment, mode, "PAGE_CONNECT_ORIGINS");
        Some(Self {
            sign_in: sign_in?,
            portal_origin: portal_origin?,
            token_in_link: token_in_link?,
            tenant_claim: tenant_claim?,
            frame_ancestors: frame_ancestors?,
            connect_origins: connect_origins?,
        })
    }

    /// Returns `settings.json`.
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&PublicSettings {
            api: API,
            sign_in: self.sign_in.as_ref(),
            portal_origin: self.portal_origin.as_ref(),
            token_in_link: self.token_in_link,
            tenant_claim: &self.tenant_claim,
        })
    }
}

/// Reads a variable that may be missing.
#[expect(clippy::option_option, reason = "as for every variable, the outer `None` is one that is not valid")]
fn optional<T>(
    environment: &mut Environment,
    name: &str,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<Option<T>> {
    if environment.is_set(name) { environment.parsed(name, expected, parse).map(Some) } else { Some(None) }
}

#[expect(clippy::option_option, reason = "as for every variable, the outer `None` is one that is not valid")]
fn sign_in(environment: &mut Environment, mode: Option<DeploymentMode>) -> Option<Option<SignIn>> {
    let scopes = environment.text_or("PAGE_SCOPES", "openid");
    if let Some(scopes) = &scopes
        && !is_scope_list(scopes)
    {
        environment.note("PAGE_SCOPES", "must be scopes, separated by single spaces");
    }
    let audience = optional(environment, "PAGE_AUDIENCE", "at most 256 printable characters", |text| {
        is_printable(text, 256).then(|| text.to_owned())
    });
    let issuer = optional(environment, "PAGE_ISSUER", "an https URL without query and fragment", |text| {
        let url = https_url(mode?, text)?;
        (url.query().is_none() && url.fragment().is_none()).then(|| (text.to_owned(), Origin::of(&url)))
    });
    let client_id = optional(environment, "PAGE_CLIENT_ID", "at most 256 printable characters", |text| {
        is_printable(text, 256).then(|| text.to_owned())
    });
    match (issuer?, client_id?) {
        (None, None) => Some(None),
        (Some((issuer, issuer_origin)), Some(client_id)) => {
            Some(Some(SignIn { issuer, issuer_origin, client_id, scopes: scopes?, audience: audience? }))
        }
        (None, Some(_)) => {
            environment.note("PAGE_ISSUER", "is missing, although PAGE_CLIENT_ID is set");
            None
        }
        (Some(_), None) => {
            environment.note("PAGE_CLIENT_ID", "is missing, although PAGE_ISSUER is set");
            None
        }
    }
}

/// Reads origins that are separated by commas.
fn origins(environment: &mut Environment, mode: Option<DeploymentMode>, name: &str) -> Option<Vec<Origin>> {
    let expected = format!("at most {MAX_PAGE_ORIGINS} origins such as https://example.com, separated by commas");
    let origins = optional(environment, name, &expected, |text| {
        let origins: Vec<Origin> =
            text.split(',').map(|origin| Origin::parse(mode?, origin.trim())).collect::<Option<_>>()?;
        (origins.len() <= MAX_PAGE_ORIGINS).then_some(origins)
    });
    origins.map(Option::unwrap_or_default)
}

fn is_printable(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// Returns whether a text is a list of scopes as in section 3.3 of RFC 6749.
fn is_scope_list(text: &str) -> bool {
    let is_scope = |scope: &str| !scope.is_empty() && is_printable(scope, 512) && !scope.contains(['"', '\\']);
    text.len() <= 512 && text.split(' ').all(is_scope)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn read(variables: &[(&'static str, &'static str)]) -> Result<Settings, String> {
        let required = [
            ("DEPLOYMENT_MODE", "production"),
            ("PAGE_TOKEN_IN_LINK", "disabled"),
            ("TOKEN_TENANT_CLAIM", "tenant_id"),
        ];
        let all = required.into_iter().chain(variables.iter().copied());
        let mut environment = Environment::from_map(all);
        let settings = Settings::read(&mut environment);
        environment.finish(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn no_way_to_sign_in_is_required() {
        let settings = read(&[("PAGE_ISSUER", ""), ("PAGE_CLIENT_ID", "")]).unwrap();
        let json = settings.to_json().unwrap();
        let shown = r#"{"api":"api/audit/graphql","signIn":null,"portalOrigin":null,"tokenInLink":false,"tenantClaim":"tenant_id"}"#;
        assert_eq!(json, shown);
        assert!(settings.frame_ancestors.is_empty() && settings.connect_origins.is_empty());
    }

    #[test]
    fn the_page_gets_what_it_signs_in_with() {
        let settings = read(&[
            ("PAGE_ISSUER", "https://id.example.com/tenant"),
            ("PAGE_CLIENT_ID", "page"),
            ("PAGE_SCOPES", "openid api://audit/read"),
            ("PAGE_AUDIENCE", "https://audit.example.com"),
            ("PAGE_PORTAL_ORIGIN", "https://portal.example.com"),
            ("PAGE_TOKEN_IN_LINK", "enabled"),
            ("TOKEN_TENANT_CLAIM", "/app/tenant"),
        ])
        .unwrap();
        assert_eq!(
            settings.to_json().unwrap(),
            concat!(
                r#"{"api":"api/audit/graphql","signIn":{"issuer":"https://id.example.com/tenant","clientId":"page","#,
                r#""scopes":"openid api://audit/read","audience":"https://audit.example.com"},"#,
                r#""portalOrigin":"https://portal.example.com","tokenInLink":true,"tenantClaim":"/app/tenant"}"#
            )
        );
        assert_eq!(settings.sign_in.unwrap().issuer_origin.to_string(), "https://id.example.com");
    }

    #[test]
    fn wrong_settings_are_refused_by_name() {
        for (variables, problem) in [
            (
                &[("PAGE_ISSUER", "https://id.example.com")][..],
                "PAGE_CLIENT_ID is missing, although PAGE_ISSUER is set",
            ),
            (&[("PAGE_CLIENT_ID", "page")], "PAGE_ISSUER is missing, although PAGE_CLIENT_ID is set"),
            (
                &[("PAGE_ISSUER", "http://id.example.com"), ("PAGE_CLIENT_ID", "page")],
                "PAGE_ISSUER must be an https URL without query and fragment",
            ),
            (&[("PAGE_SCOPES", "openid  profile")], "PAGE_SCOPES must be scopes, separated by single spaces"),
            (&[("PAGE_PORTAL_ORIGIN", "*")], "PAGE_PORTAL_ORIGIN must be an origin such as https://example.com"),
            (
                &[("PAGE_FRAME_ANCESTORS", "https://a.example;script-src *")],
                "PAGE_FRAME_ANCESTORS must be at most 8 origins such as https://example.com, separated by commas",
            ),
            (
                &[("PAGE_CONNECT_ORIGINS", "https://a.example,*")],
                "PAGE_CONNECT_ORIGINS must be at most 8 origins such as https://example.com, separated by commas",
            ),
        ] {
            assert_eq!(read(variables).unwrap_err(), format!("environment variables: {problem}"));
        }
    }
}
