use std::io::{self, IsTerminal};

use clap::Args;

use super::{render, target::Target};
use crate::{api::operations, failure::Failure, model::Configuration, service::Service};

/// Delete an export configuration permanently
///
/// Shows first how many events are not exported yet: this configuration will never export them. Files in the bucket stay
/// there. The ID, which is the external ID in a role's trust policy, is never reused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config delete 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config delete 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --yes \\
    --output json

To export the remaining events first, use audit-export config run. Without --yes and without a terminal, nothing is done and the exit code is 11.")]
pub struct DeleteArguments {
    /// Don't ask for confirmation
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    target: Target,
}

pub async fn run(arguments: &DeleteArguments) -> Result<(), Failure> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !arguments.yes && !can_ask {
        return Err(Failure::NotConfirmed(
            "deleting is permanent, and there is no terminal for the confirmation; to delete without it, give --yes"
                .to_owned(),
        ));
    }
    let service = Service::connect(&arguments.target.service).await?;
    let variables = arguments.target.variables();
    let before: Configuration = service.ask(&operations::GET, &variables).await?.parse()?;
    if !arguments.yes {
        confirm(&render::before_delete(&before, &service.output.style))?;
    }
    let answer = service.ask(&operations::DELETE, &variables).await?;
    service.output.print(&answer, |style| Ok(render::deleted(&before, style)))
}

fn confirm(question: &str) -> Result<(), Failure> {
    let terminal = console::Term::stderr();
    let answer = terminal
        .write_str(&format!("{question}\nDelete it? [y/N] "))
        .and_then(|()| terminal.read_line())
        .map_err(Failure::StandardOutput)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::NotConfirmed("the deletion was not confirmed".to_owned())),
    }
}
