use clap::Args;
use domain::configuration::ConfigurationId;
use serde_json::json;

use super::render_jobs;
use crate::{
    api::Operation,
    failure::Failure,
    model::Task,
    service::{Service, ServiceArguments},
};

pub const OPERATION: Operation = Operation {
    what: "to list the tasks of the export job",
    field: "getAllExportJobTasks",
    document: "query($id: ID!) { getAllExportJobTasks(exportJobId: $id) { \
               id startTimestamp endTimestamp attempts offset limit status failureReason objects events bytes objectKey } }",
};

/// List the files of an export job
///
/// A task writes one object into the bucket; at most 500 are listed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config tasks 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7
  audit-export config tasks 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7 --output json | jq -r '.[].objectKey'")]
pub struct TasksArguments {
    /// The job's id, as `config jobs` lists it
    #[arg(value_name = "JOB-ID", value_parser = parse_job_id)]
    id: String,

    #[command(flatten)]
    service: ServiceArguments,
}

pub(super) fn parse_job_id(text: &str) -> Result<String, &'static str> {
    let is_job = text.rsplit_once('.').is_some_and(|(configuration, sequence)| {
        ConfigurationId::parse(configuration).is_some()
            && !sequence.is_empty()
            && sequence.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_job {
        Ok(text.to_owned())
    } else {
        Err("a job's id is the configuration's, a full stop and a number; see: audit-export config jobs ID")
    }
}

pub fn run(arguments: &TasksArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.service)?;
    let answer = service.ask(&OPERATION, &json!({ "id": arguments.id }))?;
    service.output.print(&answer, |style| {
        let tasks: Vec<Task> = answer.parse()?;
        Ok(render_jobs::tasks(&tasks, style))
    })
}
