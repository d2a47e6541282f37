use clap::Args;
use domain::configuration::ConfigurationId;
use serde_json::json;

use super::{parse_id, render};
use crate::{
    api::Operation,
    failure::Failure,
    model::{Configuration, all_configuration_fields},
    service::{Service, ServiceArguments},
};

pub const OPERATION: Operation = Operation {
    what: "to enable the export configuration",
    field: "enableExportConfiguration",
    document: concat!(
        "mutation($id: ID!) { enableExportConfiguration(id: $id) { ",
        all_configuration_fields!(),
        " } }"
    ),
};

/// Export from now on, beginning where the last export ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config enable 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub struct EnableArguments {
    /// The configuration's id
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: ConfigurationId,

    #[command(flatten)]
    service: ServiceArguments,
}

pub fn run(arguments: &EnableArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.service)?;
    let answer = service.ask(&OPERATION, &json!({ "id": arguments.id.to_string() }))?;
    service.output.print(&answer, |style| {
        let configuration: Configuration = answer.parse()?;
        Ok(render::enabled(&configuration, style))
    })
}
