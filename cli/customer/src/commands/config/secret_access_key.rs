//! Where a secret access key comes from: never an argument, which every process of the machine can read.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use zeroize::Zeroizing;

use super::file::{ConfigurationFile, Field, Value};
use crate::{failure::Failure, hidden_input, secret::Secret};
use terminal::text::printable;

/// The environment variable that may hold the secret access key.
pub const SECRET_VARIABLE: &str = "AUDIT_EXPORT_SECRET_ACCESS_KEY";

/// Bytes. IAM's have 40.
const MAX_FILE_LENGTH: u64 = 1_024;

#[derive(Clone, Debug, Default, Args)]
pub struct SecretArguments {
    /// A file that holds the secret access key, instead of `secretAccessKey` in the JSON file
    ///
    /// Without either it comes from `AUDIT_EXPORT_SECRET_ACCESS_KEY`, or a terminal is asked for it. It is never an
    /// argument: every process of a machine can read those.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

impl SecretArguments {
    /// Whether it comes from elsewhere than a JSON file or a person.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.secret_file.is_some() || std::env::var_os(SECRET_VARIABLE).is_some_and(|text| !text.is_empty())
    }

    /// Adds the secret to `file` if it isn't there.
    ///
    /// # Errors
    /// It can't be read, or there is none and `is_needed`.
    pub fn complete(&self, file: &mut ConfigurationFile, is_needed: bool) -> Result<(), Failure> {
        let secret = if let Some(path) = &self.secret_file {
            read(path)?
        } else if file.text(Field::SecretAccessKey).is_some() {
            return Ok(());
        } else if let Some(secret) = environment()? {
            secret
        } else if is_needed {
            ask(file.text(Field::AccessKeyId).unwrap_or("the access key"))?
        } else {
            return Ok(());
        };
        file.set(Field::SecretAccessKey, Value::Text(secret));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Secret, Failure> {
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(Failure::file(path))?;
    file.take(MAX_FILE_LENGTH).read_to_string(&mut text).map_err(Failure::file(path))?;
    Ok(Secret::trimmed(&text))
}

fn environment() -> Result<Option<Secret>, Failure> {
    let Some(text) = std::env::var_os(SECRET_VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = text.into_string().map_err(|_| Failure::InvalidArgument {
        what: SECRET_VARIABLE,
        reason: "holds no secret access key".to_owned(),
    })?;
    Ok(Some(Secret::trimmed(&Zeroizing::new(text))))
}

/// Asks for it without showing what is typed.
pub fn ask(access_key_id: &str) -> Result<Secret, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::InvalidArgument {
            what: "secretAccessKey",
            reason: format!("is missing: give it in the JSON file, with --secret-file, or in {SECRET_VARIABLE}"),
        });
    }
    let question = format!("Secret access key of {} (not shown): ", printable(access_key_id));
    let text = hidden_input::ask(&question).map_err(Failure::StandardOutput)?;
    Ok(Secret::trimmed(&text))
}
