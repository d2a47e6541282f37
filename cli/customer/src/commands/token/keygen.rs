use std::path::PathBuf;

use clap::Args;

use super::key_pair;
use crate::{
    failure::Failure,
    output::{self, OutputFormat},
};

/// Make an ES256 key pair for a development stack
///
/// Writes private-key.pem (readable by you alone) and jwks.json (public: a development stack takes it as the parameter
/// `DevelopmentJwks`). Nothing secret is printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export token keygen --directory .local/token
  audit-export token keygen --directory .local/token --force --output json")]
pub struct KeygenArguments {
    /// Where to write; made if it is missing
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,

    /// Replace an existing key pair: tokens signed with it are then refused
    #[arg(long)]
    force: bool,

    /// How to print what was written
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub fn run(arguments: &KeygenArguments) -> Result<(), Failure> {
    let written = key_pair::generate(&arguments.directory, arguments.force)?;
    output::print_result(&written, arguments.output)
}
