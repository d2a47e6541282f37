use clap::Args;
use serde_json::json;

use super::render;
use crate::{
    api::Operation,
    failure::Failure,
    model::{Configuration, configuration_fields},
    service::{Service, ServiceArguments},
};

pub const OPERATION: Operation = Operation {
    what: "to list the export configurations",
    field: "getAllExportConfigurations",
    document: concat!("query { getAllExportConfigurations { ", configuration_fields!(), " } }"),
};

/// List the export configurations
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config list
  audit-export config list --profile production --output json | jq -r '.[].id'")]
pub struct ListArguments {
    #[command(flatten)]
    service: ServiceArguments,
}

pub fn run(arguments: &ListArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.service)?;
    let answer = service.ask(&OPERATION, &json!({}))?;
    service.output.print(&answer, |style| {
        let configurations: Vec<Configuration> = answer.parse()?;
        Ok(render::list(&configurations, style))
    })
}
