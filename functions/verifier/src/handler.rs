//! The handler of an invocation: one connection test within a time limit.

mod progress;
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::{
    allowance::TEST_OCCUPANCY,
    connection::Connection,
    connection_test::{ConnectionTestOutcome, ConnectionTestRequest},
};
use export_engine::{
    connection_test::{ConnectionTest, TestWatch, TestedConnection},
    ports::{ConfigurationStore, Connector, PortError, TestProgressStore},
};
use host::{Clock, Timer};
use lambda_runtime::Error;

use self::progress::Watch;

/// The time to read the configuration, test the connection and store the outcome. The last progress may take a second more.
/// The function's timeout is 22 s, that of the API, which waits for it, 27 s, and that of API Gateway 29 s: each layer can
/// still respond when the one below it times out.
const WORK_BUDGET: Duration = Duration::from_secs(18);
const _: () = assert!(WORK_BUDGET.as_secs() <= TEST_OCCUPANCY.as_secs(), "a tenant could occupy more verifiers");

/// The time for the test itself, so that its outcome can be stored within [`WORK_BUDGET`].
const TEST_BUDGET: Duration = Duration::from_secs(15);

/// The verifier with all services that it uses.
#[derive(Debug)]
pub(crate) struct Verifier<S, N, K> {
    pub(crate) configurations: S,
    pub(crate) connector: N,
    pub(crate) clock: K,
}

impl<S: ConfigurationStore + TestProgressStore, N: Connector, K: Clock + Timer> Verifier<S, N, K> {
    /// Tests a connection, and publishes its progress meanwhile. Returns `None` if the configuration does not exist. An
    /// error is never about the customer's side.
    pub(crate) async fn handle(&self, request: ConnectionTestRequest) -> Result<Option<ConnectionTestOutcome>, Error> {
        let (key, is_candidate) = match &request {
            ConnectionTestRequest::Stored(key) => (key.clone(), false),
            ConnectionTestRequest::Candidate { candidate } => (candidate.key.clone(), true),
        };
        let (tenant, configuration) = (&key.tenant_id, &key.configuration_id);
        let (watch, states) = Watch::new(&self.clock);
        // Boxed: the types of the futures in it are deep.
        let test = Box::pin(async move {
            let tested = tokio::time::timeout(WORK_BUDGET, self.test(request, &watch)).await;
            watch.ended();
            tested
        });
        // At the same time, so that no step of the test waits.
        let (tested, ()) = tokio::join!(test, states.store(&self.configurations, &key));
        let response = match tested {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::error!(%tenant, %configuration, is_candidate, %error, "the connection could not be tested");
                return Err("the connection could not be tested".into());
            }
            Err(_) => {
                tracing::error!(%tenant, %configuration, is_candidate, "the test took too long");
                return Err("the test took too long".into());
            }
        };
        let connection = response.clone().map(Connection::from);
        tracing::info!(%tenant, %configuration, is_candidate,
            status = connection.as_ref().map(|connection| connection.status().name()),
            code = connection.as_ref().and_then(Connection::error).map(|error| error.code.name()),
            "the connection was tested");
        Ok(response)
    }

    async fn test(
        &self,
        request: ConnectionTestRequest,
        watch: &impl TestWatch,
    ) -> Result<Option<ConnectionTestOutcome>, PortError> {
        let test =
            ConnectionTest { configurations: &self.configurations, connector: &self.connector, clock: &self.clock };
        match request {
            ConnectionTestRequest::Stored(key) => Ok(test
                .run(&key, TEST_BUDGET, watch)
                .await?
                .and_then(|connection| ConnectionTestOutcome::of(connection, None))),
            ConnectionTestRequest::Candidate { candidate } => {
                let stored = self.configurations.load(&candidate.key).await?;
                let Some(would_be) = stored.and_then(|stored| candidate.applied_to(stored)) else { return Ok(None) };
                let TestedConnection { connection, user_arn } = test.try_out(&would_be, TEST_BUDGET, watch).await?;
                Ok(ConnectionTestOutcome::of(connection, user_arn))
            }
        }
    }
}
