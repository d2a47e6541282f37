//! The policies that a customer's account needs for one configuration.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use domain::{
    configuration::{ExportConfiguration, bucket::BucketPath, field},
    customer_policy::{self, CustomerPolicies},
    customer_template,
    replay::parse_replay_path,
};

use super::context;
use crate::{error::ApiError, service::Service};

#[derive(Default)]
pub struct PolicyQuery;

#[Object]
impl PolicyQuery {
    /// The policies that the customer's account needs for an export, ready to use. They allow what the export needs and
    /// nothing more. `NOT_FOUND`: there is no configuration with this ID.
    async fn get_export_configuration_policies(
        &self,
        context: &Context<'_>,
        id: ID,
        #[graphql(desc = "A path whose replays the policies allow as well: everything under it may be written.")]
        replay_bucket_path: Option<String>,
    ) -> Result<Option<ExportConfigurationPolicies>> {
        let (service, caller) = context::of(context)?;
        let configuration = service.get(caller, &id).await?;
        let path =
            replay_bucket_path.as_deref().map(|path| parse_replay_path(field::REPLAY_BUCKET_PATH, path)).transpose();
        let path = path.map_err(|error| ApiError::InvalidInput(vec![error]))?;
        Ok(Some(ExportConfigurationPolicies::of(&configuration, path.as_ref(), service)))
    }
}

/// The policies that an export needs.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportConfigurationPolicies {
    /// The external ID that the role's trust policy requires: the configuration's ID.
    external_id: String,
    /// The ARN of the role or IAM user that writes the files. Null: the access key was never tested, and the policies have a
    /// placeholder.
    principal_arn: Option<String>,
    /// The trust policy of the role. Null for an access key.
    trust_policy: Option<PolicyDocument>,
    /// The permissions policy of the role or IAM user.
    iam_policy: PolicyDocument,
    bucket_policy: PolicyDocument,
    /// A statement for the policy of the bucket's KMS key. Null without `kmsKeyArn`.
    kms_key_policy_statement: Option<PolicyDocument>,
    cloud_formation: CustomerCloudFormation,
}

impl ExportConfigurationPolicies {
    fn of(configuration: &ExportConfiguration, replay_path: Option<&BucketPath>, service: &Service) -> Self {
        let policies = CustomerPolicies::with_replays(configuration, replay_path, &service.identity);
        Self {
            external_id: configuration.key.configuration_id.to_string(),
            principal_arn: configuration.principal_arn().map(ToOwned::to_owned),
            trust_policy: policies.trust_policy.map(Into::into),
            iam_policy: policies.iam_policy.into(),
            bucket_policy: policies.bucket_policy.into(),
            kms_key_policy_statement: policies.kms_key_policy_statement.map(Into::into),
            cloud_formation: CustomerCloudFormation::of(configuration, service),
        }
    }
}

/// A policy, and the place to put it.
#[derive(Clone, Debug, SimpleObject)]
pub struct PolicyDocument {
    /// The policy as JSON.
    document: String,
    /// True if an export is impossible without the policy.
    is_required: bool,
    /// The place to put it.
    instruction: String,
}

impl From<customer_policy::PolicyDocument> for PolicyDocument {
    fn from(policy: customer_policy::PolicyDocument) -> Self {
        let customer_policy::PolicyDocument { document, is_required, instruction } = policy;
        Self { document, is_required, instruction }
    }
}

/// The CloudFormation template that creates the role and, on request, the bucket and key.
#[derive(Clone, Debug, SimpleObject)]
pub struct CustomerCloudFormation {
    /// The URL of CloudFormation's console with the template and the parameters. Null: there are no parameters, the operator
    /// has not published the template, or the console of the bucket's partition has no public address.
    launch_url: Option<String>,
    /// The parameters of the template. Empty for an access key, and for a role with a path, which the template can't
    /// create.
    parameters: Vec<CloudFormationParameter>,
}

impl CustomerCloudFormation {
    fn of(configuration: &ExportConfiguration, service: &Service) -> Self {
        let template = service.customer_template.as_ref();
        let parameters = customer_template::parameters(configuration, &service.identity);
        Self {
            launch_url: template
                .and_then(|template| customer_template::launch_url(template, configuration, &service.identity)),
            parameters: parameters
                .into_iter()
                .map(|(name, value)| CloudFormationParameter { name: name.to_owned(), value })
                .collect(),
        }
    }
}

/// A parameter of the template.
#[derive(Clone, Debug, SimpleObject)]
pub struct CloudFormationParameter {
    name: String,
    value: String,
}
