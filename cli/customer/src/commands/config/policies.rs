use clap::Args;
use serde_json::json;

use super::{
    render_policies::{self, DocumentName},
    target::Target,
};
use crate::{api::operations, failure::Failure, model::Policies, output, service::Service};

/// Show the policies for your AWS account, filled in for this configuration
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --document trust > trust.json
  aws iam create-role --role-name audit-export \\
    --assume-role-policy-document file://trust.json
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --cloudformation
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --replay-path replays/siem")]
pub struct PoliciesArguments {
    #[command(flatten)]
    target: Target,

    /// Print a link that opens CloudFormation in your account with the parameters filled in
    #[arg(long, conflicts_with = "document")]
    cloudformation: bool,

    /// Allow replays under this path of the bucket, too (`config replay --bucket-path`)
    #[arg(long, conflicts_with = "cloudformation", value_name = "PATH")]
    replay_path: Option<String>,

    /// Print only one document, to redirect it to a file
    #[arg(long, value_enum, value_name = "NAME")]
    document: Option<DocumentName>,
}

pub async fn run(arguments: &PoliciesArguments) -> Result<(), Failure> {
    let mut variables = arguments.target.variables();
    let operation = match &arguments.replay_path {
        None => &operations::POLICIES,
        Some(path) => {
            variables["replayBucketPath"] = json!(path);
            &operations::POLICIES_WITH_REPLAYS
        }
    };
    let Some(name) = arguments.document else {
        let render =
            if arguments.cloudformation { render_policies::cloud_formation } else { render_policies::policies };
        return arguments.target.service.show(operation, &variables, render).await;
    };
    let service = Service::connect(&arguments.target.service).await?;
    let policies: Policies = service.ask(operation, &variables).await?.parse()?;
    output::print_line(&name.of(&policies).ok_or_else(|| missing(name))?.document)
}

fn missing(name: DocumentName) -> Failure {
    let reason = match name {
        DocumentName::Trust => "there is no trust policy, because the export uses an access key and assumes no role",
        _ => "the configuration has no KMS key; if the bucket encrypts with one, set kmsKeyArn with config update",
    };
    Failure::argument("--document", reason)
}
