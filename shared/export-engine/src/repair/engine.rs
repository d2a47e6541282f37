//! The engine of repairs and its ports.

use crate::{
    ports::{CompletedWindows, RepairStore},
    run::{EnginePorts, ExportEngine},
};

/// The types of the ports of a repair.
pub trait RepairPorts: EnginePorts {
    type Repairs: RepairStore;
    type Windows: CompletedWindows;
}

/// The engine of repairs, over the ports of exports and its own.
#[expect(missing_debug_implementations, reason = "its ports need none")]
pub struct RepairEngine<'a, P: RepairPorts> {
    pub exports: ExportEngine<'a, P>,
    pub repairs: &'a P::Repairs,
    pub windows: &'a P::Windows,
}
