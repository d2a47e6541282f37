use std::{
    fs,
    io::{self, BufRead, BufWriter, Write},
    path::PathBuf,
};

use clap::Args;
use domain::ocsf::{OwnRules, Version};
use ocsf::Table;

use crate::failure::Failure;

/// Map the lines of an export, from standard input, to OCSF records, one JSON object per line
///
/// The number of records, and of those whose action no rule knows, goes to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gzip --decompress --stdout export/*.ndjson.gz | dev-tools ocsf map > records.ndjson
  dev-tools ocsf map --ocsf-version 1.8.0 --rules rules.json < events.ndjson > records.ndjson")]
pub struct MapArguments {
    /// The version of OCSF: 1.3.0 or 1.8.0
    #[arg(long, default_value_t = Version::V1_3_0, value_name = "VERSION")]
    ocsf_version: Version,

    /// A JSON file with rules that count before the standard ones
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    records: u64,
    other: u64,
}

pub fn run(arguments: &MapArguments) -> Result<(), Failure> {
    let own = arguments.rules.as_ref().map_or_else(|| Ok(OwnRules::default()), own_rules)?;
    let table = Table::new(&own)
        .map_err(|error| Failure::InvalidFile { path: "mapping.json".into(), reason: error.to_string() })?;
    let mut output = BufWriter::new(io::stdout().lock());
    let counts = map_lines(io::stdin().lock(), &mut output, arguments.ocsf_version, &table)?;
    output.flush().or_else(terminal::ignore_closed_pipe)?;
    terminal::report("records", &format!("{}, of which {} with an unknown action", counts.records, counts.other));
    Ok(())
}

fn own_rules(path: &PathBuf) -> Result<OwnRules, Failure> {
    let json = fs::read_to_string(path).map_err(Failure::file(path))?;
    serde_json::from_str(&json).map_err(|error| Failure::InvalidFile { path: path.clone(), reason: error.to_string() })
}

fn map_lines(input: impl BufRead, output: &mut impl Write, version: Version, table: &Table) -> Result<Counts, Failure> {
    let mut counts = Counts::default();
    for line in input.split(b'\n') {
        let line = line?;
        let record = ocsf::map(&line, version, table).map_err(|error| Failure::InvalidFile {
            path: format!("standard input, line {}", counts.records + 1).into(),
            reason: error.to_string(),
        })?;
        serde_json::to_writer(&mut *output, &record).map_err(io::Error::from)?;
        output.write_all(b"\n")?;
        counts.records += 1;
        counts.other += u64::from(record.is_other);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_for_each_line_and_unknown_actions_are_counted() {
        let table = Table::new(&OwnRules::default()).unwrap();
        let input = b"{\"id\":\"1\",\"eventTimestamp\":\"2026-01-01T00:00:00Z\",\"action\":\"QUERY\"}\n\
            {\"id\":\"2\",\"eventTimestamp\":\"2026-01-01T00:00:00Z\",\"action\":\"FROBNICATE\"}\n";
        let mut output = Vec::new();
        let counts = map_lines(&input[..], &mut output, Version::V1_3_0, &table).unwrap();
        assert_eq!(counts, Counts { records: 2, other: 1 });
        assert_eq!(output.split_inclusive(|byte| *byte == b'\n').count(), 2);
        let error = map_lines(&b"{}\n"[..], &mut output, Version::V1_3_0, &table).unwrap_err();
        assert_eq!(error.to_string(), "standard input, line 1: the event has no id");
    }
}
