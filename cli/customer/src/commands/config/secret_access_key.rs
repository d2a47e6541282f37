//! The sources of a secret access key. It is never an argument, because other processes can read arguments.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use terminal::text::printable;
use zeroize::Zeroizing;

use super::file::{ConfigurationFile, Field, Value};
use crate::{failure::Failure, hidden_input, secret::Secret};

pub const SECRET_VARIABLE: &str = "AUDIT_EXPORT_SECRET_ACCESS_KEY";

/// Bytes. A secret access key has 40.
const MAX_FILE_LENGTH: u64 = 1_024;

#[derive(Clone, Debug, Default, Args)]
pub struct SecretArguments {
    /// A file that holds the secret access key, instead of `secretAccessKey` in the JSON file
    ///
    /// Without either it is read from `AUDIT_EXPORT_SECRET_ACCESS_KEY` or from the terminal. It can't be an argument, because
    /// other processes can read arguments.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

impl SecretArguments {
    /// Returns whether the secret comes from a file or from the environment.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.secret_file.is_some() || std::env::var_os(SECRET_VARIABLE).is_some_and(|text| !text.is_empty())
    }

    /// Adds the secret to `file` unless it has one.
    ///
    /// # Errors
    /// The secret can't be read, or there is none and `is_needed`.
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
    let text = text
        .into_string()
        .map_err(|_| Failure::InvalidArgument { what: SECRET_VARIABLE, reason: "is not valid UTF-8".to_owned() })?;
    Ok(Some(Secret::trimmed(&Zeroizing::new(text))))
}

/// Reads the secret from the terminal without showing it.
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
