//! Output of command-line programs: tables, colours, times, and text from elsewhere made safe to show.

mod arguments;
mod number;
mod style;
pub mod text;

use std::io::{self, Write};

use serde::Serialize;

pub use self::{
    arguments::{ColorChoice, OutputArguments, OutputFormat},
    number::{grouped, parse_count, short_duration},
    style::{Column, Style, Tone},
};

/// Prints the fields of `result`, a flat structure.
pub fn print_fields(result: &impl Serialize, format: OutputFormat) -> io::Result<()> {
    print_line(&fields(result, format)?)
}

fn fields(result: &impl Serialize, format: OutputFormat) -> serde_json::Result<String> {
    if format == OutputFormat::Json {
        return serde_json::to_string(result);
    }
    let serde_json::Value::Object(fields) = serde_json::to_value(result)? else { return serde_json::to_string(result) };
    let texts = fields.iter().map(|(name, value)| {
        (name.as_str(), Some(value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)))
    });
    Ok(Style::plain().fields(&texts.collect::<Vec<_>>()))
}

/// Writes `bytes` unchanged.
pub fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(bytes).or_else(ignore_closed_pipe)
}

pub fn print_line(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}").or_else(ignore_closed_pipe)
}

/// Accepts that the reader of standard output ends first, as in `… | head`.
pub fn ignore_closed_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// Writes a warning to standard error.
pub fn warn(text: &str) {
    report("warning", &text);
}

/// Writes a labelled text to standard error.
pub fn report(label: &str, text: &impl std::fmt::Display) {
    // A closed standard error can't be reported anywhere.
    let _ = writeln!(io::stderr().lock(), "{label}: {text}");
}

#[cfg(test)]
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
        assert_eq!(fields(&summary, OutputFormat::Json).unwrap(), r#"{"accepted":12,"keyId":"abc"}"#);
        assert_eq!(fields(&summary, OutputFormat::Table).unwrap(), "accepted  12\nkeyId     abc");
    }
}
