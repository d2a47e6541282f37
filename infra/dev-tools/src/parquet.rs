//! Parquet files for tests of readers.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use columnar::{ENCODER_VERSION, ParquetEncoder};
use flate2::read::MultiGzDecoder;

use crate::failure::Failure;

/// Write the events of an exported file as Parquet, with the encoder of exports
///
/// All events become one row group, however many there are.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  dev-tools parquet audit-log/date=2026-01-01/….ndjson.gz events.parquet")]
pub struct ParquetArguments {
    /// A file of NDJSON, as the service accepts it; compressed if its name ends with .gz
    input: PathBuf,

    /// The file to write
    output: PathBuf,
}

pub fn run(arguments: &ParquetArguments) -> Result<(), Failure> {
    let lines = read(&arguments.input)?;
    let invalid = |error: columnar::EncodeError| Failure::InvalidFile {
        path: arguments.input.clone(),
        reason: error.to_string(),
    };
    let mut encoder = ParquetEncoder::new(ENCODER_VERSION).map_err(invalid)?;
    encoder.push_lines(&lines).map_err(invalid)?;
    let file = encoder.finish().map_err(invalid)?;
    fs::write(&arguments.output, file).map_err(Failure::file(&arguments.output))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = fs::read(path).map_err(Failure::file(path))?;
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(bytes);
    }
    let mut lines = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut lines).map_err(Failure::file(path))?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn a_file_may_be_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let line = b"{\"id\":\"1\"}\n";
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(line).unwrap();
        let files: Vec<Vec<u8>> = [("a.ndjson", line.to_vec()), ("a.ndjson.gz", encoder.finish().unwrap())]
            .map(|(name, bytes)| {
                let (input, output) = (folder.path().join(name), folder.path().join("out"));
                fs::write(&input, bytes).unwrap();
                run(&ParquetArguments { input, output: output.clone() }).unwrap();
                fs::read(output).unwrap()
            })
            .into();
        assert_eq!(files[0], files[1]);
        assert!(files[0].starts_with(b"PAR1") && files[0].ends_with(b"PAR1"));
        let input = folder.path().join("b.ndjson");
        fs::write(&input, "no event").unwrap();
        let refused = run(&ParquetArguments { input, output: folder.path().join("out") });
        assert!(matches!(refused, Err(Failure::InvalidFile { .. })));
    }
}
