//! Records of the Open Cybersecurity Schema Framework (OCSF).

mod map;
mod parquet;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum OcsfCommand {
    Map(map::MapArguments),
    Parquet(parquet::ParquetArguments),
}

impl OcsfCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Map(arguments) => map::run(&arguments),
            Self::Parquet(arguments) => parquet::run(&arguments),
        }
    }
}
