//! What the exporter is told by its environment.

use std::time::Duration;

use domain::{
    block::EXPIRY_GRACE,
    export_run::{MIN_SETTLE, PlanLimits},
    interval::ExportInterval,
};
use export::run::EngineSettings;
use runtime::environment::{DeploymentMode, Environment};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) events_table: String,
    pub(crate) configurations_table: String,
    pub(crate) runs_table: String,
    pub(crate) run_queue_url: String,
    pub(crate) secret_key_arn: String,
    pub(crate) signing_key_arn: String,
    pub(crate) mode: DeploymentMode,
    pub(crate) engine: EngineSettings,
    /// In development: the length of every slot, whatever the interval.
    pub(crate) slot_length: Option<Duration>,
}

const SECONDS_PER_DAY: u64 = 24 * 3_600;

/// By how much sooner than it is deleted a block counts as gone: no run reads for so long.
const GRACE_MARGIN: Duration = Duration::from_hours(24);

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let events_table = environment.text("EVENTS_TABLE");
        let configurations_table = environment.text("CONFIGURATIONS_TABLE");
        let runs_table = environment.text("RUNS_TABLE");
        let run_queue_url = environment.text("RUN_QUEUE_URL");
        let secret_key_arn = environment.text("SECRET_KEY_ARN");
        let signing_key_arn = environment.text("SIGNING_KEY_ARN");
        let settle = environment.integer("SETTLE_SECONDS", 1..=7_200_u64);
        let retention = environment.integer("RETENTION_DAYS", 1..=3_650_u64);
        let slot_seconds = environment.integer_or("DEVELOPMENT_SLOT_SECONDS", 0..=SECONDS_PER_DAY, 0);
        if mode == Some(DeploymentMode::Production) && slot_seconds.is_some_and(|seconds| seconds > 0) {
            environment.note("DEVELOPMENT_SLOT_SECONDS", "is for development only");
        }
        let settles_too_soon = settle.is_some_and(|seconds| Duration::from_secs(seconds) < MIN_SETTLE);
        if mode == Some(DeploymentMode::Production) && settles_too_soon {
            environment
                .note("SETTLE_SECONDS", format!("must be at least {} outside of development", MIN_SETTLE.as_secs()));
        }
        Some(Self {
            events_table: events_table?,
            configurations_table: configurations_table?,
            runs_table: runs_table?,
            run_queue_url: run_queue_url?,
            secret_key_arn: secret_key_arn?,
            signing_key_arn: signing_key_arn?,
            mode: mode?,
            engine: EngineSettings {
                settle: Duration::from_secs(settle?),
                retention: Duration::from_secs(retention? * SECONDS_PER_DAY),
                grace: EXPIRY_GRACE.saturating_sub(GRACE_MARGIN),
                limits: PlanLimits::CURRENT,
            },
            slot_length: slot_seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        })
    }

    pub(crate) fn slot_length(&self, interval: ExportInterval) -> Duration {
        self.slot_length.unwrap_or_else(|| interval.duration())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn environment(mode: &str, slot_seconds: &str) -> Environment {
        Environment::from_map([
            ("DEPLOYMENT_MODE", mode),
            ("EVENTS_TABLE", "events"),
            ("CONFIGURATIONS_TABLE", "configurations"),
            ("RUNS_TABLE", "runs"),
            ("RUN_QUEUE_URL", "http://127.0.0.1/queue"),
            ("SECRET_KEY_ARN", "arn"),
            ("SIGNING_KEY_ARN", "arn"),
            ("SETTLE_SECONDS", "1200"),
            ("RETENTION_DAYS", "90"),
            ("DEVELOPMENT_SLOT_SECONDS", slot_seconds),
        ])
    }

    #[test]
    fn short_slots_are_for_development_only() {
        let mut production = environment("production", "60");
        let settings = Settings::read(&mut production);
        assert!(production.finish(settings).is_err());
        let mut development = environment("development", "60");
        let settings = Settings::read(&mut development).unwrap();
        assert_eq!(settings.slot_length(ExportInterval::Every24Hours), Duration::from_mins(1));
        let settings = Settings::read(&mut environment("production", "0")).unwrap();
        assert_eq!(settings.slot_length(ExportInterval::Every24Hours), Duration::from_hours(24));
    }
}
