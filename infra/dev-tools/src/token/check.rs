use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use authentication::{Authenticator, Issuers, MAX_TOKEN_LENGTH_BYTES, Permission};
use clap::{Args, ValueEnum};
use function_runtime::environment::Environment;
use serde_json::json;
use tokio::runtime;

use crate::failure::Failure;

/// Check a token as a stack with these parameters would, and print its tenant, subject and permissions
///
/// The parameters are environment variables with the names that the functions have: `TOKEN_ISSUER` for `TokenIssuer`,
/// `TOKEN_AUDIENCE` for `TokenAudience`, and so on; `DEPLOYMENT_MODE` is production or development. The keys are fetched
/// from the issuer. See docs/IDENTITY.md.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  export DEPLOYMENT_MODE=production TOKEN_ISSUER=https://login.example.com TOKEN_AUDIENCE=audit-export
  dev-tools token check token")]
pub struct CheckArguments {
    /// The file with the token; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The permission that the token has to grant
    #[arg(long, default_value = "AUDIT", value_name = "PERMISSION")]
    permission: RequiredPermission,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
enum RequiredPermission {
    Audit,
    AuditWrite,
}

impl From<RequiredPermission> for Permission {
    fn from(required: RequiredPermission) -> Self {
        match required {
            RequiredPermission::Audit => Self::Audit,
            RequiredPermission::AuditWrite => Self::AuditWrite,
        }
    }
}

pub fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    let mut environment = Environment::from_process();
    let issuers = environment.deployment_mode().and_then(|mode| Issuers::from_environment(&mut environment, mode));
    let authenticator = Authenticator::new(environment.finish(issuers)?);

    let header = format!("Bearer {}", read_token(arguments)?.trim());
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let caller = runtime.block_on(authenticator.authenticate(Some(&header), arguments.permission.into()))?;
    let permissions: Vec<&str> = caller.permissions.iter().map(|permission| permission.as_str()).collect();
    let line = json!({"tenant": caller.tenant, "subject": caller.subject, "permissions": permissions});
    Ok(terminal::print_line(&line.to_string())?)
}

/// Reads at most a little more than the longest token.
fn read_token(arguments: &CheckArguments) -> Result<String, Failure> {
    let mut source: Box<dyn Read> = if arguments.file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(&arguments.file).map_err(Failure::file(&arguments.file))?)
    };
    let mut token = String::new();
    let limit = MAX_TOKEN_LENGTH_BYTES as u64 * 2;
    source.by_ref().take(limit).read_to_string(&mut token).map_err(Failure::file(&arguments.file))?;
    Ok(token)
}
