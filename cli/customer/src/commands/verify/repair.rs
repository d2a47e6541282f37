//! The commands that `verify --repair` prints.

use domain::configuration::ConfigurationId;
use serde::Serialize;
use terminal::text::shell_word;
use verification::{Place, RepairAdvice, RepairNeed, Report, VerificationOutcome, repairs_for};

use crate::access::AccessArguments;

/// The repairs for what a verification found.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Repairs(Vec<RepairCommand>);

/// A command, and what it repairs.
#[derive(Debug, Serialize)]
struct RepairCommand {
    #[serde(flatten)]
    advice: RepairAdvice,
    command: String,
    /// The same in lines of at most 80 columns.
    #[serde(skip)]
    lines: String,
}

impl Repairs {
    /// Returns the repairs for a report. The commands have these arguments for access to the service.
    pub fn of(report: &Report, access: &AccessArguments) -> Self {
        let id = report.configuration_id.or(report.place.as_ref().map(Place::configuration_id));
        let advices = repairs_for(report).into_iter();
        Self(id.map(|id| advices.map(|advice| command(id, advice, access)).collect()).unwrap_or_default())
    }

    /// Returns the commands for people.
    pub fn text(&self, outcome: VerificationOutcome) -> String {
        let mut sections = Vec::new();
        for (need, title) in [
            (RepairNeed::Missing, "To put back what is missing:"),
            (
                RepairNeed::Altered,
                "To replace what was altered. This writes every file of these times again,\nover what is in the bucket:",
            ),
        ] {
            let commands: Vec<&str> =
                self.0.iter().filter(|command| command.advice.need == need).map(|command| &*command.lines).collect();
            if !commands.is_empty() {
                sections.push(format!("{title}\n\n{}", commands.join("\n\n")));
            }
        }
        if sections.is_empty() {
            let text = match outcome {
                VerificationOutcome::Broken => "No repair resolves what was found.",
                VerificationOutcome::Complete | VerificationOutcome::Outdated => "Nothing has to be repaired.",
            };
            return text.to_owned();
        }
        sections.push("Then verify again.".to_owned());
        sections.join("\n\n")
    }
}

fn command(id: ConfigurationId, advice: RepairAdvice, access: &AccessArguments) -> RepairCommand {
    let RepairAdvice { need, from, to } = advice;
    let mut end: Vec<String> = Vec::new();
    if need == RepairNeed::Altered {
        end.push("--overwrite".to_owned());
    }
    end.push("--wait".to_owned());
    if let Some(profile) = &access.profile {
        end.push(format!("--profile {}", shell_word(profile)));
    }
    if let Some(file) = &access.token_file {
        end.push(format!("--token-file {}", shell_word(&file.display().to_string())));
        end.extend(access.url.as_ref().map(|url| format!("--url {}", shell_word(url.as_str()))));
    }
    let parts = [format!("audit-export config repair {id}"), format!("--from {from} --to {to}"), end.join(" ")];
    RepairCommand { advice, command: parts.join(" "), lines: format!("  {}", parts.join(" \\\n    ")) }
}
