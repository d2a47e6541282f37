//! Commands that send one operation and print its answer.

use clap::Args;
use serde_json::json;

use super::{
    render, render_jobs,
    target::{JobTarget, Target},
};
use crate::{
    api::operations,
    failure::Failure,
    model::{Configuration, Job, Task},
    service::{Service, ServiceArguments},
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

pub fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.service)?;
    service.show(&operations::LIST, &json!({}), |configurations: &Vec<Configuration>, style| {
        render::list(configurations, style)
    })
}

/// Show an export configuration and the next steps
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config get 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config get 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --output json | jq .connectionStatus")]
pub struct GetArguments {
    #[command(flatten)]
    target: Target,
}

pub fn get(arguments: &GetArguments) -> Result<(), Failure> {
    arguments.target.show(&operations::GET, render::configuration)
}

/// Enable an export: it continues where the last export ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config enable 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub struct EnableArguments {
    #[command(flatten)]
    target: Target,
}

pub fn enable(arguments: &EnableArguments) -> Result<(), Failure> {
    arguments.target.show(&operations::ENABLE, render::enabled)
}

/// Disable an export; events are kept until their retention ends
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config disable 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub struct DisableArguments {
    #[command(flatten)]
    target: Target,
}

pub fn disable(arguments: &DisableArguments) -> Result<(), Failure> {
    arguments.target.show(&operations::DISABLE, render::disabled)
}

/// List the export jobs, the newest first
///
/// A job exports the events received within one window of time. At most the 100 newest jobs are listed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --output json | jq 'map(.events) | add'")]
pub struct JobsArguments {
    #[command(flatten)]
    target: Target,
}

pub fn jobs(arguments: &JobsArguments) -> Result<(), Failure> {
    arguments.target.show(&operations::JOBS, |jobs: &Vec<Job>, style| render_jobs::jobs(jobs, style))
}

/// List the files of an export job
///
/// A task writes one file to the bucket. A job has at most 400, and those that are not finished.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config tasks 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7
  audit-export config tasks 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7 --output json | jq -r '.[].objectKey'")]
pub struct TasksArguments {
    #[command(flatten)]
    target: JobTarget,
}

pub fn tasks(arguments: &TasksArguments) -> Result<(), Failure> {
    let JobTarget { id, service } = &arguments.target;
    Service::connect(service)?
        .show(&operations::TASKS, &json!({ "id": id }), |tasks: &Vec<Task>, style| render_jobs::tasks(tasks, style))
}
