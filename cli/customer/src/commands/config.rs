//! Commands for export configurations.

pub mod create;
mod delete;
mod digest;
mod dry_run;
pub mod file;
pub mod policies;
pub mod render;
mod render_jobs;
pub mod render_policies;
mod run;
pub mod secret_access_key;
mod simple;
mod target;
pub mod test;
pub mod update;

use clap::Subcommand;
use host::Random;

use self::file::Kind;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  audit-export config create export.json --dry-run
  audit-export config create export.json
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config test 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub enum ConfigCommand {
    Create(create::CreateArguments),
    List(simple::ListArguments),
    Get(simple::GetArguments),
    Update(update::UpdateArguments),
    Enable(simple::EnableArguments),
    Disable(simple::DisableArguments),
    Delete(delete::DeleteArguments),
    Test(test::TestArguments),
    Run(run::RunArguments),
    Jobs(simple::JobsArguments),
    Tasks(simple::TasksArguments),
    Digest(digest::DigestArguments),
    Policies(policies::PoliciesArguments),
}

impl ConfigCommand {
    pub fn run(self, random: &dyn Random) -> Result<(), Failure> {
        match self {
            Self::Create(arguments) => create::run(&arguments, None, random),
            Self::List(arguments) => simple::list(&arguments),
            Self::Get(arguments) => simple::get(&arguments),
            Self::Update(arguments) => update::run(&arguments),
            Self::Enable(arguments) => simple::enable(&arguments),
            Self::Disable(arguments) => simple::disable(&arguments),
            Self::Delete(arguments) => delete::run(&arguments),
            Self::Test(arguments) => test::run(&arguments),
            Self::Run(arguments) => run::run(&arguments),
            Self::Jobs(arguments) => simple::jobs(&arguments),
            Self::Tasks(arguments) => simple::tasks(&arguments),
            Self::Digest(arguments) => digest::run(&arguments),
            Self::Policies(arguments) => policies::run(&arguments),
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

`audit-export config create --help` describes the JSON file.")]
pub enum ExportConfigCommand {
    /// Create an export that uses an access key of an IAM user, like `config create`
    #[command(name = "create:s3:accessKey")]
    CreateAccessKey(create::CreateArguments),

    /// Create an export that assumes a role in your account, like `config create`
    #[command(name = "create:s3:assumedRole")]
    CreateAssumedRole(create::CreateArguments),

    List(simple::ListArguments),
    Get(simple::GetArguments),
    Test(test::TestArguments),
    Enable(simple::EnableArguments),
    Disable(simple::DisableArguments),
    Delete(delete::DeleteArguments),
}

impl ExportConfigCommand {
    pub fn run(self, random: &dyn Random) -> Result<(), Failure> {
        match self {
            Self::CreateAccessKey(arguments) => create::run(&arguments, Some(Kind::AccessKey), random),
            Self::CreateAssumedRole(arguments) => create::run(&arguments, Some(Kind::AssumedRole), random),
            Self::List(arguments) => simple::list(&arguments),
            Self::Get(arguments) => simple::get(&arguments),
            Self::Test(arguments) => test::run(&arguments),
            Self::Enable(arguments) => simple::enable(&arguments),
            Self::Disable(arguments) => simple::disable(&arguments),
            Self::Delete(arguments) => delete::run(&arguments),
        }
    }
}
