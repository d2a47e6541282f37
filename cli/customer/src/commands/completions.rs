use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::{failure::Failure, output};

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export completions bash > \\
    ~/.local/share/bash-completion/completions/audit-export
  audit-export completions zsh > ~/.zfunc/_audit-export
  audit-export completions fish > ~/.config/fish/completions/audit-export.fish")]
pub struct CompletionsArguments {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(arguments: &CompletionsArguments, program: &mut Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, program, "audit-export", &mut script);
    output::print_bytes(&script)
}
