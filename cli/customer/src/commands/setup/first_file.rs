//! The end of a setup with AWS credentials: exports now, shows the first file, and verifies it.

use std::time::Duration;

use host::Clock;
use verification::{Report, VerificationOutcome};

use crate::{
    access::{Access, AccessArguments},
    commands::{
        config::run::{FirstExport, first_export},
        verify::verify_in_bucket,
    },
    failure::Failure,
    model::Configuration,
    output::{Style, Tone},
    service::Service,
};

/// The longest time of the first export. One of 90 days of events can take longer, and goes on.
const EXPORT_TIMEOUT: Duration = Duration::from_mins(10);

/// Exports now; returns what was exported.
pub async fn export(service: &Service, configuration: &Configuration) -> Result<FirstExport, Failure> {
    first_export(service, configuration.parsed_id()?, EXPORT_TIMEOUT).await
}

/// Verifies the export, and describes the result. An export that can't be read from here is no failure of the setup.
pub async fn verify(
    configuration: &Configuration,
    access: &Access,
    arguments: &AccessArguments,
    clock: &dyn Clock,
    style: &Style,
) -> Result<String, Failure> {
    let endpoint = &configuration.endpoint_configuration;
    let place = endpoint.place(configuration.parsed_id()?)?;
    match verify_in_bucket(place, endpoint.region.to_string(), access, clock).await {
        Ok(report) => match report.breaks.first() {
            Some(broken) if report.outcome == VerificationOutcome::Broken => {
                terminal::warn(report.to_string().trim_end());
                Err(Failure::Broken(broken.code.as_str()))
            }
            _ => Ok(verified(&report, style)),
        },
        Err(failure) => Ok(format!(
            "{} Not verified from here: {failure}\n  To verify: audit-export verify {}{}",
            style.paint(Tone::Warning, "–"),
            configuration.id,
            arguments.options(),
        )),
    }
}

fn verified(report: &Report, style: &Style) -> String {
    let count = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let through = report.complete_through.map(|through| style.time(&through.to_string())).unwrap_or_default();
    format!(
        "{} Verified: every event received before {through}\n  is in the bucket, unchanged ({}, {}, {})",
        style.paint(Tone::Good, "✓"),
        count(report.objects.events, "event"),
        count(report.objects.count, "file"),
        count(report.digests.count, "signed digest"),
    )
}
