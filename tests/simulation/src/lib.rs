//! Deterministic simulation of the export engine: the real engine over simulated ports, in simulated time. One seed gives
//! one history.
//!
//! A history has three parts. In the *storm* everything that can go wrong does: calls fail before or after their effect,
//! hang, land late; processes die at any await or freeze and go on as zombies; messages come twice, late and out of order;
//! people edit, disable and enable; buckets refuse; retention runs out. Then the world calms down, and after a bounded
//! number of slots [`check`] looks at what is in the buckets.

pub mod bug;
pub mod check;
mod corrupt;
mod disabled;
mod fair;
mod faults;
mod history;
mod large;
mod many;
mod ports;
mod process;
mod upgrade;
mod world;

pub use corrupt::{Corrupt, Corruption, run_corrupt};
pub use disabled::run_disabled;
pub use fair::{Disturbance, Protection, run_fair};
pub use history::{Verdict, run};
pub use large::{Large, run_large};
pub use many::{Outcome, run_many};
pub use upgrade::{Upgrade, run_upgrade};
