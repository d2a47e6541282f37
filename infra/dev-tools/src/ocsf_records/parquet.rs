use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use clap::Args;
use domain::ocsf::{Class, OwnRules, Version};
use ocsf::{ClassFile, Table};

use crate::failure::Failure;

/// Write the records of one class as Parquet, from the lines of an export on standard input
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  gzip --decompress --stdout export/*.ndjson.gz | dev-tools ocsf parquet --class API_ACTIVITY records.parquet")]
pub struct ParquetArguments {
    /// The class: `ACCOUNT_CHANGE`, `AUTHENTICATION`, `ENTITY_MANAGEMENT` or `API_ACTIVITY`
    #[arg(long)]
    class: Class,

    /// The version of OCSF: 1.3.0 or 1.8.0
    #[arg(long, default_value_t = Version::V1_3_0, value_name = "VERSION")]
    ocsf_version: Version,

    /// The file to write, unless there is no record of the class
    output: PathBuf,
}

pub fn run(arguments: &ParquetArguments) -> Result<(), Failure> {
    let input = || PathBuf::from("standard input");
    let table = Table::new(&OwnRules::default())
        .map_err(|error| Failure::InvalidFile { path: "mapping.json".into(), reason: error.to_string() })?;
    let mut lines = Vec::new();
    io::stdin().read_to_end(&mut lines).map_err(Failure::file(input()))?;
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut records = Vec::new();
    for line in lines {
        let record = ocsf::map(line, arguments.ocsf_version, &table)
            .map_err(|error| Failure::InvalidFile { path: input(), reason: error.to_string() })?;
        if record.class == arguments.class {
            records.push(record);
        }
    }
    if records.is_empty() {
        return Ok(());
    }
    records.sort_by_key(|record| record.time);
    let file = ClassFile::new(arguments.class, arguments.ocsf_version).and_then(|mut file| {
        records.iter().try_for_each(|record| file.push(record))?;
        file.finish()
    });
    let file =
        file.map_err(|error| Failure::InvalidFile { path: arguments.output.clone(), reason: error.to_string() })?;
    fs::write(&arguments.output, file).map_err(Failure::file(&arguments.output))
}
