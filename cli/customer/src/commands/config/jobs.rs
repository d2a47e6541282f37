//! `config jobs`: the export jobs of a configuration.

use clap::Args;

use super::{render_jobs, target::Target};
use crate::{
    api::{Answer, operations},
    failure::Failure,
    model::Job,
    service::Service,
};

/// The most jobs that the service lists.
const MAX_JOBS: i64 = 100;

/// List the export jobs, the newest first
///
/// A job exports the events received within one window of time. Wide terminals show more columns, and `--output json` all
/// fields.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --limit 5
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --output json |
    jq 'map(.events) | add'")]
pub struct JobsArguments {
    /// The number of jobs to list, at most 100
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS))]
    limit: u16,

    #[command(flatten)]
    target: Target,
}

pub async fn run(arguments: &JobsArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.target.service).await?;
    let mut jobs = service.ask(&operations::JOBS, &arguments.target.variables()).await?.elements()?;
    jobs.truncate(arguments.limit.into());
    let jobs = Answer::list(&jobs)?;
    let render = |jobs: &Vec<Job>, style: &_| render_jobs::jobs(jobs, style);
    service.output.print(&jobs, |style| Ok(render(&jobs.parse()?, style)))
}
