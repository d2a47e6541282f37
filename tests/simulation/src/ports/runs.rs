//! The table of runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use domain::{
    block::BlockId,
    configuration::{ConfigurationKey, ExportConfiguration},
    digest::DigestObject,
    encoding::Encoding,
    export_run::{ExportState, FencingToken, Plan, Window, WindowId},
    ocsf::Class,
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{
    Completion, CorruptBlocks, Encoders, IntentOutcome, KnownCorruptBlock, Lease, LeaseOutcome, LeaseRequest,
    PortError, ReleaseOutcome, RunStore, SealedDigest, SeenRetentions,
};

use super::process::Ports;
use crate::{
    bug::KnownBug,
    world::{HeldLease, RunItems, WorldState},
};
impl Ports {
    /// Makes a write that requires the lease.
    async fn fenced<T: Send + 'static>(
        &self,
        operation: &'static str,
        lease: &Lease,
        effect: impl Fn(&mut RunItems) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let (lease, ignores) = (lease.clone(), self.has(KnownBug::NoFencing));
        let effect = move |state: &mut WorldState| match state.runs.get_mut(&lease.key) {
            Some(items) if ignores || items.state.fencing_token == lease.fencing_token => Ok(effect(items)),
            _ => Err(PortError::fenced(operation, "another run holds the lease")),
        };
        self.world.call(operation, effect).await
    }

    /// Returns the state as a run reads it. With some bugs, a part of it was not stored.
    fn read(&self, state: &ExportState, configured: Option<&Encoding>) -> ExportState {
        let mut state = state.clone();
        if self.has(KnownBug::WindowNotStored) || self.has(KnownBug::CursorBeforeUpload) {
            state.window = None;
        }
        if let Some(window) = &mut state.window {
            if self.has(KnownBug::PlanNotStored) {
                window.plan.limits = self.release.limits;
            }
            if self.has(KnownBug::EncoderNotStored) {
                let current = window.plan.encoding().and_then(|encoding| self.release.current(&encoding));
                window.plan.encoder_version = current.unwrap_or(window.plan.encoder_version);
            }
            if self.has(KnownBug::FormatNotStored)
                && let Some(Encoding { format, .. }) = configured
            {
                let filter = window.plan.filter.clone();
                self.reencode(&mut window.plan, Encoding { filter, ..(*format).into() });
            }
            if self.has(KnownBug::FilterNotStored)
                && let (Some(Encoding { filter, .. }), Some(encoding)) = (configured, window.plan.encoding())
                && *filter != encoding.filter
            {
                self.reencode(&mut window.plan, Encoding { filter: filter.clone(), ..encoding });
            }
            if self.has(KnownBug::OcsfNotStored)
                && let (Some(Encoding { ocsf: Some(ocsf), .. }), Some(encoding)) = (configured, window.plan.encoding())
                && encoding.ocsf.is_some()
            {
                self.reencode(&mut window.plan, Encoding { ocsf: Some(ocsf.clone()), ..encoding });
            }
            if self.has(KnownBug::RetentionByDeletion) {
                window.gap = None;
            }
        }
        state
    }
}

impl Ports {
    /// Replaces the encoding of a plan, if this process makes the other one.
    fn reencode(&self, plan: &mut Plan, encoding: Encoding) {
        if let Some(current) = self.release.current(&encoding) {
            plan.encoder_version = current;
            plan.filter = encoding.filter;
            plan.ocsf = encoding.ocsf;
        }
    }
}

impl RunStore for Ports {
    async fn acquire_lease(
        &self,
        key: &ConfigurationKey,
        initial: &ExportState,
        request: &LeaseRequest<'_>,
    ) -> Result<LeaseOutcome, PortError> {
        let key = if self.has(KnownBug::ReplayStateShared) { self.replayed(key) } else { key.clone() };
        let (initial, ports) = (initial.clone(), self.clone());
        let (holder, now, expires_at) = (request.holder.to_owned(), request.now, request.expires_at);
        let (message, forgets) = (request.message.to_owned(), self.has(KnownBug::OnlyMessageDeleted));
        let asked = *self.asked_through.lock().unwrap_or_else(PoisonError::into_inner);
        let effect = move |state: &mut WorldState| {
            let configured = state.configurations.get(&key).map(ExportConfiguration::encoding);
            let items = state.runs.entry(key.clone()).or_insert_with(|| RunItems {
                state: initial.clone(),
                lease: None,
                intents: BTreeMap::default(),
                digests: BTreeMap::default(),
                records: Vec::new(),
                expired_intents: BTreeSet::default(),
                expired_digests: BTreeSet::default(),
            });
            let was_abandoned = items.lease.as_ref().is_some_and(|lease| lease.holder != holder);
            if let Some(lease) = &items.lease
                && lease.until > now
                && lease.holder != holder
            {
                let is_same_message = lease.message == message && !forgets;
                return Ok(LeaseOutcome::Held { fencing_token: items.state.fencing_token, is_same_message });
            }
            items.state.fencing_token.0 += 1;
            *ports.tried_through.lock().unwrap_or_else(PoisonError::into_inner) =
                items.state.rerun_through.max(asked).or(Some(Timestamp::EPOCH));
            items.lease = Some(HeldLease { holder: holder.clone(), message: message.clone(), until: expires_at });
            let lease = Lease { key: key.clone(), fencing_token: items.state.fencing_token };
            Ok(LeaseOutcome::Granted {
                lease,
                state: Box::new(ports.read(&items.state, configured.as_ref())),
                was_abandoned,
            })
        };
        self.world.call("acquire lease", effect).await
    }

