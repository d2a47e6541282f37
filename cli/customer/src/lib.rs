//! The parts of the command line that other programs of this repository reuse.

pub mod event_generator;
pub mod figures;
