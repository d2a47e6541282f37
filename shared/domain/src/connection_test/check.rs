//! The checks of a connection test, and their outcomes in the last one.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::{
    configuration::{Authentication, ExportConfiguration, Site},
    connection::{Connection, ConnectionError, ConnectionErrorCode},
};

/// A check of a connection test. The variants are in the order of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionCheckName {
    RegionAvailable,
    RoleAssumable,
    AccessKeyValid,
    ExternalIdRequired,
    BucketFound,
    BucketRegionCorrect,
    WriteAllowed,
    KeyUsable,
    ServerCapable,
}

impl ConnectionCheckName {
    /// Returns the checks of a test of `configuration`, in the order of the test.
    pub(crate) fn all_of(configuration: &ExportConfiguration) -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied().filter(|check| check.is_of(configuration))
    }

    /// Returns the check that fails with `code`.
    #[must_use]
    pub fn failing_with(code: ConnectionErrorCode, authentication: &Authentication) -> Self {
        match code {
            ConnectionErrorCode::EndpointUnreachable
            | ConnectionErrorCode::EndpointNotPublic
            | ConnectionErrorCode::RegionDisabled => Self::RegionAvailable,
            ConnectionErrorCode::ConditionalWritesMissing | ConnectionErrorCode::ChecksumsMissing => {
                Self::ServerCapable
            }
            ConnectionErrorCode::StsRefused => match authentication {
                Authentication::AssumedRole { .. } => Self::RoleAssumable,
                Authentication::AccessKey { .. } => Self::AccessKeyValid,
            },
            ConnectionErrorCode::RoleNotAssumable => Self::RoleAssumable,
            ConnectionErrorCode::AccessKeyUnknown | ConnectionErrorCode::SecretAccessKeyWrong => Self::AccessKeyValid,
            ConnectionErrorCode::TrustPolicyTooOpen => Self::ExternalIdRequired,
            ConnectionErrorCode::BucketNotFound => Self::BucketFound,
            ConnectionErrorCode::BucketInAnotherRegion => Self::BucketRegionCorrect,
            ConnectionErrorCode::WriteDenied | ConnectionErrorCode::BucketRefused => Self::WriteAllowed,
            ConnectionErrorCode::KmsDenied | ConnectionErrorCode::KmsKeyUnusable | ConnectionErrorCode::KmsRefused => {
                Self::KeyUsable
            }
        }
    }

    /// Returns the statement that holds if the check passes for a bucket at a site of this kind.
    #[must_use]
    pub fn title(self, site: SiteKind) -> &'static str {
        match self {
            Self::RegionAvailable if site == SiteKind::Server => "The server can be reached, at public addresses only",
            Self::RegionAvailable => "The endpoints of AWS in the bucket's Region can be reached",
            Self::RoleAssumable => "The role can be assumed with the external ID",
            Self::AccessKeyValid => "The access key is active and its secret is correct",
            Self::ExternalIdRequired => "The role can't be assumed without the external ID or with another one",
            Self::BucketFound => "The bucket exists",
            Self::BucketRegionCorrect if site == SiteKind::Server => "The server accepts the configured region",
            Self::BucketRegionCorrect => "The bucket is in the configured Region",
            Self::WriteAllowed => "Objects can be written under the path",
            Self::KeyUsable => "The bucket's KMS key, if it has one, can be used",
            Self::ServerCapable => "The server honours conditional writes and refuses bytes with a wrong hash",
        }
    }

    fn is_of(self, configuration: &ExportConfiguration) -> bool {
        let is_on_server = configuration.destination.site.server().is_some();
        match (self, &configuration.authentication) {
            (Self::RoleAssumable | Self::ExternalIdRequired, Authentication::AccessKey { .. })
            | (Self::AccessKeyValid, Authentication::AssumedRole { .. }) => false,
            (Self::KeyUsable, _) => !is_on_server,
            (Self::ServerCapable, _) => is_on_server,
            _ => true,
        }
    }
}

/// The kind of site that a bucket is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SiteKind {
    Aws,
    /// A server other than AWS's.
    Server,
}

