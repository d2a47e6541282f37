use clap::{Args, ValueEnum};
use domain::configuration::ConfigurationId;
use serde_json::json;

use super::{parse_id, render_policies};
use crate::{
    api::Operation,
    failure::Failure,
    model::Policies,
    output,
    service::{Service, ServiceArguments},
};

pub const OPERATION: Operation = Operation {
    what: "to tell the policies of the export configuration",
    field: "getExportConfigurationPolicies",
    document: "query($id: ID!) { getExportConfigurationPolicies(id: $id) { externalId principalArn \
               trustPolicy { document isRequired instruction } iamPolicy { document isRequired instruction } \
               bucketPolicy { document isRequired instruction } \
               kmsKeyPolicyStatement { document isRequired instruction } \
               cloudFormation { launchUrl parameters { name value } } } }",
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocumentName {
    /// What the role or the IAM user may do
    Iam,
    /// Who may assume the role
    Trust,
    /// The bucket's policy
    Bucket,
    /// A statement for the policy of the KMS key
    Key,
}

/// Show the policies to set in your account, filled in for this configuration
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --document trust > trust.json
  aws iam create-role --role-name audit-export --assume-role-policy-document file://trust.json
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --cloudformation")]
pub struct PoliciesArguments {
    /// The configuration's id
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: ConfigurationId,

    /// Print a link that opens CloudFormation in your account with the parameters filled in
    #[arg(long, conflicts_with = "document")]
    cloudformation: bool,

    /// Print one document alone, to redirect it into a file
    #[arg(long, value_enum, value_name = "NAME")]
    document: Option<DocumentName>,

    #[command(flatten)]
    service: ServiceArguments,
}

pub fn run(arguments: &PoliciesArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.service)?;
    let answer = service.ask(&OPERATION, &json!({ "id": arguments.id.to_string() }))?;
    if let Some(name) = arguments.document {
        let policies: Policies = answer.parse()?;
        let document = render_policies::document(&policies, name);
        return output::print_line(document.ok_or_else(|| missing(name))?);
    }
    service.output.print(&answer, |style| {
        let policies: Policies = answer.parse()?;
        Ok(if arguments.cloudformation {
            render_policies::cloud_formation(&policies, style)
        } else {
            render_policies::policies(&policies, style)
        })
    })
}

fn missing(name: DocumentName) -> Failure {
    let reason = match name {
        DocumentName::Trust => "an export with an access key assumes no role, so there is no trust policy",
        _ => "the configuration names no KMS key: set kmsKeyArn with config update, if the bucket encrypts with one",
    };
    Failure::InvalidArgument { what: "--document", reason: reason.to_owned() }
}