    async fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> Result<(), PortError> {
        let effect = move |items: &mut RunItems| {
            if let Some(lease) = &mut items.lease {
                lease.until = expires_at;
            }
        };
        self.fenced("renew lease", lease, effect).await
    }

    async fn note_rerun(
        &self,
        key: &ConfigurationKey,
        token: FencingToken,
        through: Timestamp,
    ) -> Result<bool, PortError> {
        let key = key.clone();
        let effect = move |state: &mut WorldState| {
            let Some(items) = state.runs.get_mut(&key) else { return Ok(false) };
            let is_held_by_same = items.lease.is_some() && items.state.fencing_token == token;
            if is_held_by_same {
                items.state.rerun_through = items.state.rerun_through.max(Some(through));
            }
            Ok(is_held_by_same)
        };
        self.world.call("note rerun", effect).await
    }

    async fn store_window(&self, lease: &Lease, window: &Window) -> Result<(), PortError> {
        let (mut window, moves_cursor) = (window.clone(), self.has(KnownBug::CursorBeforeUpload));
        if self.has(KnownBug::SkipNotStored) {
            window.skipped.clear();
        }
        let effect = move |items: &mut RunItems| {
            if moves_cursor {
                items.state.cursor = window.to;
            }
            items.state.window = Some(window.clone());
        };
        self.fenced("store window", lease, effect).await
    }

    async fn store_intent(
        &self,
        lease: &Lease,
        window: WindowId,
        object: &DigestObject,
    ) -> Result<IntentOutcome, PortError> {
        if self.has(KnownBug::NoIntent) {
            return Ok(IntentOutcome::New);
        }
        let (object, checkpoints) = (object.clone(), self.has(KnownBug::CheckpointBeforeCompletion));
        let is_per_batch = self.has(KnownBug::IntentPerBatch);
        let effect = move |items: &mut RunItems| {
            if let Some(window) = &mut items.state.window
                && checkpoints
            {
                window.checkpoint.last_block = Some(object.last_block);
                window.checkpoint.objects += 1;
            }
            let name = (window, object.first_block, object.class);
            let is_of_batch =
                |known: &DigestObject| known.first_block == object.first_block && known.class != object.class;
            if is_per_batch && items.intents.iter().any(|((of, ..), known)| *of == window && is_of_batch(known)) {
                return IntentOutcome::New;
            }
            if let Some(known) = items.intents.get(&name) {
                return IntentOutcome::Known(Box::new(known.clone()));
            }
            items.intents.insert(name, object.clone());
            IntentOutcome::New
        };
        self.fenced("store intent", lease, effect).await
    }

    async fn intents(&self, lease: &Lease, window: WindowId) -> Result<Vec<DigestObject>, PortError> {
        let key = lease.key.clone();
        let effect = move |state: &mut WorldState| {
            let of_window = |(name, object): (&(WindowId, BlockId, Option<Class>), &DigestObject)| {
                (name.0 == window).then(|| object.clone())
            };
            Ok(state
                .runs
                .get(&key)
                .filter(|items| !items.expired_intents.contains(&window.sequence))
                .map(|items| items.intents.iter().filter_map(of_window).collect())
                .unwrap_or_default())
        };
        self.world.call("read intents", effect).await
    }

    async fn store_digest(
        &self,
        lease: &Lease,
        sequence: u64,
        digest: &SealedDigest,
    ) -> Result<SealedDigest, PortError> {
        let (digest, replaces) = (digest.clone(), self.has(KnownBug::DigestSignedAgain));
        let effect = move |items: &mut RunItems| {
            if replaces || items.expired_digests.contains(&sequence) {
                items.digests.insert(sequence, digest.clone());
            }
            items.digests.entry(sequence).or_insert_with(|| digest.clone()).clone()
        };
        self.fenced("store digest", lease, effect).await
    }

    async fn digest(&self, lease: &Lease, sequence: u64) -> Result<Option<SealedDigest>, PortError> {
        let (key, forgets) = (lease.key.clone(), self.has(KnownBug::DigestSignedAgain));
        let effect = move |state: &mut WorldState| {
            let items = state.runs.get(&key).filter(|items| !forgets && !items.expired_digests.contains(&sequence));
            Ok(items.and_then(|items| items.digests.get(&sequence).cloned()))
        };
        self.world.call("read digest", effect).await
    }

