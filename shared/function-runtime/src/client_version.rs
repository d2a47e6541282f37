//! The check that the command line that sends a request is recent enough.

use domain::error_code::ErrorCode;
use http::{HeaderMap, StatusCode};
use semver::Version;

use crate::{environment::Environment, http_error::ErrorBody};

/// The header with the version of the command line, a [semantic version](https://semver.org).
pub const VERSION_HEADER: &str = "audit-export-version";

/// The oldest supported version of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinimumClientVersion(Version);

/// The error for a client that is too old.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("This audit-export is too old for the service. Install version {minimum} or a newer one.")]
pub struct UpgradeRequired {
    minimum: Version,
}

impl MinimumClientVersion {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Version::parse(text).ok().map(Self)
    }

    /// Reads `MINIMUM_CLI_VERSION`. Returns `None` if it is missing or invalid; `environment` has noted that.
    pub fn from_environment(environment: &mut Environment) -> Option<Self> {
        environment.parsed("MINIMUM_CLI_VERSION", "a version such as 1.2.3", Self::parse)
    }

    /// Checks the version header of an authenticated request: callers without a valid token must not learn anything
    /// about this deployment.
    ///
    /// A request without the header was not sent by the command line. An invalid header, or several headers, count as
    /// too old.
    ///
    /// # Errors
    /// The version is older than the minimum. A pre-release is older than its release.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), UpgradeRequired> {
        let mut values = headers.get_all(VERSION_HEADER).iter();
        let Some(first) = values.next() else { return Ok(()) };
        let version = first.to_str().ok().and_then(|text| Version::parse(text).ok());
        match (version, values.next()) {
            (Some(version), None) if version.cmp_precedence(&self.0).is_ge() => Ok(()),
            _ => Err(UpgradeRequired { minimum: self.0.clone() }),
        }
    }
}

impl From<UpgradeRequired> for ErrorBody {
    /// The status is 400: a 426 would require a protocol in an `Upgrade` header (RFC 9110 section 15.5.22).
    fn from(error: UpgradeRequired) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::UpgradeRequired, error.to_string())
            .with_extension("minimumVersion", error.minimum.to_string())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn check(minimum_version: &str, sent: &[&[u8]]) -> Result<(), UpgradeRequired> {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(VERSION_HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        MinimumClientVersion::parse(minimum_version).unwrap().check(&headers)
    }

    #[test]
    fn a_request_without_a_version_is_not_the_command_line() {
        assert_eq!(check("9.0.0", &[]), Ok(()));
    }

    #[test]
    fn versions_are_compared_by_number_and_not_by_text() {
        for recent in ["1.10.0", "1.10.1", "1.11.0-rc.1", "2.0.0", "1.10.0+build.5", "18446744073709551615.0.0"] {
            assert_eq!(check("1.10.0", &[recent.as_bytes()]), Ok(()), "{recent}");
        }
        for old in ["1.9.9", "1.10.0-rc.1", "0.99.0", "1.9.99+build"] {
            assert!(check("1.10.0", &[old.as_bytes()]).is_err(), "{old}");
        }
    }

    #[test]
    fn an_unreadable_version_is_too_old() {
        let long = "9".repeat(4_000);
        let bad =
            ["", "9", "9.9", "v9.9.9", "9.9.9 ", "09.9.9", "9.9.9.9", "latest", "18446744073709551616.0.0", &long];
        for bad in bad {
            assert!(check("0.1.0", &[bad.as_bytes()]).is_err(), "{bad}");
        }
        assert!(check("0.1.0", &[b"9.9.9\xE4"]).is_err());
        assert!(check("0.1.0", &[b"9.9.9", b"9.9.9"]).is_err());
    }

    #[test]
    fn the_answer_names_the_version_to_install() {
        let error = ErrorBody::from(check("1.2.3", &[b"1.2.2"]).unwrap_err());
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        let body = error.to_json();
        assert_eq!(body["errors"][0]["extensions"], json!({"code": "UPGRADE_REQUIRED", "minimumVersion": "1.2.3"}));
        assert!(body["errors"][0]["message"].as_str().unwrap().contains("1.2.3"));
    }

    #[test]
    fn a_minimum_has_to_be_set() {
        let read = |text: &str| {
            let mut environment = Environment::from_map([("MINIMUM_CLI_VERSION", text)]);
            let version = MinimumClientVersion::from_environment(&mut environment);
            environment.finish(version).ok()
        };
        assert_eq!(read("1.2.3"), MinimumClientVersion::parse("1.2.3"));
        for bad in ["", "1.2", "v1.2.3"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
