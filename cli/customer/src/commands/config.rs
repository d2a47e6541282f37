//! Export configurations: what is exported where, and what became of it.

pub mod create;
mod delete;
mod digest;
mod disable;
mod dry_run;
mod enable;
pub mod file;
pub mod get;
pub mod jobs;
mod list;
pub mod policies;
pub mod render;
mod render_jobs;
pub mod render_policies;
mod run;
pub mod secret_access_key;
mod tasks;
pub mod test;
pub mod update;

use clap::Subcommand;
use domain::configuration::ConfigurationId;

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
    List(list::ListArguments),
    Get(get::GetArguments),
    Update(update::UpdateArguments),
    Enable(enable::EnableArguments),
    Disable(disable::DisableArguments),
    Delete(delete::DeleteArguments),
    Test(test::TestArguments),
    Run(run::RunArguments),
    Jobs(jobs::JobsArguments),
    Tasks(tasks::TasksArguments),
    Digest(digest::DigestArguments),
    Policies(policies::PoliciesArguments),
}

impl ConfigCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(arguments) => create::run(&arguments, None),
            Self::List(arguments) => list::run(&arguments),
            Self::Get(arguments) => get::run(&arguments),
            Self::Update(arguments) => update::run(&arguments),
            Self::Enable(arguments) => enable::run(&arguments),
            Self::Disable(arguments) => disable::run(&arguments),
            Self::Delete(arguments) => delete::run(&arguments),
            Self::Test(arguments) => test::run(&arguments),
            Self::Run(arguments) => run::run(&arguments),
            Self::Jobs(arguments) => jobs::run(&arguments),
            Self::Tasks(arguments) => tasks::run(&arguments),
            Self::Digest(arguments) => digest::run(&arguments),
            Self::Policies(arguments) => policies::run(&arguments),
        }
    }
}

/// The same under the names of the product's documentation: `audit-export exportConfig create:s3:accessKey FILE`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  audit-export exportConfig create:s3:accessKey ./exportConfig.json
  audit-export exportConfig create:s3:assumedRole ./exportConfig.json
  audit-export exportConfig list

The JSON file is the one of audit-export config create, whose --help describes it.")]
pub enum ExportConfigCommand {
    /// Create an export that uses an access key of an IAM user; as `config create`
    #[command(name = "create:s3:accessKey")]
    CreateAccessKey(create::CreateArguments),

    /// Create an export that assumes a role in your account; as `config create`
    #[command(name = "create:s3:assumedRole")]
    CreateAssumedRole(create::CreateArguments),

    List(list::ListArguments),
    Get(get::GetArguments),
    Test(test::TestArguments),
    Enable(enable::EnableArguments),
    Disable(disable::DisableArguments),
    Delete(delete::DeleteArguments),
}

impl ExportConfigCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::CreateAccessKey(arguments) => create::run(&arguments, Some(Kind::AccessKey)),
            Self::CreateAssumedRole(arguments) => create::run(&arguments, Some(Kind::AssumedRole)),
            Self::List(arguments) => list::run(&arguments),
            Self::Get(arguments) => get::run(&arguments),
            Self::Test(arguments) => test::run(&arguments),
            Self::Enable(arguments) => enable::run(&arguments),
            Self::Disable(arguments) => disable::run(&arguments),
            Self::Delete(arguments) => delete::run(&arguments),
        }
    }
}

fn parse_id(text: &str) -> Result<ConfigurationId, &'static str> {
    ConfigurationId::parse(text).ok_or(
        "an id is a UUID in lower case, for example 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b; see: audit-export config list",
    )
}

#[cfg(test)]
mod tests {
    use apollo_compiler::{ExecutableDocument, Schema};

    use super::{Kind, create, delete, digest, disable, enable, get, jobs, list, policies, run, tasks, test, update};
    use crate::commands::verify;

    /// The API's schema, as it is committed.
    const SCHEMA: &str = include_str!("../../../../functions/api/schema.graphql");

    #[test]
    fn every_operation_fits_the_schema() {
        let schema = Schema::parse_and_validate(SCHEMA, "schema.graphql")
            .unwrap_or_else(|errors| unreachable!("{}", errors.errors));
        let operations = [
            list::OPERATION,
            get::OPERATION,
            enable::OPERATION,
            disable::OPERATION,
            delete::OPERATION,
            test::OPERATION,
            run::OPERATION,
            run::PROGRESS,
            jobs::OPERATION,
            tasks::OPERATION,
            digest::OPERATION,
            policies::OPERATION,
            crate::commands::setup::IDENTITY,
            verify::service::KEYS,
            verify::service::EXPORTED_THROUGH,
            verify::service::DIGEST,
        ];
        let of_kinds = [create::operation, update::operation]
            .into_iter()
            .flat_map(|operation| [Kind::AccessKey, Kind::AssumedRole].map(operation));
        let told: Vec<String> = of_kinds
            .chain(&operations)
            .filter_map(|operation| {
                ExecutableDocument::parse_and_validate(&schema, operation.document, operation.field).err()
            })
            .map(|errors| errors.errors.to_string())
            .collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    }
}
