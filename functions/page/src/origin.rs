//! Origins: scheme, host and port of a server, as browsers compare them.

use std::fmt;

use function_runtime::environment::DeploymentMode;
use serde::Serialize;
use url::Url;

/// The origin of a server, as browsers write it: `https://portal.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Origin(String);

impl Origin {
    /// Accepts an origin in the form of browsers. Plain HTTP is for development.
    pub(crate) fn parse(mode: DeploymentMode, text: &str) -> Option<Self> {
        let url = https_url(mode, text)?;
        // A policy would read an asterisk as a wildcard. The comparison also refuses a path, a query, credentials, upper case
        // and the default port.
        let is_exact = !text.contains('*') && url.origin().ascii_serialization() == text;
        is_exact.then(|| Self(text.to_owned()))
    }

    pub(crate) fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Parses an absolute URL without credentials. Plain HTTP is for development.
pub(crate) fn https_url(mode: DeploymentMode, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let has_scheme = url.scheme() == "https" || (mode.is_development() && url.scheme() == "http");
    (has_scheme && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let parse = |text| Origin::parse(DeploymentMode::Production, text);
        for good in ["https://portal.example.com", "https://portal.example.com:8443", "https://192.0.2.1"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "*",
            "'self'",
            "portal.example.com",
            "http://portal.example.com",
            "https://portal.example.com/",
            "https://portal.example.com/path",
            "https://portal.example.com:443",
            "https://Portal.example.com",
            "https://user@portal.example.com",
            "https://*.example.com",
            "https://portal.example.com;script-src *",
            "https://portal.example.com 'unsafe-inline'",
            "javascript:alert(1)",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(Origin::parse(DeploymentMode::Development, "http://localhost:3000").is_some());
    }
}
