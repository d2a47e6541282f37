//! The circuit breaker of a Region: while it is open, exports to the Region wait, so that a Region that does not answer
//! occupies no runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{tenant::TenantId, time::Timestamp};

/// The number of tenants that have to find a Region unreachable before its circuit opens: one tenant alone may be the cause.
const TENANTS_TO_OPEN: usize = 2;

/// The time for which a tenant's failure counts.
const SUSPICION: Duration = Duration::from_mins(2);

/// The first pause of a circuit, doubled with each probe that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause between two probes.
const MAX_PAUSE: Duration = Duration::from_mins(10);

/// The time of a probe, after which another run may probe.
pub const PROBE_TIME: Duration = Duration::from_mins(1);

/// The time for which a circuit is kept. It names tenants, and a Region that keeps failing gets a new one.
const MEMORY: Duration = Duration::from_hours(1);

/// The circuit of a Region that did not answer recently. Nothing is stored for a Region that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Circuit {
    /// Raised with each change, so that only one of two concurrent changes takes effect.
    pub version: u64,
    #[serde(flatten)]
    state: CircuitState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase", tag = "state")]
enum CircuitState {
    /// Some tenants got no answer. Every run is still admitted.
    Suspected { failures: Vec<TenantFailure> },
    /// Runs wait.
    Open { until: Timestamp, openings: u32 },
    /// One run checks whether the Region answers again. The others wait.
    Probed { until: Timestamp, openings: u32 },
}

/// The last failure of a tenant's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TenantFailure {
    tenant_id: TenantId,
    at: Timestamp,
}

/// The admission of a run to a Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    /// The run is the probe if it is the first to store this circuit.
    Probe(Circuit),
    Closed {
        until: Timestamp,
    },
}

impl Circuit {
    #[must_use]
    pub fn admission(&self, now: Timestamp) -> Admission {
        match self.state {
            CircuitState::Suspected { .. } => Admission::Admitted,
            CircuitState::Open { until, .. } | CircuitState::Probed { until, .. } if now < until => {
                Admission::Closed { until }
            }
            CircuitState::Open { openings, .. } | CircuitState::Probed { openings, .. } => {
                let until = now.saturating_add(PROBE_TIME);
                Admission::Probe(self.followed_by(CircuitState::Probed { until, openings }))
            }
        }
    }

    /// Returns the circuit after a run of `tenant` got no answer. `None`: nothing changes, because the circuit was opened during
    /// that run.
    #[must_use]
    pub fn after_failure(current: Option<&Self>, tenant: &TenantId, now: Timestamp) -> Option<Self> {
        let failure = TenantFailure { tenant_id: tenant.clone(), at: now };
        let Some(current) = current else {
            return Some(Self { version: 1, state: CircuitState::Suspected { failures: vec![failure] } });
        };
        match &current.state {
            CircuitState::Suspected { failures } => {
                let others = failures
                    .iter()
                    .filter(|other| other.tenant_id != *tenant && now.saturating_since(other.at) < SUSPICION);
                let failures: Vec<_> = others.cloned().chain([failure]).collect();
                Some(current.followed_by(if failures.len() < TENANTS_TO_OPEN {
                    CircuitState::Suspected { failures }
                } else {
                    CircuitState::Open { until: now.saturating_add(FIRST_PAUSE), openings: 1 }
                }))
            }
            CircuitState::Open { until, .. } if now < *until => None,
            CircuitState::Open { openings, .. } | CircuitState::Probed { openings, .. } => {
                let openings = openings.saturating_add(1);
                let until = now.saturating_add(pause(openings));
                Some(current.followed_by(CircuitState::Open { until, openings }))
            }
        }
    }

    /// Returns the time at which the circuit expires: an hour after the last failure, or after the end of its pause.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        let last = match &self.state {
            CircuitState::Suspected { failures } => failures.iter().map(|failure| failure.at).max(),
            CircuitState::Open { until, .. } | CircuitState::Probed { until, .. } => Some(*until),
        };
        last.unwrap_or(Timestamp::EPOCH).saturating_add(MEMORY)
    }

    fn followed_by(&self, state: CircuitState) -> Self {
        Self { version: self.version + 1, state }
    }
}

/// Returns the pause before the next probe.
fn pause(openings: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(openings.saturating_sub(1))).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).unwrap().saturating_add(Duration::from_secs(seconds))
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn fail(circuit: Option<&Circuit>, name: &str, seconds: u64) -> Option<Circuit> {
        Circuit::after_failure(circuit, &tenant(name), at(seconds))
    }

    #[test]
    fn a_circuit_is_forgotten_an_hour_after_its_last_failure_or_pause() {
        let suspected = fail(None, "acme", 0).unwrap();
        assert_eq!(suspected.expires_at(), at(3_600));
        let again = fail(Some(&suspected), "acme", 7).unwrap();
        assert_eq!(again.expires_at(), at(3_607));
        let open = fail(Some(&again), "other", 8).unwrap();
        assert_eq!(open.expires_at(), at(3_638));
    }

    #[test]
    fn one_tenant_alone_closes_no_region_to_others() {
        let mut circuit = fail(None, "acme", 0);
        for seconds in 1..100 {
            circuit = fail(circuit.as_ref(), "acme", seconds);
        }
        assert_eq!(circuit.unwrap().admission(at(100)), Admission::Admitted);
    }

    #[test]
    fn two_tenants_within_the_time_open_it() {
        let first = fail(None, "acme", 0);
        let late = fail(first.as_ref(), "umbrella", 120).unwrap();
        assert_eq!(late.admission(at(120)), Admission::Admitted);
        let open = fail(first.as_ref(), "umbrella", 119).unwrap();
        assert_eq!(open.admission(at(120)), Admission::Closed { until: at(149) });
        // A run that was in progress changes nothing.
        assert_eq!(fail(Some(&open), "initech", 130), None);
    }

    #[test]
    fn one_run_at_a_time_probes_and_pauses_grow_to_their_bound() {
        let first = fail(None, "acme", 0);
        let mut circuit = fail(first.as_ref(), "umbrella", 0).unwrap();
        let mut now = 0;
        for expected in [30, 60, 120, 240, 480, 600, 600] {
            assert_eq!(circuit.admission(at(now)), Admission::Closed { until: at(now + expected) });
            now += expected;
            let Admission::Probe(probed) = circuit.admission(at(now)) else { unreachable!("it stays closed") };
            assert_eq!(probed.version, circuit.version + 1);
            assert_eq!(probed.admission(at(now)), Admission::Closed { until: at(now + 60) });
            assert!(matches!(probed.admission(at(now + 60)), Admission::Probe(_)), "a probe that died is replaced");
            circuit = fail(Some(&probed), "acme", now).unwrap();
        }
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let first = fail(None, "acme", 0).unwrap();
        let open = fail(Some(&first), "umbrella", 0).unwrap();
        let forms = [
            (
                first,
                r#"{"version":1,"state":"SUSPECTED","failures":[{"tenantId":"acme","at":"2027-01-15T08:00:00.000Z"}]}"#,
            ),
            (open, r#"{"version":2,"state":"OPEN","until":"2027-01-15T08:00:30.000Z","openings":1}"#),
        ];
        for (circuit, stored) in forms {
            assert_eq!(serde_json::to_string(&circuit).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Circuit>(stored).unwrap(), circuit);
        }
    }
}
