//! The next steps of an administrator, in order.

use crate::{
    configuration::{ExportConfiguration, ServiceIdentity},
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{
        Destination, ExportProgress, Layout,
        arn::AccountId,
        test_support::{service, with_key, with_role},
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
}
