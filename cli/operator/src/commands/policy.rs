//! The command `policy`: the IAM policies for the other commands.

use std::io;

use clap::Args;

use crate::{
    call::{Access, PolicyScope},
    failure::Failure,
};

/// Print the IAM policy that the other commands need
///
/// The policy names the resources of one stack, and exactly the calls that the commands make. Works offline. `CloudFormation`
/// shortens the name of a stack with more than 30 characters in the names of functions; then adapt their ARNs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator policy read-only --stack production > policy.json
  audit-export-operator policy read-write --stack production \\
    --account 111111111111 --region eu-central-1

To redrive events, add the role or user to the stack's parameter EventSenders too.")]
pub struct PolicyArguments {
    /// The commands that the policy is for
    #[arg(value_enum)]
    access: Access,

    /// The name of the `CloudFormation` stack
    #[arg(long, env = "AUDIT_EXPORT_STACK", value_name = "NAME")]
    stack: String,

    /// The stack's account
    #[arg(long, default_value = "*")]
    account: String,

    /// The stack's Region
    #[arg(long, default_value = "*")]
    region: String,

    /// The partition of the account: aws, aws-cn or aws-us-gov
    #[arg(long, default_value = "aws")]
    partition: String,
}

pub fn run(arguments: &PolicyArguments) -> Result<(), Failure> {
    let PolicyArguments { access, stack, account, region, partition } = arguments;
    let scope = PolicyScope {
        partition: partition.clone(),
        region: region.clone(),
        account: account.clone(),
        stack: stack.clone(),
    };
    Ok(terminal::print_line(&serde_json::to_string_pretty(&scope.policy(*access)).map_err(io::Error::from)?)?)
}
