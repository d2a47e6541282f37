//! The policies of a customer's account, filled in for one configuration.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use domain::{
    configuration::ExportConfiguration,
    customer_policy::{self, CustomerPolicies},
    customer_template,
};

use super::context;
use crate::service::Service;

#[derive(Default)]
pub struct PolicyQuery;

#[Object]
impl PolicyQuery {
    /// All that the customer's account has to allow for an export, to be used as it is: enough, and nothing more.
    /// `NOT_FOUND` if there is no configuration with this id.
    async fn get_export_configuration_policies(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<Option<ExportConfigurationPolicies>> {
        let (service, caller) = context::of(context)?;
        let configuration = service.get(caller, &id).await?;
        Ok(Some(ExportConfigurationPolicies::of(&configuration, service)))
    }
}

/// The policies that an export needs.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportConfigurationPolicies {
    /// What the role's trust policy requires: the configuration's id.
    external_id: String,
    /// As whom files are written: the role or IAM user. Null: the access key was never tested, and a text that says so
    /// stands in its place.
    principal_arn: Option<String>,
    /// Of the role; null for an access key.
    trust_policy: Option<PolicyDocument>,
    /// Of the role or IAM user.
    iam_policy: PolicyDocument,
    bucket_policy: PolicyDocument,
    /// One statement for the policy of the bucket's KMS key; null without `kmsKeyArn`.
    kms_key_policy_statement: Option<PolicyDocument>,
    cloud_formation: CustomerCloudFormation,
}

impl ExportConfigurationPolicies {
    fn of(configuration: &ExportConfiguration, service: &Service) -> Self {
        let policies = CustomerPolicies::of(configuration, service.identity());
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

/// A policy and where to put it.
#[derive(Clone, Debug, SimpleObject)]
pub struct PolicyDocument {
    /// JSON.
    document: String,
    /// Whether an export is impossible without it.
    is_required: bool,
    /// Where to put it.
    instruction: String,
}

impl From<customer_policy::PolicyDocument> for PolicyDocument {
    fn from(policy: customer_policy::PolicyDocument) -> Self {
        let customer_policy::PolicyDocument { document, is_required, instruction } = policy;
        Self { document, is_required, instruction }
    }
}

/// The CloudFormation template that makes the role, and the bucket and key if wanted.
#[derive(Clone, Debug, SimpleObject)]
pub struct CustomerCloudFormation {
    /// Opens CloudFormation's console with the template and the parameters. Null: there are no parameters, the operator
    /// has not published the template, or the console of the bucket's partition has no public address.
    launch_url: Option<String>,
    /// What the template asks for. Empty for an access key and for a role with a path, which it can't make.
    parameters: Vec<CloudFormationParameter>,
}

impl CustomerCloudFormation {
    fn of(configuration: &ExportConfiguration, service: &Service) -> Self {
        let template = service.customer_template.as_ref();
        let parameters = customer_template::parameters(configuration, service.identity());
        Self {
            launch_url: template
                .and_then(|template| customer_template::launch_url(template, configuration, service.identity())),
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
