//! The engine: its ports, its settings, and the invocation that it works for.

use std::time::Duration;

use domain::{
    export_run::{LEASE_DURATION, PlanLimits},
    time::Timestamp,
};
use host::{Clock, Timer};

use crate::ports::{
    BlockSource, ConfigurationStore, Connector, DigestSigner, Encoders, RegionCircuits, RunStore, TenantShares,
};

/// The types of the ports of an engine.
pub trait EnginePorts {
    type Configurations: ConfigurationStore;
    type Runs: RunStore + TenantShares + RegionCircuits;
    type Blocks: BlockSource;
    type Connector: Connector;
    type Signer: DigestSigner;
    type Encoders: Encoders;
    type Clock: Clock + Timer;
}

/// The engine, over its ports.
#[derive(Debug)]
pub struct ExportEngine<'a, P: EnginePorts> {
    pub configurations: &'a P::Configurations,
    pub runs: &'a P::Runs,
    pub blocks: &'a P::Blocks,
    pub connector: &'a P::Connector,
    pub signer: &'a P::Signer,
    pub encoders: &'a P::Encoders,
    pub clock: &'a P::Clock,
    pub settings: EngineSettings,
    /// The holder of leases and shares: one invocation of the exporter.
    pub holder: &'a str,
    /// The ID of the message that asked for the run; the same each time that the message is received.
    pub message: &'a str,
    /// The time by which the invocation has to end.
    pub deadline: Timestamp,
}

/// The operator's settings.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// The time after its receipt from which an event's block is sure to be readable.
    pub settle: Duration,
    /// The time after its receipt until which an event can be exported.
    pub retention: Duration,
    /// The time at which events have to be within their retention. `None`: when their window begins. A replay has the time of
    /// its request, so that it is complete however long it takes: its blocks stay stored for `grace`.
    pub retention_at: Option<Timestamp>,
    /// The time after its retention until which a block is sure to be stored, for windows that were begun before.
    pub grace: Duration,
    /// The time for which digests, intents and records are kept after their window was completed.
    pub history: Duration,
    /// The time around a change of the retention in which writers may have used either value.
    pub deploy_margin: Duration,
    /// The concurrent runs of one tenant, for each trigger.
    pub max_runs_per_tenant: u32,
    /// The limits of new plans.
    pub limits: PlanLimits,
}

impl<P: EnginePorts> ExportEngine<'_, P> {
    /// Returns the expiry of a lease or share that is taken or renewed now.
    pub(crate) fn lease_end(&self) -> Timestamp {
        self.clock.now().saturating_add(LEASE_DURATION)
    }
}
