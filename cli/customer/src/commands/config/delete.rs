use std::io::{self, IsTerminal};

use clap::Args;
use domain::configuration::ConfigurationId;
use serde_json::json;

use super::{get, parse_id, render};
use crate::{
    api::Operation,
    failure::Failure,
    model::{Configuration, configuration_fields},
    service::{Service, ServiceArguments},
};

pub const OPERATION: Operation = Operation {
    what: "to delete the export configuration",
    field: "deleteExportConfiguration",
    document: concat!(
        "mutation($id: ID!) { deleteExportConfiguration(id: $id) { ",
        configuration_fields!(),
        " backlog { events oldest isComplete } } }"
    ),
};

/// Delete an export configuration for good
///
/// Says first how many events were not exported yet: this configuration never will. What is in the bucket stays there. The
/// id, which is the external ID in a role's trust policy, is never used again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config delete 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config delete 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --yes --output json

To export first what waits, run audit-export config run before. Without --yes and without a terminal to ask at, nothing is done and the exit code is 11.")]
pub struct DeleteArguments {
    /// The configuration's id
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: ConfigurationId,

    /// Don't ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    service: ServiceArguments,
}

pub fn run(arguments: &DeleteArguments) -> Result<(), Failure> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !arguments.yes && !can_ask {
        return Err(Failure::NotConfirmed(
            "deleting is final, and there is no terminal to ask at: give --yes to delete all the same".to_owned(),
        ));
    }
    let service = Service::connect(&arguments.service)?;
    let variables = json!({ "id": arguments.id.to_string() });
    let before: Configuration = service.ask(&get::OPERATION, &variables)?.parse()?;
    if !arguments.yes {
        confirm(&render::before_delete(&before, &service.output.style))?;
    }
    let answer = service.ask(&OPERATION, &variables)?;
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
        _ => Err(Failure::NotConfirmed("it was not confirmed".to_owned())),
    }
}
