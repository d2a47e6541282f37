//! Guidance for administrators: the next steps in order, and the checks of the last connection test.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::{
    configuration::{Authentication, ExportConfiguration, ServiceIdentity, Site},
    connection::{Connection, ConnectionError, ConnectionErrorCode, ConnectionStatus},
    customer_policy::{CustomerPolicies, PolicyDocument},
    time::Timestamp,
};

/// A step to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    pub code: NextStepCode,
    /// One or more sentences.
    pub instruction: String,
    /// The policy that the instruction refers to.
    pub document: Option<String>,
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStepCode {
    /// Create the customer's role with its trust policy, or the custom source with which Security Lake creates it.
    CreateRole,
    /// Attach the permissions to the role or the IAM user.
    AttachPermissions,
    SetBucketPolicy,
    SetKeyPolicy,
    TestConnection,
    /// Fix the cause of the last failed test or export.
    FixConnection,
    Enable,
    /// No action is left.
    WaitForExport,
}

/// Returns the steps from the current configuration to files in the bucket. `next_export` is the start of the next scheduled
/// export, if the configuration is enabled.
#[must_use]
pub fn next_steps(
    configuration: &ExportConfiguration,
    service: &ServiceIdentity,
    next_export: Option<Timestamp>,
) -> Vec<NextStep> {
    let policies = CustomerPolicies::of(configuration, service);
    let mut steps = match &configuration.connection {
        Connection::Success { .. } => Vec::new(),
        Connection::Failed { error, .. } => steps_to_fix(error, policies),
        Connection::Pending => steps_to_set_up(policies),
    };
    if configuration.connection.status() != ConnectionStatus::Success {
        steps.push(step(
            NextStepCode::TestConnection,
            "Test the connection. Changes in IAM can take a minute to take effect.",
        ));
    }
    steps.push(match next_export {
        _ if !configuration.enabled => step(NextStepCode::Enable, "Enable the export. Nothing is exported until then."),
        Some(time) => step(NextStepCode::WaitForExport, wait_until(configuration, time)),
        None => step(NextStepCode::WaitForExport, "Wait for the next export."),
    });
    steps
}

fn wait_until(configuration: &ExportConfiguration, time: Timestamp) -> String {
    let which = if configuration.progress.exported_through.is_some() { "next" } else { "first" };
    format!(
        "Wait: the {which} export starts at {time}, and writes files if there are events. You can also export the received \
         events now."
    )
}

fn step(code: NextStepCode, instruction: impl Into<String>) -> NextStep {
    NextStep { code, instruction: instruction.into(), document: None }
}

fn with_policy(code: NextStepCode, policy: PolicyDocument) -> NextStep {
    NextStep { code, instruction: policy.instruction, document: Some(policy.document) }
}

