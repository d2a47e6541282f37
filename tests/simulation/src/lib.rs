//! Deterministic simulation of the export engine: the real engine over simulated ports, in simulated time. A seed determines
//! a history.
//!
//! A history has three parts. In the *storm* everything fails that can: calls fail before or after their effect, hang, or
//! take effect late; processes die at any await, or freeze and continue as zombies; messages arrive twice, late and out of
//! order; people edit, disable and enable configurations; buckets refuse writes; events pass their retention. Then all faults
//! end. After a bounded number of slots, `check` compares the contents of the buckets with the promises.

mod archive;
pub mod bug;
mod check;
mod check_repairs;
mod corrupt;
mod disabled;
mod erasure;
mod fair;
mod faults;
mod history;
mod invocation;
mod large;
mod many;
mod outcome;
mod ports;
mod process;
mod records;
mod replayed;
mod setup;
mod silent;
mod upgrade;
mod world;

pub use corrupt::{Corruption, CorruptionOutcome, run_corrupt};
pub use disabled::{run_disabled, run_filtered};
pub use fair::{Disturbance, Protection, run_fair, run_waiting};
pub use history::run;
pub use large::{LargeOutcome, run_large};
pub use many::{HistoriesOutcome, run_many};
pub use outcome::HistoryOutcome;
pub use replayed::{ReplayedOutcome, run_replayed};
pub use silent::{SilentOutcome, SilentPlace, run_silent};
pub use upgrade::{UpgradeOutcome, run_upgrade};
