//! One invocation of the exporter without faults.

use std::time::Duration;

use domain::{
    export_run::{MIN_SETTLE, PlanLimits, RunRequest},
    gzip::EncoderVersion,
    replay::ReplayMessage,
};
use export_engine::{
    ReplayOutcome,
    ports::PortError,
    run::{EngineSettings, RunOutcome},
};

use crate::{
    ports::{OcsfFiles, Ports, Release},
    setup::{LONG_RETENTION, RUNS_PER_TENANT},
};

/// A release with sizes that make many objects of few bytes.
pub(crate) const RELEASE: Release = Release {
    ocsf_files: OcsfFiles::Lines,
    encoder_version: EncoderVersion::CURRENT,
    converts: true,
    limits: PlanLimits { target_stored_length: 4_096, target_raw_length: 65_536, part_size: 1_024, max_objects: 50 },
};

/// The time limit of an invocation.
const TIME_LIMIT: Duration = Duration::from_mins(12);

/// Runs the request as the invocation of this number.
pub(crate) async fn invoke(ports: &Ports, request: &RunRequest, number: u64) -> Result<RunOutcome, PortError> {
    invoke_with(ports, request, RUNS_PER_TENANT, &format!("invocation-{number}")).await
}

/// Runs the request with this number of shares for a tenant, and under the name of the invocation.
pub(crate) async fn invoke_with(
    ports: &Ports,
    request: &RunRequest,
    max_runs_per_tenant: u32,
    holder: &str,
) -> Result<RunOutcome, PortError> {
    let engine = ports.engine(settings(ports, max_runs_per_tenant), holder, holder, TIME_LIMIT);
    Box::pin(engine.run(request)).await
}

/// Continues a replay for one slice.
pub(crate) async fn invoke_replay(
    ports: &Ports,
    replay: &ReplayMessage,
    holder: &str,
) -> Result<ReplayOutcome, PortError> {
    let engine = ports.engine(settings(ports, RUNS_PER_TENANT), holder, holder, TIME_LIMIT);
    Box::pin(engine.replay(ports, replay)).await
}

fn settings(ports: &Ports, max_runs_per_tenant: u32) -> EngineSettings {
    EngineSettings {
        settle: MIN_SETTLE,
        retention: LONG_RETENTION,
        history: Duration::ZERO,
        retention_at: None,
        deploy_margin: Duration::ZERO,
        max_runs_per_tenant,
        grace: LONG_RETENTION,
        limits: ports.release.limits,
    }
}
