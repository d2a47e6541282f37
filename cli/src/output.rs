//! The one place that writes to the terminal.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned lines of name and value
    #[default]
    Table,
    /// One JSON object on one line
    Json,
}

/// Prints the fields of `result`, a flat structure.
pub fn print_result(result: &impl Serialize, format: OutputFormat) -> Result<(), Failure> {
    print_line(&render(result, format).map_err(|error| Failure::StandardOutput(error.into()))?)
}

fn render(result: &impl Serialize, format: OutputFormat) -> Result<String, serde_json::Error> {
    if format == OutputFormat::Json {
        return serde_json::to_string(result);
    }
    let fields = match serde_json::to_value(result)? {
        serde_json::Value::Object(fields) => fields,
        other => return Ok(other.to_string()),
    };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            format!("{name:width$}  {text}")
        })
        .collect();
    Ok(lines.join("\n"))
}

pub fn print_line(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{line}").or_else(ignore_closed_pipe).map_err(Failure::StandardOutput)
}

/// `audit-export … | head` ends the reader first: that is no failure.
pub fn ignore_closed_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

pub fn report_failure(failure: &Failure) {
    // Nobody is left to tell if standard error is closed too.
    let _ = writeln!(io::stderr().lock(), "error: {failure}");
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Summary {
        accepted: u64,
        key_id: &'static str,
    }

    #[test]
    fn both_formats_show_every_field() {
        let summary = Summary { accepted: 12, key_id: "abc" };
        assert_eq!(render(&summary, OutputFormat::Json).unwrap(), r#"{"accepted":12,"keyId":"abc"}"#);
        assert_eq!(render(&summary, OutputFormat::Table).unwrap(), "accepted  12\nkeyId     abc");
    }
}