impl From<&Site> for SiteKind {
    fn from(site: &Site) -> Self {
        if site.server().is_some() { Self::Server } else { Self::Aws }
    }
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome<'a> {
    Passed,
    Failed(&'a ConnectionError),
    /// A previous check failed, or nothing was tested since the last change.
    NotChecked,
}

/// Returns the outcome of each check in the last test or export, in the order of the test.
#[must_use]
pub fn connection_checks(configuration: &ExportConfiguration) -> Vec<(ConnectionCheckName, CheckOutcome<'_>)> {
    let connection = &configuration.connection;
    let authentication = &configuration.authentication;
    let failed = connection.error().map(|error| (ConnectionCheckName::failing_with(error.code, authentication), error));
    let mut outcome = match connection {
        Connection::Pending => CheckOutcome::NotChecked,
        Connection::Success { .. } | Connection::Failed { .. } => CheckOutcome::Passed,
    };
    ConnectionCheckName::VARIANTS
        .iter()
        .copied()
        // S3 may refuse a session as it refuses an access key.
        .filter(|check| check.is_of(configuration) || failed.is_some_and(|(name, _)| name == *check))
        .map(|check| match failed {
            Some((name, error)) if name == check => {
                outcome = CheckOutcome::NotChecked;
                (check, CheckOutcome::Failed(error))
            }
            _ => (check, outcome),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{
            arn::UserArn,
            test_support::{on_server, with_key, with_role},
        },
        time::Timestamp,
    };

    fn failed(code: ConnectionErrorCode) -> Connection {
        let error = ConnectionError { code, message: format!("The fix of {code}.") };
        Connection::Failed { checked_at: Timestamp::EPOCH, error }
    }

    fn success() -> Connection {
        Connection::Success { checked_at: Timestamp::EPOCH }
    }

    fn statuses(configuration: &ExportConfiguration) -> Vec<(ConnectionCheckName, char)> {
        connection_checks(configuration)
            .into_iter()
            .map(|(check, outcome)| {
                let letter = match outcome {
                    CheckOutcome::Passed => 'P',
                    CheckOutcome::Failed(_) => 'F',
                    CheckOutcome::NotChecked => 'N',
                };
                (check, letter)
            })
            .collect()
    }

    #[test]
    fn every_failure_is_that_of_one_check_and_all_before_it_passed() {
        let user_arn = UserArn::parse("arn:aws:iam::222222222222:user/export");
        for example in [with_role(), ExportConfiguration { user_arn, ..with_key() }, on_server()] {
            for code in ConnectionErrorCode::ALL.iter().copied() {
                let configuration = ExportConfiguration { connection: failed(code), ..example.clone() };
                let checks = statuses(&configuration);
                let letters: String = checks.iter().map(|(_, letter)| letter).collect();
                let position = letters.find('F').unwrap();
                assert_eq!(checks[position].0, ConnectionCheckName::failing_with(code, &configuration.authentication));
                assert_eq!(letters, format!("{}F{}", "P".repeat(position), "N".repeat(letters.len() - position - 1)));
                let error = configuration.connection.error().unwrap();
                assert_eq!(connection_checks(&configuration)[position].1, CheckOutcome::Failed(error));
            }
        }
    }

    #[test]
    fn each_kind_has_its_own_checks() {
        use ConnectionCheckName::{
            AccessKeyValid, BucketFound, BucketRegionCorrect, ExternalIdRequired, KeyUsable, RegionAvailable,
            RoleAssumable, ServerCapable, WriteAllowed,
        };
        let of_bucket = [BucketFound, BucketRegionCorrect, WriteAllowed, KeyUsable];
        let all = |letter: char, own: &[ConnectionCheckName]| {
            let names = [RegionAvailable].into_iter().chain(own.iter().copied()).chain(of_bucket);
            names.map(|name| (name, letter)).collect::<Vec<_>>()
        };
        let role = ExportConfiguration { connection: success(), ..with_role() };
        assert_eq!(statuses(&role), all('P', &[RoleAssumable, ExternalIdRequired]));
        let key = ExportConfiguration { connection: Connection::Pending, ..with_key() };
        assert_eq!(statuses(&key), all('N', &[AccessKeyValid]));
        let server = ExportConfiguration { connection: success(), ..on_server() };
        let expected = [RegionAvailable, AccessKeyValid, BucketFound, BucketRegionCorrect, WriteAllowed, ServerCapable];
        assert_eq!(statuses(&server), expected.map(|name| (name, 'P')));
        let titles = expected.map(|name| name.title(SiteKind::from(&server.destination.site)));
        assert!(titles.iter().all(|title| !title.contains("AWS")), "{titles:?}");
    }
}
