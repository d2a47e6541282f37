use std::path::PathBuf;

use clap::Args;
use terminal::OutputFormat;

use super::key_pair;
use crate::failure::Failure;

/// Create an ES256 key pair for a development stack
///
/// Writes private-key.pem, which only you can read, and jwks.json, which is public: a development stack takes it as the
/// parameter `DevelopmentJwks`. Nothing secret is printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dev-tools token keygen --directory .local/token
  dev-tools token keygen --directory .local/token --force --output json")]
pub struct KeygenArguments {
    /// The directory of the key pair; created if it is missing
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,

    /// Replace an existing key pair: tokens signed with it are then refused
    #[arg(long)]
    force: bool,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub fn run(arguments: &KeygenArguments) -> Result<(), Failure> {
    let written = key_pair::generate(&arguments.directory, arguments.force)?;
    Ok(terminal::print_fields(&written, arguments.output)?)
}
