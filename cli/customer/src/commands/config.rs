//! Commands for export configurations.

pub mod create;
mod delete;
mod digest;
mod dry_run;
pub mod file;
mod jobs;
mod located;
mod notifications;
mod options;
pub mod policies;
mod poll;
pub mod render;
mod render_jobs;
pub mod render_policies;
mod render_replays;
mod repair;
mod replay;
pub mod run;
pub mod secret_access_key;
mod status;
pub mod suggestion;
mod target;
pub mod test;
pub mod update;

use clap::Subcommand;
use host::Random;
use serde_json::json;

use self::{
    file::Kind,
    target::{JobTarget, Target},
};
use crate::{
    api::operations,
    failure::Failure,
    model::{Configuration, Replay, Task},
    service::ServiceArguments,
};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  audit-export config create --bucket acme-audit --region eu-west-1 \\
    --interval 24h --role-arn arn:aws:iam::222222222222:role/audit-export
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config test 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub enum ConfigCommand {
    Create(Box<create::CreateArguments>),

    #[command(flatten)]
    Common(CommonCommand),

    Status(status::StatusArguments),

    Repair(repair::RepairArguments),

    Replay(replay::ReplayArguments),

    /// List the replays of an export, the newest first
    ///
    /// The last 20 replays are kept. Wide terminals show more columns, and `--output json` all fields.
    #[command(after_help = "\
Examples:
  audit-export config replays 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config replays 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --output json | jq -r '.[0].place'")]
    Replays(Target),

    ReplayCancel(replay::CancelArguments),

    /// List the files of an export job
    ///
    /// A task writes one file to the bucket. A job has at most 400, and those that are not finished.
    #[command(after_help = "\
Examples:
  audit-export config tasks 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7
  audit-export config tasks 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7 \\
    --output json | jq -r '.[].objectKey'")]
    Tasks(JobTarget),

    #[command(subcommand)]
    Notifications(notifications::NotificationsCommand),

    Digest(digest::DigestArguments),
    Policies(policies::PoliciesArguments),
}

impl ConfigCommand {
    pub async fn run(self, random: &dyn Random) -> Result<(), Failure> {
        match self {
            Self::Create(arguments) => create::run(&arguments, None, random).await,
            Self::Common(command) => command.run().await,
            Self::Status(arguments) => status::run(&arguments).await,
            Self::Repair(arguments) => repair::run(&arguments).await,
            Self::Replay(arguments) => replay::run(&arguments).await,
            Self::Replays(target) => {
                let render = |replays: &Vec<Replay>, style: &_| render_replays::replays(replays, style);
                target.show(&operations::REPLAYS, render).await
            }
            Self::ReplayCancel(arguments) => replay::cancel(&arguments).await,
            Self::Tasks(target) => {
                let render = |tasks: &Vec<Task>, style: &_| render_jobs::tasks(tasks, style);
                target.service.show(&operations::TASKS, &target.variables(), render).await
            }
            Self::Notifications(command) => command.run(random).await,
            Self::Digest(arguments) => digest::run(&arguments).await,
            Self::Policies(arguments) => policies::run(&arguments).await,
        }
    }
}

/// The commands that the Immuta CLI has too.
#[derive(Debug, Subcommand)]
pub enum CommonCommand {
    /// List the export configurations
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  audit-export config list
  audit-export config list --profile production --output json | jq -r '.[].id'"
    )]
    List(ServiceArguments),

    /// Show an export configuration and the next steps
    #[command(after_help = "\
Examples:
  audit-export config get 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config get 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --output json |
    jq .connectionStatus")]
    Get(Target),

    /// Enable an export: it continues where the last export ended
    #[command(after_help = "\
Examples:
  audit-export config enable 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
    Enable(Target),

    /// Disable an export; events are kept until their retention ends
    #[command(after_help = "\
Examples:
  audit-export config disable 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
    Disable(Target),

    Delete(delete::DeleteArguments),

    /// Test whether the bucket can be written to, and show what to fix
    ///
    /// Writes a marker object named .immuta.export.log. With a role, also tests that nobody else can make the service assume
    /// it. Each check has passed, has failed, or was not made because an earlier one failed.
    #[command(after_help = "\
Examples:
  audit-export config test 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config test 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --output json |
    jq .connectionChecks

The exit code is 0 only if the bucket can be written to, and 7 if it can't.")]
    Test(Target),

    Update(Box<update::UpdateArguments>),
    Run(run::RunArguments),
    Jobs(jobs::JobsArguments),
}

impl CommonCommand {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => {
                let render = |configurations: &Vec<Configuration>, style: &_| render::list(configurations, style);
                arguments.show(&operations::LIST, &json!({}), render).await
            }
            Self::Get(target) => target.show(&operations::GET, render::configuration).await,
            Self::Enable(target) => target.show(&operations::ENABLE, render::enabled).await,
            Self::Disable(target) => target.show(&operations::DISABLE, render::disabled).await,
            Self::Delete(arguments) => delete::run(&arguments).await,
            Self::Test(target) => test::run(&target).await,
            Self::Update(arguments) => update::run(&arguments).await,
            Self::Run(arguments) => run::run(&arguments).await,
            Self::Jobs(arguments) => jobs::run(&arguments).await,
        }
    }
}

/// Aliases with the names of the Immuta CLI: `audit-export exportConfig create:s3:accessKey FILE`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  audit-export exportConfig create:s3:accessKey ./exportConfig.json
  audit-export exportConfig create:s3:assumedRole ./exportConfig.json
  audit-export exportConfig list
  audit-export exportConfig jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b

`audit-export config create --help` describes the JSON file.")]
pub enum ExportConfigCommand {
    /// Create an export that uses an access key of an IAM user, like `config create`
    #[command(name = "create:s3:accessKey")]
    CreateAccessKey(Box<create::CreateArguments>),

    /// Create an export that assumes a role in your account, like `config create`
    #[command(name = "create:s3:assumedRole")]
    CreateAssumedRole(Box<create::CreateArguments>),

    #[command(flatten)]
    Common(CommonCommand),
}

impl ExportConfigCommand {
    pub async fn run(self, random: &dyn Random) -> Result<(), Failure> {
        match self {
            Self::CreateAccessKey(arguments) => create::run(&arguments, Some(Kind::AccessKey), random).await,
            Self::CreateAssumedRole(arguments) => create::run(&arguments, Some(Kind::AssumedRole), random).await,
            Self::Common(command) => command.run().await,
        }
    }
}
