//! The engine's ports, as one process sees them.

mod archive;
mod blocks;
mod bucket;
mod configurations;
mod encoders;
mod erasure;
mod process;
mod repairs;
mod replays;
mod runs;
mod shared;

pub(crate) use self::{
    bucket::FINGERPRINT,
    encoders::{OcsfFiles, Release},
    process::{PAGE_BLOCKS, Ports, Received},
    repairs::reference_to,
};
