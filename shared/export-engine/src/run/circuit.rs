//! The circuit breaker of the Region that a run exports to.

use domain::{
    circuit::{Admission, Circuit, PROBE_TIME},
    configuration::{ExportConfiguration, region::Region},
    tenant::TenantId,
    time::Timestamp,
};
use host::Clock;

use crate::{
    ports::{PortError, RegionCircuits},
    shared_record::MAX_CHANGE_ATTEMPTS,
};

/// A Region's circuit, as one run uses it. A server other than AWS's has none: its outage is the customer's, and ends the run.
#[derive(Debug)]
pub(super) struct RegionCircuit<'a, R, K> {
    circuits: &'a R,
    clock: &'a K,
    region: Option<&'a Region>,
    tenant: &'a TenantId,
    /// True if the Region had a circuit when the run began: it did not answer other runs lately.
    is_suspected: bool,
}

impl<'a, R: RegionCircuits, K: Clock> RegionCircuit<'a, R, K> {
    pub(super) fn new(circuits: &'a R, clock: &'a K, configuration: &'a ExportConfiguration) -> Self {
        let (region, tenant) = (configuration.destination.site.aws_region(), &configuration.key.tenant_id);
        Self { circuits, clock, region, tenant, is_suspected: false }
    }

    /// Returns the time until which the run has to wait for the Region. `None`: it may continue.
    pub(super) async fn closed_until(&mut self) -> Result<Option<Timestamp>, PortError> {
        let Some(region) = self.region else { return Ok(None) };
        let Some(circuit) = self.circuits.circuit(region).await? else { return Ok(None) };
        self.is_suspected = true;
        let now = self.clock.now();
        match circuit.admission(now) {
            Admission::Admitted => Ok(None),
            Admission::Closed { until } => Ok(Some(until)),
            Admission::Probe(probed) => {
                let is_first = self.circuits.replace_circuit(region, Some(&circuit), Some(&probed)).await?;
                Ok((!is_first).then(|| now.saturating_add(PROBE_TIME)))
            }
        }
    }

    /// Records for other runs that the Region did not answer. A failure is only logged: they will notice themselves.
    pub(super) async fn record_unreachable(&self) {
        let Some(region) = self.region else { return };
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            match self.try_to_record_unreachable(region).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    return tracing::warn!(%error, %region, "the circuit was not changed");
                }
            }
        }
    }

    /// Records it once. Returns `false` if another run changed the circuit first.
    async fn try_to_record_unreachable(&self, region: &Region) -> Result<bool, PortError> {
        let current = self.circuits.circuit(region).await?;
        let Some(next) = Circuit::after_failure(current.as_ref(), self.tenant, self.clock.now()) else {
            return Ok(true);
        };
        self.circuits.replace_circuit(region, current.as_ref(), Some(&next)).await
    }

    /// Closes the circuit of a Region that answered. A failure is only logged: the next run that gets an answer closes it.
    pub(super) async fn record_reached(&mut self) {
        if std::mem::take(&mut self.is_suspected)
            && let Some(region) = self.region
            && let Err(error) = self.close(region).await
        {
            tracing::warn!(%error, %region, "the circuit was not closed");
        }
    }

    async fn close(&self, region: &Region) -> Result<(), PortError> {
        if let Some(circuit) = self.circuits.circuit(region).await? {
            self.circuits.replace_circuit(region, Some(&circuit), None).await?;
        }
        Ok(())
    }
}