fn steps_to_set_up(policies: CustomerPolicies) -> Vec<NextStep> {
    let CustomerPolicies { trust_policy, iam_policy, bucket_policy, kms_key_policy_statement } = policies;
    let bucket_policy = Some(bucket_policy).filter(|policy| policy.is_required);
    // Security Lake gives its role the permissions.
    let has_permissions = trust_policy.as_ref().is_some_and(|policy| !policy.is_required);
    let iam_policy = Some(iam_policy).filter(|_| !has_permissions);
    [
        trust_policy.map(|policy| with_policy(NextStepCode::CreateRole, policy)),
        iam_policy.map(|policy| with_policy(NextStepCode::AttachPermissions, policy)),
        bucket_policy.map(|policy| with_policy(NextStepCode::SetBucketPolicy, policy)),
        kms_key_policy_statement.map(|policy| with_policy(NextStepCode::SetKeyPolicy, policy)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the fix, with each policy that it may refer to.
fn steps_to_fix(error: &ConnectionError, policies: CustomerPolicies) -> Vec<NextStep> {
    let CustomerPolicies { trust_policy, iam_policy, bucket_policy, kms_key_policy_statement } = policies;
    let fix = |policy: Option<PolicyDocument>| NextStep {
        code: NextStepCode::FixConnection,
        instruction: error.message.clone(),
        document: policy.map(|policy| policy.document),
    };
    match error.code {
        ConnectionErrorCode::RoleNotAssumable | ConnectionErrorCode::TrustPolicyTooOpen => vec![fix(trust_policy)],
        ConnectionErrorCode::WriteDenied => {
            let of_bucket = Some(bucket_policy).filter(|policy| policy.is_required);
            let of_bucket = of_bucket.map(|policy| with_policy(NextStepCode::SetBucketPolicy, policy));
            [Some(fix(Some(iam_policy))), of_bucket].into_iter().flatten().collect()
        }
        ConnectionErrorCode::KmsDenied => {
            let of_key = kms_key_policy_statement.map(|policy| with_policy(NextStepCode::SetKeyPolicy, policy));
            // Without kmsKeyArn there is no key that the policy could name.
            [Some(fix(of_key.is_some().then_some(iam_policy))), of_key].into_iter().flatten().collect()
        }
        ConnectionErrorCode::BucketNotFound
        | ConnectionErrorCode::BucketInAnotherRegion
        | ConnectionErrorCode::KmsKeyUnusable
        | ConnectionErrorCode::KmsRefused
        | ConnectionErrorCode::BucketRefused
        | ConnectionErrorCode::StsRefused
        | ConnectionErrorCode::AccessKeyUnknown
        | ConnectionErrorCode::SecretAccessKeyWrong
        | ConnectionErrorCode::RegionDisabled
        | ConnectionErrorCode::EndpointUnreachable
        | ConnectionErrorCode::EndpointNotPublic
        | ConnectionErrorCode::ConditionalWritesMissing
        | ConnectionErrorCode::ChecksumsMissing => vec![fix(None)],
    }
}

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
    use crate::configuration::{
        Destination, ExportProgress, Layout,
        arn::{AccountId, UserArn},
        test_support::{on_server, service, with_key, with_role},
    };

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn failed(code: ConnectionErrorCode) -> Connection {
        let error = ConnectionError { code, message: format!("The fix of {code}.") };
        Connection::Failed { checked_at: at("2026-11-22T00:00:00Z"), error }
    }

    fn success() -> Connection {
        Connection::Success { checked_at: at("2026-11-22T00:00:00Z") }
    }

    /// The configuration with the role, and with bucket and key of another account.
    fn across_accounts(connection: Connection) -> ExportConfiguration {
        let example = with_role();
        let owner = AccountId::parse("333333333333").ok();
        ExportConfiguration {
            destination: Destination { expected_bucket_owner: owner, ..example.destination },
            connection,
            ..example
        }
    }

    fn in_one_account(example: ExportConfiguration, connection: Connection) -> ExportConfiguration {
        let destination = Destination { kms_key_arn: None, expected_bucket_owner: None, ..example.destination };
        ExportConfiguration { destination, connection, ..example }
    }

    fn codes(configuration: &ExportConfiguration) -> Vec<NextStepCode> {
        let steps = next_steps(configuration, &service(), Some(at("2026-11-23T00:20:00Z")));
        steps.into_iter().map(|step| step.code).collect()
    }

    #[test]
    fn a_new_export_is_set_up_in_order() {
        use NextStepCode::{
            AttachPermissions, CreateRole, Enable, SetBucketPolicy, SetKeyPolicy, TestConnection, WaitForExport,
        };
        let all = [CreateRole, AttachPermissions, SetBucketPolicy, SetKeyPolicy, TestConnection, WaitForExport];
        assert_eq!(codes(&across_accounts(Connection::Pending)), all);
        let role = in_one_account(with_role(), Connection::Pending);
        assert_eq!(codes(&role), [CreateRole, AttachPermissions, TestConnection, WaitForExport]);
        let key = in_one_account(with_key(), Connection::Pending);
        assert_eq!(codes(&key), [AttachPermissions, TestConnection, WaitForExport]);
        let disabled = ExportConfiguration { enabled: false, ..key };
        assert_eq!(codes(&disabled), [AttachPermissions, TestConnection, Enable]);
    }

    #[test]
    fn security_lake_creates_the_role_of_its_source() {
        use NextStepCode::{AttachPermissions, CreateRole, FixConnection, TestConnection, WaitForExport};

        let in_lake = |example: ExportConfiguration, connection| {
            let example = in_one_account(example, connection);
            let destination = Destination { layout: Layout::SecurityLake, ..example.destination };
            ExportConfiguration { destination, ..example }
        };
        let new = in_lake(with_role(), Connection::Pending);
        assert_eq!(codes(&new), [CreateRole, TestConnection, WaitForExport]);
        let [step, ..] = &next_steps(&new, &service(), None)[..] else { unreachable!() };
        for part in
            ["Create the custom source in Security Lake", "Don't create the role", &service().account.to_string()]
        {
            assert!(step.instruction.contains(part), "{}", step.instruction);
        }
        assert!(step.instruction.contains(&new.key.configuration_id.to_string()));
        // What is attached to an IAM user stays the customer's task.
        let key = in_lake(with_key(), Connection::Pending);
        assert_eq!(codes(&key), [AttachPermissions, TestConnection, WaitForExport]);
        let denied = in_lake(with_role(), failed(ConnectionErrorCode::WriteDenied));
        assert_eq!(codes(&denied), [FixConnection, TestConnection, WaitForExport]);
    }

    #[test]
    fn each_step_brings_the_policy_that_it_speaks_of() {
        let configuration = across_accounts(Connection::Pending);
        let policies = CustomerPolicies::of(&configuration, &service());
        let documents: Vec<_> =
            next_steps(&configuration, &service(), None).into_iter().map(|step| step.document).collect();
        let expected = [
            policies.trust_policy.map(|policy| policy.document),
            Some(policies.iam_policy.document),
            Some(policies.bucket_policy.document),
            policies.kms_key_policy_statement.map(|policy| policy.document),
            None,
            None,
        ];
        assert_eq!(documents, expected);
    }

    #[test]
    fn a_failed_connection_is_fixed_and_tested_again() {
        use NextStepCode::{FixConnection, SetBucketPolicy, SetKeyPolicy, TestConnection, WaitForExport};
        for code in ConnectionErrorCode::ALL.iter().copied() {
            let configuration = across_accounts(failed(code));
            let more = match code {
                ConnectionErrorCode::WriteDenied => Some(SetBucketPolicy),
                ConnectionErrorCode::KmsDenied => Some(SetKeyPolicy),
                _ => None,
            };
            let expected: Vec<_> =
                [Some(FixConnection), more, Some(TestConnection), Some(WaitForExport)].into_iter().flatten().collect();
            assert_eq!(codes(&configuration), expected, "{code}");
            let steps = next_steps(&configuration, &service(), None);
            assert_eq!(steps[0].instruction, format!("The fix of {code}."));
            let policies = CustomerPolicies::of(&configuration, &service());
            let document = match code {
                ConnectionErrorCode::RoleNotAssumable | ConnectionErrorCode::TrustPolicyTooOpen => {
                    policies.trust_policy.map(|policy| policy.document)
                }
                ConnectionErrorCode::WriteDenied | ConnectionErrorCode::KmsDenied => Some(policies.iam_policy.document),
                _ => None,
            };
            assert_eq!(steps[0].document, document, "{code}");
        }
    }

    #[test]
    fn a_working_connection_needs_no_setup() {
        let configuration = in_one_account(with_role(), success());
        let wait = |configuration: &ExportConfiguration| {
            let steps = next_steps(configuration, &service(), Some(at("2026-11-23T00:20:00Z")));
            assert_eq!(steps.len(), 1);
            assert_eq!((steps[0].code, &steps[0].document), (NextStepCode::WaitForExport, &None));
            steps[0].instruction.clone()
        };
        assert!(wait(&configuration).contains("the first export starts at 2026-11-23T00:20:00.000Z"));
        let exported_through = Some(at("2026-11-22T00:00:00Z"));
        let progress = ExportProgress { exported_through, ..configuration.progress };
        assert!(wait(&ExportConfiguration { progress, ..configuration.clone() }).contains("the next export starts at"));
        assert_eq!(codes(&ExportConfiguration { enabled: false, ..configuration }), [NextStepCode::Enable]);
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
