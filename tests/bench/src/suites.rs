//! The suites of measurements.

mod api;
mod archive;
mod archiver;
mod blocks;
mod cold_start;
mod dispatch;
mod emulators;
mod export;
mod fairness;
mod filter;
mod ingest;
mod parquet;
mod sweep;

use anyhow::Result;
use clap::ValueEnum;

use crate::{bench::Bench, report::Report};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    Export,
    Archive,
    Blocks,
    Ingest,
    ColdStart,
    Api,
    Dispatch,
    Sweep,
    Fairness,
    Filter,
    Emulators,
    Parquet,
}

impl Suite {
    pub const ALL: [Self; 12] = [
        Self::Export,
        Self::Archive,
        Self::Blocks,
        Self::Ingest,
        Self::ColdStart,
        Self::Api,
        Self::Dispatch,
        Self::Sweep,
        Self::Fairness,
        Self::Filter,
        Self::Emulators,
        Self::Parquet,
    ];

    pub fn run(self, bench: &Bench, report: &mut Report) -> Result<()> {
        match self {
            Self::Export => export::run(bench, report),
            Self::Archive => archive::run(bench, report),
            Self::Blocks => blocks::run(bench, report),
            Self::Ingest => ingest::run(bench, report),
            Self::ColdStart => cold_start::run(bench, report),
            Self::Api => api::run(bench, report),
            Self::Dispatch => dispatch::run(bench, report),
            Self::Sweep => sweep::run(bench, report),
            Self::Fairness => fairness::run(bench, report),
            Self::Filter => filter::run(bench, report),
            Self::Emulators => emulators::run(bench, report),
            Self::Parquet => parquet::run(bench, report),
        }
    }
}
