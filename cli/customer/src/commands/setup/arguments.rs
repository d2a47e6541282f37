//! The arguments of `setup`.

use std::path::PathBuf;

use clap::Args;

use crate::{commands::config::secret_access_key::SecretArguments, service::ServiceArguments};

/// Set up an export step by step, up to a verified first file
///
/// With the AWS command line (`aws`) and credentials for your account, asks for the bucket and the interval, shows what it
/// would create, and on your yes creates the export configuration and a CloudFormation stack with a role and, if it is new,
/// the bucket. Then it tests the connection, exports, shows the first file, and verifies it.
///
/// Without them, or with `--manual`, it asks for all settings, and writes the policies and the template to a folder. You run
/// the one command that it prints, and setup tests the connection.
///
/// You can quit at any time: the next call continues, and creates nothing twice. The state is stored beside the profiles (see
/// `audit-export profile`), without secrets.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export setup
  audit-export setup --profile production --directory policies
  audit-export setup --answers export.json --yes

--answers is for scripts. Without --yes the exit code is 7 until the policies are applied; then repeat the command.

The exit code is 0 only if the connection test succeeded, 7 if it failed, and 12 if setup is unfinished.")]
pub struct SetupArguments {
    /// Read the answers from this JSON file, the one of `config create`; - for standard input
    #[arg(long, value_name = "FILE|-")]
    pub answers: Option<PathBuf>,

    /// Discard an unfinished setup and start over; a configuration that it created stays
    #[arg(long)]
    pub restart: bool,

    /// The folder for the policies [default: audit-export-ID]
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,

    /// Don't use AWS credentials: ask for all settings, and write the policies to files
    ///
    /// For an access key instead of a role, a bucket of another account, or an S3 server other than AWS's.
    #[arg(long)]
    pub manual: bool,

    /// With `--answers`: create the role with the AWS credentials, without asking
    #[arg(long, requires = "answers", conflicts_with = "manual")]
    pub yes: bool,

    /// Also show the policies, and the commands of IAM that apply them
    #[arg(long)]
    pub print: bool,

    #[command(flatten)]
    pub secret: SecretArguments,

    #[command(flatten)]
    pub service: ServiceArguments,
}
