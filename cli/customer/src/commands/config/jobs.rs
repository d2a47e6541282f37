use clap::Args;
use domain::configuration::ConfigurationId;
use serde_json::json;

use super::{parse_id, render_jobs};
use crate::{
    api::Operation,
    failure::Failure,
    model::Job,
    service::{Service, ServiceArguments},
};

pub const OPERATION: Operation = Operation {
    what: "to list the export jobs",
    field: "getAllExportJobs",
    document: "query($id: ID!) { getAllExportJobs(exportConfigurationId: $id) { \
               id exportConfigurationId startTimestamp endTimestamp startedAt endedAt attempts status failureReason \
               objects events bytes gap { startTimestamp endTimestamp reason blockId } \
               gaps { startTimestamp endTimestamp reason blockId } } }",
};

/// List what was exported when, the newest first
///
/// A job exports what was received within one window of time. At most the 100 newest are listed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --output json | jq 'map(.events) | add'")]
pub struct JobsArguments {
    /// The configuration's id
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: ConfigurationId,

    #[command(flatten)]
    service: ServiceArguments,
}

pub fn run(arguments: &JobsArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.service)?;
    let answer = service.ask(&OPERATION, &json!({ "id": arguments.id.to_string() }))?;
    service.output.print(&answer, |style| {
        let jobs: Vec<Job> = answer.parse()?;
        Ok(render_jobs::jobs(&jobs, style))
    })
}
