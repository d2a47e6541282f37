//! The options that choose how a result is printed.

use clap::Args;
use terminal::{ColorChoice, OutputFormat};

/// The output options of a command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArguments {
    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,

    /// When to print colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
}
