//! The runs and events in memory, which the API only reads.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use domain::{
    block::BlockId,
    configuration::{ConfigurationId, ConfigurationKey},
    digest::{DigestObject, DigestReference},
    export_job::{ExportSnapshot, Intent},
    export_run::{ExportState, FencingToken, Window, WindowId, WindowRecord},
    tenant::TenantId,
    time::Timestamp,
};

use super::memory::ready;
use crate::ports::{Backlog, EventCounter, PortError, PortFuture, RunHistory, SealedDigest};

#[derive(Debug, Default)]
struct Tables {
    states: BTreeMap<ConfigurationKey, ExportState>,
    records: BTreeMap<(ConfigurationKey, u64), WindowRecord>,
    intents: Vec<(ConfigurationKey, WindowId, Intent)>,
    digests: BTreeMap<(ConfigurationKey, u64), SealedDigest>,
    /// The blocks of each tenant, with the number of their events.
    blocks: Vec<(TenantId, BlockId, u64)>,
    /// True if states of several exports can't be read.
    is_broken: bool,
    passes: usize,
    batches: usize,
}

/// The history of exports, as runs store it.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Tables>>);

/// Returns the key of a configuration of tenant `acme`.
pub fn key(configuration_id: &str) -> ConfigurationKey {
    ConfigurationKey {
        tenant_id: TenantId::parse("acme").unwrap(),
        configuration_id: ConfigurationId::parse(configuration_id).unwrap(),
    }
}

impl History {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    /// Stores the state of an export of tenant `acme` through `cursor`.
    pub fn put_state(&self, configuration_id: &str, cursor: BlockId, next_sequence: u64, window: Option<&Window>) {
        let state = ExportState {
            cursor,
            next_sequence,
            next_revision: 0,
            head: None,
            fencing_token: FencingToken(1),
            window: window.cloned(),
            rerun_through: None,
            lost_through: None,
        };
        self.lock().states.insert(key(configuration_id), state);
    }

    /// Makes the states of several exports unreadable.
    pub fn break_states(&self) {
        self.lock().is_broken = true;
    }

    /// Stores a window that is exported.
    pub fn put_record(&self, configuration_id: &str, record: &WindowRecord) {
        self.lock().records.insert((key(configuration_id), record.sequence), record.clone());
    }

    /// Stores an object that a run is about to write.
    pub fn put_intent(&self, configuration_id: &str, window: WindowId, object: &DigestObject, attempts: u32) {
        self.lock().intents.push((key(configuration_id), window, Intent { object: object.clone(), attempts }));
    }

    /// Stores a sealed digest.
    pub fn put_digest(&self, configuration_id: &str, sequence: u64, end: BlockId, digest: &[u8], signature: &[u8]) {
        let digest = SealedDigest {
            end_block: end,
            bytes: digest.to_vec().into(),
            signature: signature.to_vec().into(),
            is_tagged: true,
        };
        self.lock().digests.insert((key(configuration_id), sequence), digest);
    }

    /// Stores the newest delivered digest in the state that [`History::put_state`] stored.
    pub fn put_head(&self, configuration_id: &str, head: &DigestReference) {
        self.lock().states.get_mut(&key(configuration_id)).unwrap().head = Some(head.clone());
    }

    /// Stores a block that was received at that time.
    pub fn put_block(&self, tenant: &str, received_at: Timestamp, events: u64) {
        self.lock().blocks.push((TenantId::parse(tenant).unwrap(), BlockId::lowest_at(received_at), events));
    }

    /// Returns the number of reads of several states at once.
    pub fn batches(&self) -> usize {
        self.lock().batches
    }

    /// Returns the number of passes over the events of a tenant.
    pub fn passes(&self) -> usize {
        self.lock().passes
    }
}

fn snapshot(state: &ExportState) -> ExportSnapshot {
    ExportSnapshot { state: state.clone(), lease_expires_at: None }
}

impl RunHistory for History {
    fn snapshot<'a>(&'a self, configuration: &'a ConfigurationKey) -> PortFuture<'a, Option<ExportSnapshot>> {
        ready(Ok(self.lock().states.get(configuration).map(snapshot)))
    }

    fn snapshots<'a>(
        &'a self,
        configurations: &'a [&'a ConfigurationKey],
    ) -> PortFuture<'a, HashMap<ConfigurationKey, ExportSnapshot>> {
        let mut tables = self.lock();
        tables.batches += 1;
        if tables.is_broken {
            return ready(Err(PortError::internal("read states", "a state is malformed")));
        }
        let found = configurations.iter().filter_map(|key| Some(((*key).clone(), snapshot(tables.states.get(*key)?))));
        ready(Ok(found.collect()))
    }

    fn record<'a>(
        &'a self,
        configuration: &'a ConfigurationKey,
        sequence: u64,
    ) -> PortFuture<'a, Option<WindowRecord>> {
        ready(Ok(self.lock().records.get(&(configuration.clone(), sequence)).cloned()))
    }

    fn records<'a>(
        &'a self,
        configuration: &'a ConfigurationKey,
        before: Option<u64>,
        limit: u16,
    ) -> PortFuture<'a, Vec<WindowRecord>> {
        let range = (configuration.clone(), 0)..(configuration.clone(), before.unwrap_or(u64::MAX));
        let tables = self.lock();
        let newest_first = tables.records.range(range).rev().map(|(_, record)| record.clone());
        ready(Ok(newest_first.take(usize::from(limit)).collect()))
    }

    fn intents<'a>(&'a self, configuration: &'a ConfigurationKey, window: WindowId) -> PortFuture<'a, Vec<Intent>> {
        let tables = self.lock();
        let of_window = tables.intents.iter().filter(|(key, id, _)| key == configuration && *id == window);
        ready(Ok(of_window.map(|(_, _, intent)| intent.clone()).collect()))
    }

    fn digest<'a>(
        &'a self,
        configuration: &'a ConfigurationKey,
        sequence: u64,
    ) -> PortFuture<'a, Option<SealedDigest>> {
        ready(Ok(self.lock().digests.get(&(configuration.clone(), sequence)).cloned()))
    }
}

impl EventCounter for History {
    fn count_from<'a>(
        &'a self,
        tenant: &'a TenantId,
        firsts: &'a [BlockId],
        _: Timestamp,
    ) -> PortFuture<'a, Vec<Backlog>> {
        let mut tables = self.lock();
        tables.passes += 1;
        let backlog_from = |first: &BlockId| {
            let blocks = || tables.blocks.iter().filter(|(owner, id, _)| owner == tenant && id >= first);
            Backlog {
                events: blocks().map(|(_, _, events)| events).sum(),
                oldest: blocks().map(|(_, id, _)| id.timestamp()).min(),
                is_complete: true,
            }
        };
        ready(Ok(firsts.iter().map(backlog_from).collect()))
    }
}
