//! The formats of an export's objects.

/// The format of an object, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    NdjsonGzip,
    NdjsonZstd,
    Parquet,
}

/// The formats that are read here, by the end of the name.
const FORMATS: [(&str, Format); 3] =
    [(".ndjson.gz", Format::NdjsonGzip), (".ndjson.zst", Format::NdjsonZstd), (".parquet", Format::Parquet)];

/// The error of a name with another end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the format {end} is not supported by this command, which reads {}: read the file with another program",
    FORMATS.map(|(end, _)| end).join(", ")
)]
pub struct UnsupportedFormat {
    end: String,
}

impl Format {
    pub fn of(name: &str) -> Result<Self, UnsupportedFormat> {
        let found = FORMATS.iter().find(|(end, _)| name.ends_with(end));
        found.map(|(_, format)| *format).ok_or_else(|| {
            let file = name.rsplit('/').next().unwrap_or(name);
            UnsupportedFormat { end: file.find('.').and_then(|begin| file.get(begin..)).unwrap_or(file).to_owned() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_refused_by_name() {
        let day = "date=2026-11-22";
        assert_eq!(Format::of(&format!("{day}/a_1-b_2.ndjson.gz")), Ok(Format::NdjsonGzip));
        assert_eq!(Format::of(&format!("{day}/a_1-b_2.ndjson.zst")), Ok(Format::NdjsonZstd));
        assert_eq!(Format::of(&format!("{day}/a_1-b_2.parquet")), Ok(Format::Parquet));
        for (name, end) in [("a_1-b_2.json.zst", ".json.zst"), ("a_1-b_2.csv", ".csv"), ("x", "x")] {
            let error = Format::of(&format!("{day}/{name}")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the format {end} is not supported")), "{error}");
            assert!(error.contains("reads .ndjson.gz, .ndjson.zst, .parquet:"), "{error}");
        }
    }
}
