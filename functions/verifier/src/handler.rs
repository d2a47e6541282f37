//! One test per invocation, within its time.

use std::time::Duration;

use domain::{configuration::ConfigurationKey, connection::Connection, verification::VerifierResponse};
use export::{
    connection_test::ConnectionTest,
    ports::{Clock, ConfigurationStore, Connector},
};
use lambda_runtime::Error;

/// The time for the test itself. The function has 22 s, the API that waits for it 27 s, and API Gateway 29 s: each layer
/// can still answer when the one below it ran out of time.
const WORK_BUDGET: Duration = Duration::from_secs(18);

/// The verifier with everything it works on.
#[derive(Debug)]
pub(crate) struct Verifier<S, N, K> {
    pub(crate) configurations: S,
    pub(crate) connector: N,
    pub(crate) clock: K,
}

impl<S: ConfigurationStore, N: Connector, K: Clock> Verifier<S, N, K> {
    /// `None`: there is no such configuration. An error says nothing of the customer's side.
    pub(crate) async fn handle(&self, key: ConfigurationKey) -> Result<Option<VerifierResponse>, Error> {
        let (tenant, configuration) = (&key.tenant_id, &key.configuration_id);
        let test =
            ConnectionTest { configurations: &self.configurations, connector: &self.connector, clock: &self.clock };
        let outcome = tokio::time::timeout(WORK_BUDGET, test.run(&key)).await;
        let connection = match outcome {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                tracing::error!(%tenant, %configuration, %error, "the connection could not be tested");
                return Err("the connection could not be tested".into());
            }
            Err(_) => {
                tracing::error!(%tenant, %configuration, "the test took too long");
                return Err("the test took too long".into());
            }
        };
        tracing::info!(%tenant, %configuration, status = connection.as_ref().map(|connection| connection.status().name()),
            code = connection.as_ref().and_then(Connection::error).map(|error| error.code.name()), "the connection was tested");
        Ok(connection.and_then(VerifierResponse::of))
    }
}
