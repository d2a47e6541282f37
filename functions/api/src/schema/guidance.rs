//! What the administrator has to do next, and what is known of each step.

use std::sync::Arc;

use async_graphql::Object;
use domain::configuration::{Authentication, ExportConfiguration};

/// Worked out when it is asked for.
pub struct ExportGuidance(Arc<ExportConfiguration>);

impl ExportGuidance {
    pub fn of(configuration: Arc<ExportConfiguration>) -> Self {
        Self(configuration)
    }
}

#[Object]
impl ExportGuidance {
    /// How the export proves who it is.
    async fn r#type(&self) -> ExportConfigurationType {
        match self.0.authentication {
            Authentication::AccessKey { .. } => ExportConfigurationType::S3AccessKey,
            Authentication::AssumedRole { .. } => ExportConfigurationType::S3AssumedRole,
        }
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
