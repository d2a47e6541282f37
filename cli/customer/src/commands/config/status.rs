//! `config status`: how an export is doing.

use clap::Args;

use super::{render, target::Target};
use crate::{
    api::operations,
    failure::Failure,
    model::Configuration,
    output::{Style, Tone},
    service::Service,
};

/// Values of the health of an export that is as it should be.
const HEALTHY: [&str; 2] = ["OK", "NEVER_RUN"];

/// Show how an export is doing, and what to do
///
/// The health is one of: `OK`; `NEVER_RUN` (the first export has not ended yet); `DELAYED` (an export is more than an hour
/// late, or events have used 25 % of their retention); `FAILING` (the connection or the last export failed); `DISABLED`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config status 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config status 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --output json | jq .status.health
  audit-export config status 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --exit-code || alert   # for cron

The exit code is 0 if the status could be read; with --exit-code, it is 14 if the health is not OK or NEVER_RUN.")]
pub struct StatusArguments {
    /// Exit with 14 if the export is delayed, failing or disabled
    #[arg(long)]
    exit_code: bool,

    #[command(flatten)]
    target: Target,
}

pub async fn run(arguments: &StatusArguments) -> Result<(), Failure> {
    let target = &arguments.target;
    let service = Service::connect(&target.service).await?;
    let answer = service.ask(&operations::STATUS, &target.variables()).await?;
    let configuration: Configuration = answer.parse()?;
    service.output.print(&answer, |style| Ok(record(&configuration, style)))?;
    if arguments.exit_code { check(&configuration) } else { Ok(()) }
}

fn check(configuration: &Configuration) -> Result<(), Failure> {
    let health = &configuration.status.health;
    if HEALTHY.contains(&&**health) { Ok(()) } else { Err(Failure::Unhealthy(health.to_string())) }
}

fn record(configuration: &Configuration, style: &Style) -> String {
    let status = &configuration.status;
    let time = |time: &Option<_>, otherwise: &str| {
        Some(time.as_deref().map_or_else(|| otherwise.to_owned(), |time| style.time(time)))
    };
    let fields = style.fields(&[
        ("id", Some(configuration.id.to_string())),
        ("destination", Some(render::location(configuration))),
        ("health", Some(style.paint(render::health_tone(&status.health), &status.health))),
        ("lag", Some(render::lag(status, "none"))),
        ("last success", time(&configuration.last_export, "never")),
        ("exported through", time(&configuration.exported_through, "-")),
        ("failed since then", Some(configuration.consecutive_failures.to_string())),
        ("next export", time(&configuration.next_export_at, "-")),
        ("retention used", Some(format!("{} %", status.retention_used_percent))),
    ]);
    format!("{fields}\n\n{}", style.wrapped(&style.paint(Tone::Strong, &style.times_in(&status.advice)), 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        model::tests::{configuration, configuration_json},
        output::tests::style,
    };

    fn with_health(health: &str) -> Configuration {
        let mut status = configuration_json()["status"].clone();
        status["health"] = json!(health);
        configuration(&json!({ "status": status }))
    }

    #[test]
    fn a_status_is_a_record_with_its_advice() {
        insta::assert_snapshot!("status_ok", record(&with_health("OK"), &style()));
        let failing = configuration(&json!({
            "lastExport": null, "exportedThrough": null, "consecutiveFailures": 3,
            "status": { "health": "FAILING", "lagSeconds": 97_260, "retentionUsedPercent": 2,
                "advice": "Allow s3:PutObject. Then test the connection." },
        }));
        insta::assert_snapshot!("status_failing", record(&failing, &style()));
    }

    #[test]
    fn an_export_that_needs_attention_or_has_an_unknown_health_fails_the_check() {
        for health in HEALTHY {
            check(&with_health(health)).unwrap();
        }
        for health in ["DELAYED", "FAILING", "DISABLED", "SOMETHING_NEW"] {
            let failure = check(&with_health(health)).unwrap_err();
            assert_eq!(failure.exit_code(), 14, "{health}");
            assert!(failure.to_string().contains(health), "{failure}");
        }
    }
}
