//! The erasure of a tenant by an operator: docs/OPERATIONS.md, "Erase a tenant".

use std::time::Duration;

use aws_adapters::{
    configurations::{TenantItem, TenantItems},
    events::eraser::EventPartition,
    runs::{NotesOutcome, RunItemKey, SignedStatement, StoredErasure, TenantRunPage},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use domain::{
    configuration::ConfigurationKey,
    erasure::{ErasedConfiguration, Erasure, ErasureCounts, ErasurePosition, ErasureReason},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{DigestSigner, PortError};
use futures::stream::{StreamExt, iter};
use host::Clock;
use lambda_runtime::{Context, Error};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::handler::Housekeeper;

/// What is left of an invocation's time to note how far it came and to answer. It is more than what is behind the threshold of
/// `HousekeeperFunctionDurationAlarm`: an erasure that goes on is no failure.
const DEADLINE_MARGIN: Duration = Duration::from_mins(2);

/// How many partitions of events are erased at the same time: all that a tenant has.
const MAX_CONCURRENT_PARTITIONS: usize = 18;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ErasureRequest {
    tenant_id: TenantId,
    reason: ErasureReason,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureAnswer {
    tenant_id: TenantId,
    /// Of all invocations.
    counts: ErasureCounts,
    #[serde(flatten)]
    outcome: ErasureOutcome,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum ErasureOutcome {
    /// The time of the invocation is over: it has to be invoked again, and goes on there.
    Unfinished { position: ErasurePosition },
    /// Nothing of the tenant is left. Both in base64.
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

/// Why an erasure stops.
#[derive(Debug)]
enum Stop {
    /// The time is over.
    OutOfTime,
    Failed(PortError),
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

/// One invocation's work on an erasure.
struct Work<'a> {
    housekeeper: &'a Housekeeper,
    tenant: &'a TenantId,
    stored: StoredErasure,
    deadline: Timestamp,
}

impl Housekeeper {
    /// Erases what there is of a tenant, or goes on with it. Of a tenant that is erased already, the statement is answered
    /// again.
    pub(crate) async fn erase_tenant(
        &self,
        request: &ErasureRequest,
        invocation: &Context,
    ) -> Result<ErasureAnswer, Error> {
        let ErasureRequest { tenant_id: tenant, reason } = request;
        tracing::warn!(%tenant, reason = reason.as_str(), "an operator erases a tenant");
        match self.erase(request, deadline(invocation)).await {
            Ok(answer) => {
                let ErasureCounts { configurations, configuration_records, run_records, blocks, event_records } =
                    answer.counts;
                let is_complete = matches!(answer.outcome, ErasureOutcome::Complete { .. });
                tracing::warn!(%tenant, is_complete, configurations, configuration_records, run_records, blocks,
                    event_records, "what an operator had erased of a tenant");
                Ok(answer)
            }
            Err(error) => {
                tracing::error!(%tenant, %error, "the erasure of a tenant failed");
                Err("the erasure failed, and what was erased is noted; invoke again with the same payload".into())
            }
        }
    }

    async fn erase(&self, request: &ErasureRequest, deadline: Timestamp) -> Result<ErasureAnswer, PortError> {
        let ErasureRequest { tenant_id: tenant, reason } = request;
        let stored = self.runs.load_erasure(tenant).await?.unwrap_or_else(|| StoredErasure {
            erasure: Erasure::new(tenant.clone(), reason.clone(), self.clock.now()),
            statement: None,
            revision: 0,
        });
        let before = stored.erasure.counts;
        let mut work = Work { housekeeper: self, tenant, stored, deadline };
        let result = work.run().await;
        // What was signed before is not the last statement any more.
        if work.stored.erasure.counts != before {
            work.stored.statement = None;
        }
        match result {
            Ok(()) => {}
            Err(Stop::OutOfTime) => {
                work.save().await?;
                let position = work.stored.erasure.position.clone();
                return Ok(work.answer(ErasureOutcome::Unfinished { position }));
            }
            Err(Stop::Failed(error)) => {
                work.save().await?;
                return Err(error);
            }
        }
        let signed = match &work.stored.statement {
            Some(signed) => signed.clone(),
            None => self.sign(&work.stored.erasure).await?,
        };
        work.stored.statement = Some(signed.clone());
        // Whoever invokes again wants to know what has come since.
        work.stored.erasure.position = ErasurePosition::Configurations;
        work.save().await?;
        Ok(work.answer(ErasureOutcome::from(&signed)))
    }

    async fn sign(&self, erasure: &Erasure) -> Result<SignedStatement, PortError> {
        let operation = "erasure statement";
        let statement = erasure
            .statement(self.clock.now(), self.signer.fingerprint().await?)
            .ok_or_else(|| PortError::internal(operation, "the runs are not scanned to their end: invoke again"))?;
        let bytes = statement.to_bytes().map_err(|error| PortError::internal(operation, error.to_string()))?;
        let signature = self.signer.sign(Sha256::digest(&bytes).into()).await?;
        Ok(SignedStatement { bytes: Bytes::from(bytes), signature })
    }
}

/// When the work has to be over.
fn deadline(invocation: &Context) -> Timestamp {
    Timestamp::from_millis(invocation.deadline).unwrap_or(Timestamp::MAX).saturating_sub(DEADLINE_MARGIN)
}

impl Work<'_> {
    /// Works until nothing is left, from where the notes say: the invocation's caller does not choose what is left out.
    async fn run(&mut self) -> Result<(), Stop> {
        loop {
            // Always first: as long as there is a configuration, its runs write.
            self.erase_configurations().await?;
            self.scan_runs().await?;
            self.erase_events().await?;
            // What a run left that had begun before its configuration was deleted.
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
            // Else a configuration came meanwhile.
            if self.stored.erasure.position == ErasurePosition::Events {
                return Ok(());
            }
        }
    }

    /// Goes through what is left of the runs table.
    async fn scan_runs(&mut self) -> Result<(), Stop> {
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

    /// The configurations first, with their secrets, so that no run starts any more and those under way stop.
    async fn erase_configurations(&mut self) -> Result<(), Stop> {
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
                    // Its runs may have written behind the position.
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

    /// What is known of an export is noted before the last item that says it is gone.
    async fn erase_runs(&mut self, page: TenantRunPage) -> Result<(), Stop> {
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

    async fn erase_events(&mut self) -> Result<(), Stop> {
        let (housekeeper, tenant, deadline) = (self.housekeeper, self.tenant, self.deadline);
        let partitions: Vec<_> =
            EventPartition::all().map(|partition| erase_partition(housekeeper, tenant, partition, deadline)).collect();
        let mut erased = iter(partitions).buffer_unordered(MAX_CONCURRENT_PARTITIONS);
        let mut stop = None;
        while let Some((partition, count, result)) = erased.next().await {
            match partition {
                EventPartition::Blocks(_) => self.stored.erasure.counts.blocks += count,
                EventPartition::Quota | EventPartition::Idempotency => {
                    self.stored.erasure.counts.event_records += count;
                }
            }
            // The others go on, and are counted.
            stop = stop.or(result.err());
        }
        stop.map_or(Ok(()), Err)
    }

    /// Stops the work if its time is over.
    fn in_time(&self) -> Result<(), Stop> {
        if self.housekeeper.clock.now() < self.deadline { Ok(()) } else { Err(Stop::OutOfTime) }
    }

    async fn save(&mut self) -> Result<(), PortError> {
        let Housekeeper { clock, settings, runs, .. } = self.housekeeper;
        let expires_at = clock.now().saturating_add(settings.history);
        match runs.store_erasure(&mut self.stored, expires_at).await? {
            NotesOutcome::Stored => Ok(()),
            NotesOutcome::ChangedSince => {
                let detail = format!("another invocation erases {} at the same time: wait for its end", self.tenant);
                Err(PortError::internal("store erasure", detail))
            }
        }
    }

    fn answer(&self, outcome: ErasureOutcome) -> ErasureAnswer {
        ErasureAnswer { tenant_id: self.tenant.clone(), counts: self.stored.erasure.counts, outcome }
    }
}

/// Erases a partition of events, and says how much of it.
async fn erase_partition(
    housekeeper: &Housekeeper,
    tenant: &TenantId,
    partition: EventPartition,
    deadline: Timestamp,
) -> (EventPartition, u64, Result<(), Stop>) {
    let mut count = 0;
    loop {
        if housekeeper.clock.now() >= deadline {
            return (partition, count, Err(Stop::OutOfTime));
        }
        match housekeeper.events.erase_page(tenant, partition).await {
            Ok(0) => return (partition, count, Ok(())),
            Ok(erased) => count += erased,
            Err(error) => return (partition, count, Err(Stop::Failed(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: ErasureOutcome) -> serde_json::Value {
        let tenant_id = TenantId::parse("acme").unwrap();
        serde_json::to_value(ErasureAnswer { tenant_id, counts: ErasureCounts::default(), outcome }).unwrap()
    }

    #[test]
    fn an_unfinished_erasure_answers_where_it_goes_on_and_no_statement() {
        let position = ErasurePosition::Runs { run: "acme#1".to_owned(), item: "state".to_owned() };
        let answer = answer(ErasureOutcome::Unfinished { position });
        assert!(answer.get("statement").is_none());
        assert_eq!(answer["position"], "runs acme#1 state");
    }

    #[test]
    fn a_complete_erasure_answers_the_statement_and_no_position() {
        let signed = SignedStatement { bytes: Bytes::from_static(b"{}\n"), signature: Bytes::from_static(b"\x30") };
        let answer = answer(ErasureOutcome::from(&signed));
        assert_eq!((&answer["statement"], &answer["signature"]), (&"e30K".into(), &"MA==".into()));
        assert!(answer.get("position").is_none());
    }

    #[test]
    fn an_invocation_stops_two_minutes_before_its_end() {
        let mut invocation = Context::default();
        invocation.deadline = 1_000_000;
        assert_eq!(deadline(&invocation).as_millis(), 880_000);
    }
}