    /// Not conditional on the lease, as in the table.
    async fn expire_intents(&self, lease: &Lease, sequence: u64, _expires_at: Timestamp) -> Result<(), PortError> {
        let key = lease.key.clone();
        let sequence = if self.has(KnownBug::IntentsExpireEarly) { sequence + 1 } else { sequence };
        let effect = move |state: &mut WorldState| {
            let WorldState { runs, violations, .. } = state;
            if let Some(items) = runs.get_mut(&key) {
                if sequence >= items.state.next_sequence {
                    violations.push(format!("{key}: the intents of the open window {sequence} may expire"));
                }
                items.expired_intents.insert(sequence);
            }
            Ok(())
        };
        self.world.call("expire intents", effect).await
    }

    async fn complete_window(&self, lease: &Lease, completion: &Completion) -> Result<(), PortError> {
        let (lease, completion) = (lease.clone(), completion.clone());
        let ignores = self.has(KnownBug::NoFencing);
        let moves_before = self.has(KnownBug::CursorBeforeUpload);
        let effect = move |state: &mut WorldState| {
            let WorldState { runs, violations, .. } = state;
            let Some(items) = runs.get_mut(&lease.key) else {
                return Err(PortError::fenced("complete window", "another run holds the lease"));
            };
            if !ignores && items.state.fencing_token != lease.fencing_token {
                return Err(PortError::fenced("complete window", "another run holds the lease"));
            }
            if items.records.iter().any(|record| record.sequence == completion.record.sequence) {
                return Ok(());
            }
            if completion.cursor < items.state.cursor && !moves_before {
                violations.push(format!("the cursor moved back to {}", completion.cursor));
            }
            items.state.cursor = completion.cursor;
            items.state.next_sequence = completion.record.sequence + 1;
            items.state.head = Some(completion.head.clone());
            items.state.window = None;
            items.expired_digests.insert(completion.record.sequence);
            items.records.push(completion.record.clone());
            Ok(())
        };
        self.world.call("complete window", effect).await
    }

    async fn release(&self, lease: &Lease, exported_through: Timestamp) -> Result<ReleaseOutcome, PortError> {
        let tried_through = Arc::clone(&self.tried_through);
        let effect = move |items: &mut RunItems| match items.state.rerun_through {
            Some(through) if through > exported_through => {
                *tried_through.lock().unwrap_or_else(PoisonError::into_inner) = Some(through);
                ReleaseOutcome::Rerun { through }
            }
            _ => {
                items.state.rerun_through = None;
                items.lease = None;
                ReleaseOutcome::Released
            }
        };
        self.fenced("release lease", lease, effect).await
    }

    async fn hand_over(&self, lease: &Lease) -> Result<Option<Timestamp>, PortError> {
        let forgets = self.has(KnownBug::NoteForgotten);
        let effect = move |items: &mut RunItems| {
            items.lease = None;
            items.state.rerun_through.filter(|_| !forgets)
        };
        self.fenced("hand over lease", lease, effect).await
    }

    async fn record_lost(&self, lease: &Lease, through: Timestamp) -> Result<(), PortError> {
        let forgets = self.has(KnownBug::LossNotRecorded);
        let effect = move |items: &mut RunItems| {
            if !forgets {
                items.state.lost_through = items.state.lost_through.max(Some(through));
            }
        };
        self.fenced("record lost", lease, effect).await
    }

    async fn replace_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> Result<bool, PortError> {
        let (current, history, forgets) =
            (current.clone(), history.clone(), self.has(KnownBug::RetentionHistoryForgotten));
        let effect = move |state: &mut WorldState| {
            // An equal history was stored by the same request, which was repeated.
            let is_current = forgets || state.retention_history == current || state.retention_history == history;
            if is_current {
                state.retention_history = history.clone();
            }
            Ok(is_current)
        };
        self.world.call("store retentions", effect).await
    }
}

impl SeenRetentions for Ports {
    async fn retention_history(&self) -> Result<RetentionHistory, PortError> {
        let forgets = self.has(KnownBug::RetentionHistoryForgotten);
        let effect = move |state: &mut WorldState| {
            Ok(if forgets { RetentionHistory::default() } else { state.retention_history.clone() })
        };
        self.world.call("read retentions", effect).await
    }
}

impl CorruptBlocks for Ports {
    async fn corrupt_blocks(&self, tenant: &TenantId) -> Result<Vec<KnownCorruptBlock>, PortError> {
        let tenant = tenant.clone();
        let effect = move |state: &mut WorldState| {
            let of_tenant = state.corrupt_blocks.iter().filter(|((owner, _), _)| *owner == tenant);
            let known = |((_, block), is_skip_approved): (&(TenantId, BlockId), &bool)| KnownCorruptBlock {
                block: *block,
                is_skip_approved: *is_skip_approved,
            };
            Ok(of_tenant.map(known).collect())
        };
        self.world.call("read corrupt blocks", effect).await
    }

    async fn record_corrupt_block(
        &self,
        tenant: &TenantId,
        block: BlockId,
        _found_at: Timestamp,
        _expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let (name, forgets) = ((tenant.clone(), block), self.has(KnownBug::CorruptBlockForgotten));
        let effect = move |state: &mut WorldState| {
            state.reported.insert(name.clone());
            if !forgets {
                state.corrupt_blocks.entry(name.clone()).or_default();
            }
            Ok(())
        };
        self.world.call("record corrupt block", effect).await
    }
}
