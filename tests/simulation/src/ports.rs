//! The engine's ports, as one process sees them.

mod blocks;
mod bucket;
mod configurations;
mod process;
mod repairs;
mod replays;
mod runs;
mod shared;

pub(crate) use self::{
    bucket::FINGERPRINT,
    process::{PAGE_BLOCKS, Ports, Received, Release},
    repairs::reference_to,
};
