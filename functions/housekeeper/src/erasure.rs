//! The erasure of a tenant by an operator: docs/OPERATIONS.md, "Erase a tenant".

use std::time::Duration;

use aws_adapters::{
    configurations::{TenantItem, TenantItems},
    runs::{NotesOutcome, RunItemKey, SignedStatement, StoredErasure, TenantRunPage},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use domain::{
    configuration::ConfigurationKey,
    erasure::{ErasedConfiguration, Erasure, ErasureCounts, ErasurePosition},
    operator_reason::OperatorReason,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::{
    erasure::{ErasureSettings, ErasureStop, EventErasure},
    ports::{DigestSigner, PortError},
};
use function_runtime::deadline_before;
use host::Clock;
use lambda_runtime::{Context, Error};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::housekeeper::Housekeeper;

/// The time of an invocation that is reserved for storing the progress and returning. It is longer than the time after
/// the threshold of `HousekeeperFunctionDurationAlarm`, so that an erasure that needs several invocations raises no
/// alarm.
const DEADLINE_MARGIN: Duration = Duration::from_mins(2);

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ErasureRequest {
    tenant_id: TenantId,
    reason: OperatorReason,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureReport {
    tenant_id: TenantId,
    /// The counts of all invocations.
    counts: ErasureCounts,
    #[serde(flatten)]
    outcome: ErasureOutcome,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum ErasureOutcome {
    /// The time of the invocation is over. The function has to be invoked again, and continues at the position.
    Unfinished { position: ErasurePosition },
    /// All data of the tenant is erased. Both fields are in base64.
    Complete { statement: String, signature: String },
}

impl From<&SignedStatement> for ErasureOutcome {
    fn from(signed: &SignedStatement) -> Self {
        Self::Complete {
            statement: BASE64_STANDARD.encode(&signed.bytes),
            signature: BASE64_STANDARD.encode(&signed.signature),
        }
    }
}

/// The work of one invocation on an erasure.
struct Work<'a> {
    housekeeper: &'a Housekeeper,
    tenant: &'a TenantId,
    stored: StoredErasure,
    deadline: Timestamp,
}

impl Housekeeper {
    /// Starts or continues the erasure of a tenant. If the tenant is erased already, returns the statement again.
    pub(crate) async fn erase_tenant(
        &self,
        request: &ErasureRequest,
        invocation: &Context,
    ) -> Result<ErasureReport, Error> {
        let ErasureRequest { tenant_id: tenant, reason } = request;
        tracing::warn!(%tenant, reason = reason.as_str(), "an operator erases a tenant");
        match self.erase(request, deadline(invocation)).await {
            Ok(report) => {
                let ErasureCounts {
                    configurations,
                    configuration_records,
                    run_records,
                    blocks,
                    event_records,
                    segments,
                } = report.counts;
                let is_complete = matches!(report.outcome, ErasureOutcome::Complete { .. });
                tracing::warn!(%tenant, is_complete, configurations, configuration_records, run_records, blocks,
                    event_records, segments, "data of a tenant was erased");
                Ok(report)
            }
            Err(error) => {
                tracing::error!(%tenant, %error, "the erasure of a tenant failed");
                Err("the erasure failed and its progress is stored; invoke the function again with the same payload"
                    .into())
            }
        }
    }

    async fn erase(&self, request: &ErasureRequest, deadline: Timestamp) -> Result<ErasureReport, PortError> {
        let ErasureRequest { tenant_id: tenant, reason } = request;
        let stored = self.runs.load_erasure(tenant).await?.unwrap_or_else(|| StoredErasure {
            erasure: Erasure::new(tenant.clone(), reason.clone(), self.clock.now()),
            statement: None,
            revision: 0,
        });
        let before = stored.erasure.counts;
        let mut work = Work { housekeeper: self, tenant, stored, deadline };
        let result = work.run().await;
        // An earlier statement is no longer current.
        if work.stored.erasure.counts != before {
            work.stored.statement = None;
        }
        match result {
            Ok(()) => {}
            Err(ErasureStop::OutOfTime) => {
                work.save().await?;
                let position = work.stored.erasure.position.clone();
                return Ok(work.report(ErasureOutcome::Unfinished { position }));
            }
            Err(ErasureStop::Failed(error)) => {
                work.save().await?;
                return Err(error);
            }
        }
        let signed = match &work.stored.statement {
            Some(signed) => signed.clone(),
            None => self.sign(&work.stored.erasure).await?,
        };
        work.stored.statement = Some(signed.clone());
        // A further invocation searches for data that has been added since.
        work.stored.erasure.position = ErasurePosition::Configurations;
        work.save().await?;
        Ok(work.report(ErasureOutcome::from(&signed)))
    }

    async fn sign(&self, erasure: &Erasure) -> Result<SignedStatement, PortError> {
        let operation = "erasure statement";
        let statement = erasure.statement(self.clock.now(), self.signer.fingerprint().await?).ok_or_else(|| {
            PortError::internal(operation, "the scan of the runs is incomplete; invoke the function again")
        })?;
        let bytes = statement.to_bytes().map_err(|error| PortError::internal(operation, error.to_string()))?;
        let signature = self.signer.sign(Sha256::digest(&bytes).into()).await?;
        Ok(SignedStatement { bytes: Bytes::from(bytes), signature })
    }
}

/// Returns the time by which the work must end.
fn deadline(invocation: &Context) -> Timestamp {
    deadline_before(invocation.deadline, DEADLINE_MARGIN)
}

impl Work<'_> {
    /// Works until no data is left, from the stored position: the caller can't choose a position and thereby omit data.
    async fn run(&mut self) -> Result<(), ErasureStop> {
        loop {
            // Always first: the runs of a configuration write until it is deleted.
            self.erase_configurations().await?;
            self.scan_runs().await?;
            self.erase_events().await?;
            // Items of runs that had started before their configuration was deleted.
            let listed: Vec<_> = self.stored.erasure.configurations().collect();
            for configuration_id in listed {
                let key = ConfigurationKey { tenant_id: self.tenant.clone(), configuration_id };
                loop {
                    self.in_time()?;
                    let page = self.housekeeper.runs.first_items(&key).await?;
                    if page.items.is_empty() {
                        break;
                    }
                    self.erase_runs(page).await?;
                }
            }
            self.erase_configurations().await?;
            // Otherwise, a configuration was created in the meantime.
            if self.stored.erasure.position == ErasurePosition::Events {
                return Ok(());
            }
        }
    }

    /// Scans the rest of the runs table.
    async fn scan_runs(&mut self) -> Result<(), ErasureStop> {
        loop {
            let start = match &self.stored.erasure.position {
                ErasurePosition::Configurations => None,
                ErasurePosition::Runs { run, item } => Some(RunItemKey { run: run.clone(), item: item.clone() }),
                ErasurePosition::Events => return Ok(()),
            };
            self.in_time()?;
            let page = self.housekeeper.runs.scan_tenant(self.tenant, start.as_ref()).await?;
            let next = page.next.clone();
            self.erase_runs(page).await?;
            self.stored.erasure.position = match next {
                Some(RunItemKey { run, item }) => ErasurePosition::Runs { run, item },
                None => ErasurePosition::Events,
            };
        }
    }

    /// Erases the configurations first, with their secrets, so that no further run starts and current runs stop.
    async fn erase_configurations(&mut self) -> Result<(), ErasureStop> {
        let Housekeeper { configurations: table, runs, .. } = self.housekeeper;
        for which in [TenantItems::Configurations, TenantItems::All] {
            loop {
                self.in_time()?;
                let found = table.first_items(self.tenant, which).await?;
                if found.is_empty() {
                    break;
                }
                self.stored.statement = None;
                for item in &found {
                    let TenantItem::Configuration { id, exported_through } = item else {
                        table.delete_item(self.tenant, item).await?;
                        self.stored.erasure.counts.configuration_records += 1;
                        continue;
                    };
                    let key = ConfigurationKey { tenant_id: self.tenant.clone(), configuration_id: *id };
                    // Its runs may have written items before the position.
                    self.stored.erasure.position = ErasurePosition::Configurations;
                    let head = runs.export_head(&key).await?;
                    let has_state = head.is_some();
                    self.stored.erasure.note(ErasedConfiguration {
                        configuration_id: *id,
                        exported_through: *exported_through,
                        head_digest: None,
                    });
                    if let Some(head) = head {
                        self.stored.erasure.note(head);
                    }
                    self.save().await?;
                    table.delete_item(self.tenant, item).await?;
                    self.stored.erasure.counts.configurations += 1;
                    if has_state {
                        runs.delete_state(&key).await?;
                        self.stored.erasure.counts.run_records += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Stores the facts about the exports before the items that prove them are deleted.
    async fn erase_runs(&mut self, page: TenantRunPage) -> Result<(), ErasureStop> {
        if page.items.is_empty() {
            return Ok(());
        }
        self.stored.statement = None;
        for export in page.exports {
            self.stored.erasure.note(export);
        }
        self.save().await?;
        self.housekeeper.runs.delete_all(&page.items).await?;
        self.stored.erasure.counts.run_records += page.items.len() as u64;
        Ok(())
    }

    async fn erase_events(&mut self) -> Result<(), ErasureStop> {
        let Housekeeper { events, archive, segments, clock, settings, .. } = self.housekeeper;
        let settings = ErasureSettings {
            bucket: settings.archive_bucket.clone(),
            table_period: settings.terms.table().unwrap_or_else(|| settings.terms.full()),
            times: settings.archive_times,
            deadline: self.deadline,
        };
        let erasure = EventErasure { tenant: self.tenant, items: events, segments, archive, clock, settings };
        erasure.run(&mut self.stored.erasure.counts).await
    }

    /// Returns an error if the time is over.
    fn in_time(&self) -> Result<(), ErasureStop> {
        if self.housekeeper.clock.now() < self.deadline { Ok(()) } else { Err(ErasureStop::OutOfTime) }
    }

    async fn save(&mut self) -> Result<(), PortError> {
        let Housekeeper { clock, settings, runs, .. } = self.housekeeper;
        let expires_at = clock.now().saturating_add(settings.history);
        match runs.store_erasure(&mut self.stored, expires_at).await? {
            NotesOutcome::Stored => Ok(()),
            NotesOutcome::ChangedSince => {
                let detail = format!("another invocation is erasing {}; wait until it ends", self.tenant);
                Err(PortError::internal("store erasure", detail))
            }
        }
    }

    fn report(&self, outcome: ErasureOutcome) -> ErasureReport {
        ErasureReport { tenant_id: self.tenant.clone(), counts: self.stored.erasure.counts, outcome }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: ErasureOutcome) -> serde_json::Value {
        let tenant_id = TenantId::parse("acme").unwrap();
        serde_json::to_value(ErasureReport { tenant_id, counts: ErasureCounts::default(), outcome }).unwrap()
    }

    #[test]
    fn an_unfinished_erasure_answers_where_it_goes_on_and_no_statement() {
        let position = ErasurePosition::Runs { run: "acme#1".to_owned(), item: "state".to_owned() };
        let report = report(ErasureOutcome::Unfinished { position });
        assert!(report.get("statement").is_none());
        assert_eq!(report["position"], "runs acme#1 state");
    }

    #[test]
    fn a_complete_erasure_answers_the_statement_and_no_position() {
        let signed = SignedStatement { bytes: Bytes::from_static(b"{}\n"), signature: Bytes::from_static(b"\x30") };
        let report = report(ErasureOutcome::from(&signed));
        assert_eq!((&report["statement"], &report["signature"]), (&"e30K".into(), &"MA==".into()));
        assert!(report.get("position").is_none());
    }

    #[test]
    fn an_invocation_stops_two_minutes_before_its_end() {
        let mut invocation = Context::default();
        invocation.deadline = 1_000_000;
        assert_eq!(deadline(&invocation).as_millis(), 880_000);
    }
}
