//! Printing the results of commands.

use serde::Serialize;
pub use terminal::{Column, OutputArguments, OutputFormat, Style, Tone};

use crate::{api::Answer, failure::Failure};

/// The destination of a command's result.
#[derive(Debug)]
pub struct Output {
    pub format: OutputFormat,
    pub style: Style,
}

impl Output {
    pub fn new(arguments: &OutputArguments) -> Self {
        Self { format: arguments.output, style: Style::of_standard_output(arguments.color) }
    }

    /// Prints the answer unchanged, or as `render` presents it to people.
    pub fn print(
        &self,
        answer: &Answer,
        render: impl FnOnce(&Style) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Json => print_line(&answer.json()),
            OutputFormat::Table => print_line(&self.style.paragraphs(&render(&self.style)?)),
        }
    }

    /// Prints the value as JSON, or as `render` presents it to people.
    pub fn print_value(&self, value: &impl Serialize, render: impl FnOnce(&Style) -> String) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Json => print_line(&json(value)?),
            OutputFormat::Table => print_line(&self.style.paragraphs(&render(&self.style))),
        }
    }
}

/// Formats a value as JSON on one line.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::StandardOutput(error.into()))
}

/// Prints the fields of `result`, a flat structure.
pub fn print_result(result: &impl Serialize, format: OutputFormat) -> Result<(), Failure> {
    terminal::print_fields(result, format).map_err(Failure::StandardOutput)
}

/// Writes `bytes` unchanged.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    terminal::print_bytes(bytes).map_err(Failure::StandardOutput)
}

pub fn print_line(line: &str) -> Result<(), Failure> {
    terminal::print_line(line).map_err(Failure::StandardOutput)
}

#[cfg(test)]
pub mod tests {
    use super::Style;

    pub fn style() -> Style {
        Style::for_tests()
    }
}
