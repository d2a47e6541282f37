//! The command `token check`: whether a stack with given parameters would take a token.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use authentication::{Authenticator, Issuers, MAX_TOKEN_LENGTH_BYTES, Permission};
use clap::{Args, Subcommand, ValueEnum};
use function_runtime::environment::Environment;
use serde_json::json;
use tracing::Level;

use crate::failure::Failure;

/// Check the parameters of tokens, and tokens of an identity provider
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    Check(CheckArguments),
}

/// Check a token as a stack with these parameters would, and print its tenant, issuer, subject and permissions
///
/// The reason of a refusal is printed to standard error, as the functions log it. Without a token, only the parameters are
/// checked, and the issuers printed.
///
/// The parameters are environment variables with the names that the functions have: `TOKEN_ISSUER` for `TokenIssuer`,
/// `TOKEN_AUDIENCE` for `TokenAudience`, and so on; `DEPLOYMENT_MODE` is production or development. The keys are fetched
/// from the issuer. AWS is not called. See docs/IDENTITY.md.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  export DEPLOYMENT_MODE=production TOKEN_ISSUER=https://login.example.com \\
    TOKEN_AUDIENCE=audit-export
  audit-export-operator token check
  audit-export-operator token check token-file --permission AUDIT_WRITE")]
pub struct CheckArguments {
    /// The file with the token; `-` for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

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

pub async fn run(command: &TokenCommand) -> Result<(), Failure> {
    let TokenCommand::Check(arguments) = command;
    let mut environment = Environment::from_process();
    let issuers = environment.deployment_mode().and_then(|mode| Issuers::from_environment(&mut environment, mode));
    Issuers::check_length(&mut environment);
    let issuers = environment.finish(issuers)?;
    let Some(file) = &arguments.file else {
        let names: Vec<String> = issuers.into_iter().map(|issuer| issuer.issuer).collect();
        return Ok(terminal::print_line(&json!({"issuers": names}).to_string())?);
    };

    let reasons = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(Level::INFO).with_ansi(false);
    let _guard = tracing::subscriber::set_default(reasons.without_time().with_target(false).finish());
    let header = format!("Bearer {}", read_token(file)?.trim());
    let caller = Authenticator::new(issuers).authenticate(Some(&header), arguments.permission.into()).await?;
    let permissions: Vec<&str> = caller.permissions.iter().map(|permission| permission.as_str()).collect();
    let line = json!({"tenant": caller.tenant, "issuer": caller.issuer, "subject": caller.subject, "permissions": permissions});
    Ok(terminal::print_line(&line.to_string())?)
}

/// Reads at most a little more than the longest token.
fn read_token(file: &Path) -> Result<String, Failure> {
    let mut source: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(Failure::file(file))?)
    };
    let mut token = String::new();
    let limit = MAX_TOKEN_LENGTH_BYTES as u64 * 2;
    source.by_ref().take(limit).read_to_string(&mut token).map_err(Failure::file(file))?;
    Ok(token)
}
