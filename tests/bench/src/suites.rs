//! What is measured.

mod api;
mod blocks;
mod cold_start;
mod dispatch;
mod emulators;
pub mod export;
mod fairness;
mod ingest;

use audit_export::figures;
use clap::ValueEnum;
use domain::time::Timestamp;
use host::Clock;
use host::Machine;

use crate::{Bench, Outcome, report::Report};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    Export,
    Blocks,
    Ingest,
    ColdStart,
    Api,
    Dispatch,
    Fairness,
    Emulators,
}

impl Suite {
    pub const ALL: [Self; 8] = [
        Self::Export,
        Self::Blocks,
        Self::Ingest,
        Self::ColdStart,
        Self::Api,
        Self::Dispatch,
        Self::Fairness,
        Self::Emulators,
    ];

    pub fn run(self, bench: &Bench, report: &mut Report) -> Outcome<()> {
        match self {
            Self::Export => export::run(bench, report),
            Self::Blocks => blocks::run(bench, report),
            Self::Ingest => ingest::run(bench, report),
            Self::ColdStart => cold_start::run(bench, report),
            Self::Api => api::run(bench, report),
            Self::Dispatch => dispatch::run(bench, report),
            Self::Fairness => fairness::run(bench, report),
            Self::Emulators => emulators::run(bench, report),
        }
    }
}

fn now() -> Timestamp {
    Machine.now()
}

/// A number as people write it.
pub fn grouped(number: u64) -> String {
    figures::grouped(&number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 10_000_000].map(grouped), ["0", "999", "1,000", "10,000,000"]);
    }
}
