//! The work of the functions that export: runs, repairs and replays, which messages of their queues request. The encoders are
//! a parameter, so that a function links only those of the formats that it makes.

mod exporter;
mod repairs;
mod replays;
mod runs;
mod settings;

pub use self::{
    exporter::{Exporter, RunQueues},
    settings::{QueueUrls, RunSettings},
};
