use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{failure::Failure, output};

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export completions bash > ~/.local/share/bash-completion/completions/audit-export
  audit-export completions zsh > ~/.zfunc/_audit-export
  audit-export completions fish > ~/.config/fish/completions/audit-export.fish")]
pub struct CompletionsArguments {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut command = crate::Arguments::command();
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "audit-export", &mut script);
    output::print_bytes(&script)
}
