//! The reference page of a command-line program, generated from its `--help`.

use clap::Command;

/// Columns of the page.
const WIDTH: usize = 100;

/// A subcommand and the words that call it.
#[derive(Debug)]
pub struct NamedCommand {
    pub path: Vec<String>,
    pub command: Command,
}

impl NamedCommand {
    /// Returns whether the help shows how the command is called, or leaves that to its subcommands.
    #[must_use]
    pub fn has_examples(&self) -> bool {
        subcommands(&self.command).next().is_some() || !self.examples().is_empty()
    }

    /// Returns the lines of the examples in the help.
    #[must_use]
    pub fn examples(&self) -> Vec<String> {
        let help = self.command.get_after_long_help().or(self.command.get_after_help()).map(ToString::to_string);
        let (_, examples) = help.as_deref().and_then(|help| help.split_once("Examples:\n")).unwrap_or_default();
        examples.lines().take_while(|line| line.starts_with("  ")).map(ToOwned::to_owned).collect()
    }

    fn section(mut self, program: &str) -> String {
        let heading = match self.path.len() {
            0 => String::new(),
            depth => format!("\n{} `{program} {}`\n", "#".repeat(depth + 1), self.path.join(" ")),
        };
        let help = self.command.render_long_help().to_string();
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        format!("{heading}\n```text\n{}\n```\n", lines.join("\n"))
    }
}

/// Returns the program and all its subcommands, in the order of `--help`.
#[must_use]
pub fn commands(program: Command) -> Vec<NamedCommand> {
    let mut program = program.term_width(WIDTH);
    program.build();
    let mut commands = Vec::new();
    add(&mut commands, Vec::new(), &program);
    commands
}

fn add(commands: &mut Vec<NamedCommand>, path: Vec<String>, command: &Command) {
    let children = subcommands(command).map(|child| ([&path[..], &[child.get_name().to_owned()]].concat(), child));
    let children: Vec<_> = children.collect();
    commands.push(NamedCommand { path, command: command.clone() });
    for (path, child) in children {
        add(commands, path, child);
    }
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|child| child.get_name() != "help")
}

/// Returns the page of the program; `update` is the command that writes it.
#[must_use]
pub fn reference_page(program: Command, update: &str) -> String {
    let name = program.get_name().to_owned();
    let sections: String = commands(program).into_iter().map(|command| command.section(&name)).collect();
    format!(
        "<!-- Generated from the command line: UPDATE_DOCS=1 {update} -->\n\n# `{name}`\n\nThe `--help` of every command.\n{sections}"
    )
}
