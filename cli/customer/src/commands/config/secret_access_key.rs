//! The sources of a secret access key. It is never an argument, because other processes can read arguments.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Args;
use terminal::text::printable;
use zeroize::Zeroizing;

use super::file::{ConfigurationFile, Field, Value};
use crate::{
    failure::Failure,
    files::read_beginning,
    hidden_input,
    secret::{SECRET_ACCESS_KEY_VARIABLE as SECRET_VARIABLE, Secret},
};

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
    pub fn is_given(&self) -> bool {
        self.secret_file.is_some() || std::env::var_os(SECRET_VARIABLE).is_some_and(|text| !text.is_empty())
    }

    /// Adds the secret to `file` unless it has one.
    pub fn complete(&self, file: &mut ConfigurationFile, is_needed: bool) -> Result<(), Failure> {
        if self.secret_file.is_none() && file.text(Field::SecretAccessKey).is_some() {
            return Ok(());
        }
        let secret = match self.given()? {
            None if is_needed => Some(ask(file.text(Field::AccessKeyId).unwrap_or("the access key"))?),
            given => given,
        };
        if let Some(secret) = secret {
            file.set(Field::SecretAccessKey, Value::Text(secret));
        }
        Ok(())
    }

    /// Returns the secret of the file or of the environment.
    pub fn given(&self) -> Result<Option<Secret>, Failure> {
        if let Some(path) = &self.secret_file {
            return Ok(Some(Secret::trimmed(&read_beginning(path, MAX_FILE_LENGTH)?)));
        }
        let Some(text) = std::env::var_os(SECRET_VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
        let text = text.into_string().map_err(|_| Failure::argument(SECRET_VARIABLE, "is not valid UTF-8"))?;
        Ok(Some(Secret::trimmed(&Zeroizing::new(text))))
    }
}

/// Reads the secret from the terminal without showing it.
pub fn ask(access_key_id: &str) -> Result<Secret, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let reason = format!("is missing: give it in the JSON file, with --secret-file, or in {SECRET_VARIABLE}");
        return Err(Failure::argument("secretAccessKey", reason));
    }
    let question = format!("Secret access key of {} (not shown): ", printable(access_key_id));
    let text = hidden_input::ask(&question).map_err(Failure::StandardOutput)?;
    Ok(Secret::trimmed(&text))
}
