//! Connection tests that are running.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use domain::{
    configuration::ExportConfiguration,
    connection_test::{check::CheckOutcome, progress::ConnectionTestProgress},
};

use super::{context, guidance::ConnectionCheck, scalars::DateTime};

#[derive(Default)]
pub struct ConnectionTestQuery;

#[Object]
impl ConnectionTestQuery {
    /// How far the connection test of an export is, to be asked for about twice a second while `testExportConfiguration` or an
    /// update has not responded. `NOT_FOUND`: there is no configuration with this ID.
    async fn get_export_connection_test(
        &self,
        context: &Context<'_>,
        export_configuration_id: ID,
    ) -> Result<Option<ExportConnectionTest>> {
        let (service, caller) = context::of(context)?;
        let (configuration, running) = service.running_test(caller, &export_configuration_id).await?;
        Ok(Some(ExportConnectionTest::of(&configuration, running)))
    }
}

/// The connection test that is running, or the result of the last one.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportConnectionTest {
    /// True while a test runs, also of a change before it is stored. The service does its best to report it: a test may run
    /// without being seen here.
    is_running: bool,
    /// The start of the running test. Null: none is running.
    started_at: Option<DateTime>,
    /// The checks, in order. While a test runs: `PASSED` if a check has ended, and `NOT_CHECKED` if not. A failed check ends the
    /// test. If none is running: the result of each check in the last test or export, as in `connectionChecks`.
    checks: Vec<ConnectionCheck>,
}

impl ExportConnectionTest {
    fn of(configuration: &ExportConfiguration, running: Option<ConnectionTestProgress>) -> Self {
        let Some(progress) = running else {
            return Self { is_running: false, started_at: None, checks: ConnectionCheck::all_of(configuration) };
        };
        let check = |(name, has_passed)| {
            let outcome = if has_passed { CheckOutcome::Passed } else { CheckOutcome::NotChecked };
            ConnectionCheck::of(name, progress.site(), outcome)
        };
        Self {
            is_running: true,
            started_at: Some(DateTime(progress.started_at())),
            checks: progress.checks().map(check).collect(),
        }
    }
}
