//! What the administrator has to do next, and what is known of each step.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};
use domain::{
    configuration::{Authentication, ExportConfiguration},
    guidance::{self, CheckOutcome},
};

use super::context;

/// Worked out when it is asked for.
pub struct ExportGuidance(Arc<ExportConfiguration>);

impl ExportGuidance {
    pub fn of(configuration: Arc<ExportConfiguration>) -> Self {
        Self(configuration)
    }
}

#[expect(clippy::unused_async, reason = "a resolver is async, whether it waits or not")]
#[Object]
impl ExportGuidance {
    /// How the export proves who it is.
    async fn r#type(&self) -> ExportConfigurationType {
        match self.0.authentication {
            Authentication::AccessKey { .. } => ExportConfigurationType::S3AccessKey,
            Authentication::AssumedRole { .. } => ExportConfigurationType::S3AssumedRole,
        }
    }

    /// As whom files are written: the ARN of the role, or of the IAM user whose access key is used. Null: the access key
    /// was never tested.
    async fn principal_arn(&self) -> Option<&str> {
        self.0.principal_arn()
    }

    /// What there is to do until files arrive, in order.
    async fn next_steps(&self, context: &Context<'_>) -> Result<Vec<ExportNextStep>> {
        let (service, _) = context::of(context)?;
        let steps = guidance::next_steps(&self.0, service.identity(), service.next_export_at(&self.0));
        Ok(steps.into_iter().map(Into::into).collect())
    }

    /// What a connection test checks, in its order, each as the last test or export found it.
    async fn connection_checks(&self) -> Vec<ConnectionCheck> {
        let checks = guidance::connection_checks(&self.0);
        checks.into_iter().map(|(name, outcome)| ConnectionCheck::of(name, outcome)).collect()
    }
}

/// How an export proves to the customer's account who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
pub enum ExportConfigurationType {
    /// With an access key of an IAM user.
    #[graphql(name = "S3_ACCESS_KEY")]
    S3AccessKey,
    /// With a role that it assumes.
    #[graphql(name = "S3_ASSUMED_ROLE")]
    S3AssumedRole,
}

/// One thing to do.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportNextStep {
    code: ExportNextStepCode,
    instruction: String,
    /// The policy that the instruction speaks of, as JSON.
    document: Option<String>,
}

impl From<guidance::NextStep> for ExportNextStep {
    fn from(step: guidance::NextStep) -> Self {
        Self { code: step.code.into(), instruction: step.instruction, document: step.document }
    }
}

/// What kind of a step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(remote = "guidance::NextStepCode")]
pub enum ExportNextStepCode {
    /// Create the role, with its trust policy.
    CreateRole,
    /// Attach the policy to the role or IAM user.
    AttachPermissions,
    /// Add the statement to the bucket's policy.
    SetBucketPolicy,
    /// Add the statement to the policy of the bucket's KMS key.
    SetKeyPolicy,
    TestConnection,
    /// Mend what the last test or export failed at.
    FixConnection,
    Enable,
    /// Nothing is left to do.
    WaitForExport,
}

/// One of the things that a connection test checks.
#[derive(Clone, Debug, SimpleObject)]
pub struct ConnectionCheck {
    check: ConnectionCheckName,
    status: ConnectionCheckStatus,
    /// What is so if it passed.
    title: &'static str,
    /// If it failed: stable, for example `WRITE_DENIED`.
    code: Option<String>,
    /// If it failed: what to change.
    message: Option<String>,
}

impl ConnectionCheck {
    fn of(name: guidance::ConnectionCheckName, outcome: CheckOutcome<'_>) -> Self {
        let (status, error) = match outcome {
            CheckOutcome::Passed => (ConnectionCheckStatus::Passed, None),
            CheckOutcome::Failed(error) => (ConnectionCheckStatus::Failed, Some(error)),
            CheckOutcome::NotChecked => (ConnectionCheckStatus::NotChecked, None),
        };
        Self {
            check: name.into(),
            status,
            title: name.title(),
            code: error.map(|error| error.code.to_string()),
            message: error.map(|error| error.message.clone()),
        }
    }
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(remote = "guidance::ConnectionCheckName")]
pub enum ConnectionCheckName {
    RegionAvailable,
    RoleAssumable,
    AccessKeyValid,
    ExternalIdRequired,
    BucketFound,
    BucketRegionCorrect,
    WriteAllowed,
    KeyUsable,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
pub enum ConnectionCheckStatus {
    Passed,
    Failed,
    /// A check before it failed, or nothing was tested since the last change.
    NotChecked,
}
