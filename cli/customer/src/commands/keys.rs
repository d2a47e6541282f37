//! The command `keys`: the public keys that prove digests.

use clap::{Args, ValueEnum};

use super::place::service::Service;
use crate::{access::AccessArguments, failure::Failure, output};

/// Print the service's public keys in PEM, to verify exports without the service
///
/// Prints the current signing key and the retired ones. Save them where nobody who can write to the bucket can change them, and
/// give the file to `--public-key` of `verify`, `search` and `query`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export keys > digests.pem
  audit-export keys --output json")]
pub struct KeysArguments {
    #[command(flatten)]
    access: AccessArguments,

    /// The format of the keys
    #[arg(long, value_enum, default_value_t)]
    output: KeysFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum KeysFormat {
    /// PEM, one key after the other
    #[default]
    Pem,
    /// One JSON document on one line: each key with its fingerprint, the `signingKey` of digests
    Json,
}

pub async fn run(arguments: &KeysArguments) -> Result<(), Failure> {
    let keys = Service::new(&arguments.access.resolve().await?, true)?.keys().await?;
    match arguments.output {
        KeysFormat::Json => output::print_line(&output::json(&keys)?),
        KeysFormat::Pem => {
            let mut pem = String::new();
            for key in &keys {
                pem.push_str(&key.public_key);
                if !pem.ends_with('\n') {
                    pem.push('\n');
                }
            }
            output::print_bytes(pem.as_bytes())
        }
    }
}
