use std::collections::BTreeMap;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::{failure::Failure, output};

/// Print the completion script for a shell
///
/// In bash, zsh and fish the script also completes IDs, which it asks the service for, codes and profiles.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export completions bash > \\
    ~/.local/share/bash-completion/completions/audit-export
  audit-export completions zsh > ~/.zfunc/_audit-export
  audit-export completions fish > \\
    ~/.config/fish/completions/audit-export.fish")]
pub struct CompletionsArguments {
    #[arg(value_enum)]
    shell: Shell,
}

/// The begin of the functions that complete a line, and what is added to them.
const BASH: [&str; 2] = [
    "_audit__export() {\n",
    r#"    COMPREPLY=( $(compgen -W "$(audit-export __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$2") )
    if [[ ${#COMPREPLY[@]} -gt 0 ]]; then return 0; fi
"#,
];
const ZSH: [&str; 2] = [
    "_audit-export() {\n",
    r#"    local -a names
    names=(${(f)"$(audit-export __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( ${#names} )); then compadd -a names; return; fi
"#,
];
const FISH: &str =
    "complete -c audit-export -a \"(audit-export __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)\"\n";
/// The end of a line of fish for `--profile`.
const FISH_PROFILE: &str = " -f -a \"(audit-export __complete config list --profile '' 2>/dev/null)\"";

pub fn run(arguments: &CompletionsArguments, program: &mut Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, program, "audit-export", &mut script);
    output::print_bytes(with_names(arguments.shell, &String::from_utf8_lossy(&script)).as_bytes())
}

/// Adds the names that the program knows to a generated script.
fn with_names(shell: Shell, script: &str) -> String {
    let begun = |script: &str, [begin, added]: [&str; 2]| script.replacen(begin, &[begin, added].concat(), 1);
    match shell {
        Shell::Bash => begun(&with_equal_labels(script), BASH),
        Shell::Zsh => begun(script, ZSH),
        Shell::Fish => {
            let is_profile = |line: &str| line.contains(" -l profile -d ") && line.ends_with(" -r");
            let lines = script.lines().map(|line| {
                let end = if is_profile(line) { FISH_PROFILE } else { "" };
                format!("{line}{end}\n")
            });
            lines.chain([FISH.to_owned()]).collect()
        }
        _ => script.to_owned(),
    }
}

/// Repairs a script for bash: `clap_complete` 4.6 assigns `cmd="audit__export__subcmd__config"` and compares it with
/// `audit__subcmd__export__subcmd__config`, because the program's name has a hyphen.
fn with_equal_labels(script: &str) -> String {
    let plain = |label: &str| label.replace("__subcmd__", "__");
    let assigned = |line: &str| Some(line.trim().strip_prefix("cmd=\"")?.strip_suffix('"')?.to_owned());
    let names: BTreeMap<String, String> =
        script.lines().filter_map(assigned).map(|name| (plain(&name), name)).collect();
    let lines = script.lines().map(|line| {
        let label = line.trim().strip_suffix(')').and_then(|label| Some((label, names.get(&plain(label))?)));
        label.map_or_else(|| format!("{line}\n"), |(label, name)| format!("{}\n", line.replace(label, name)))
    });
    lines.collect()
}
