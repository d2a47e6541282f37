//! The next steps of an administrator, and the checks of a connection test.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};
use domain::{
    configuration::{Authentication, ExportConfiguration},
    connection_test::check::{self, CheckOutcome, SiteKind},
    next_steps::{self, next_steps},
};

use super::context;

/// The fields of a configuration that guide its administrator. They are computed when a query selects them.
pub struct ExportGuidance(Arc<ExportConfiguration>);

impl ExportGuidance {
    pub fn of(configuration: Arc<ExportConfiguration>) -> Self {
        Self(configuration)
    }
}

#[expect(clippy::unused_async, reason = "a resolver is async, whether it waits or not")]
#[Object]
impl ExportGuidance {
    /// The kind of identity that the export uses.
    async fn r#type(&self) -> ExportConfigurationType {
        match self.0.authentication {
            Authentication::AccessKey { .. } => ExportConfigurationType::S3AccessKey,
            Authentication::AssumedRole { .. } => ExportConfigurationType::S3AssumedRole,
        }
    }

    /// The ARN of the role or IAM user that writes the files. Null: the access key was never tested.
    async fn principal_arn(&self) -> Option<&str> {
        self.0.principal_arn()
    }

    /// The steps until files arrive, in order.
    async fn next_steps(&self, context: &Context<'_>) -> Result<Vec<ExportNextStep>> {
        let (service, _) = context::of(context)?;
        let steps = next_steps(&self.0, &service.identity, service.next_export_at(&self.0));
        Ok(steps.into_iter().map(Into::into).collect())
    }

    /// The checks of a connection test, in order, each with its result in the last test or export.
    async fn connection_checks(&self) -> Vec<ConnectionCheck> {
        ConnectionCheck::all_of(&self.0)
    }
}

/// The kind of identity that an export uses in the customer's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
pub enum ExportConfigurationType {
    /// An access key of an IAM user.
    #[graphql(name = "S3_ACCESS_KEY")]
    S3AccessKey,
    /// A role that the export assumes.
    #[graphql(name = "S3_ASSUMED_ROLE")]
    S3AssumedRole,
}

/// One step for the administrator.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportNextStep {
    code: ExportNextStepCode,
    instruction: String,
    /// The policy that the instruction refers to, as JSON.
    document: Option<String>,
}

impl From<next_steps::NextStep> for ExportNextStep {
    fn from(step: next_steps::NextStep) -> Self {
        Self { code: step.code.into(), instruction: step.instruction, document: step.document }
    }
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(remote = "next_steps::NextStepCode")]
pub enum ExportNextStepCode {
    /// Create the role, with its trust policy. For `OCSF_PARQUET`: the custom source, with which Security Lake creates the role.
    CreateRole,
    /// Attach the policy to the role or IAM user.
    AttachPermissions,
    /// Add the statement to the bucket's policy.
    SetBucketPolicy,
    /// Add the statement to the policy of the bucket's KMS key.
    SetKeyPolicy,
    TestConnection,
    /// Fix the cause of the failure of the last test or export.
    FixConnection,
    Enable,
    /// Nothing is left to do.
    WaitForExport,
}

/// One check of a connection test.
#[derive(Clone, Debug, SimpleObject)]
pub struct ConnectionCheck {
    check: ConnectionCheckName,
    status: ConnectionCheckStatus,
    /// What holds when the check passes.
    title: &'static str,
    /// If the check failed: a stable code, for example `WRITE_DENIED`.
    code: Option<String>,
    /// If the check failed: the cause, and the change that fixes it.
    message: Option<String>,
}

impl ConnectionCheck {
    /// Returns the checks of a configuration, each with its result in the last test or export.
    pub(super) fn all_of(configuration: &ExportConfiguration) -> Vec<Self> {
        let site = SiteKind::from(&configuration.destination.site);
        let checks = check::connection_checks(configuration);
        checks.into_iter().map(|(name, outcome)| Self::of(name, site, outcome)).collect()
    }

    pub(super) fn of(name: check::ConnectionCheckName, site: SiteKind, outcome: CheckOutcome<'_>) -> Self {
        let (status, error) = match outcome {
            CheckOutcome::Passed => (ConnectionCheckStatus::Passed, None),
            CheckOutcome::Failed(error) => (ConnectionCheckStatus::Failed, Some(error)),
            CheckOutcome::NotChecked => (ConnectionCheckStatus::NotChecked, None),
        };
        Self {
            check: name.into(),
            status,
            title: name.title(site),
            code: error.map(|error| error.code.to_string()),
            message: error.map(|error| error.message.clone()),
        }
    }
}

/// The name of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(remote = "check::ConnectionCheckName")]
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

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
pub enum ConnectionCheckStatus {
    Passed,
    Failed,
    /// An earlier check failed, the connection was not tested since the last change, or the check of a running test has not
    /// ended.
    NotChecked,
}
