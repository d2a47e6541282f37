use std::{
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use clap::Args;
use domain::{
    error_code::ErrorCode,
    event::{BodyForm, EventBatch, Rejection},
    tenant::{MAX_TENANT_ID_LENGTH, TenantId},
};
use serde::Serialize;
use terminal::grouped;

use super::input::{self, Event, Events, InputError};
use crate::{
    failure::Failure,
    output::{Output, OutputArguments, Style, Tone},
};

/// The most faulty events that are listed. All are counted.
const MAX_LISTED_FAULTS: usize = 20;

/// Check events offline, by the rules of the service
///
/// Reads NDJSON (one JSON object per line) or a JSON array, plain or compressed with gzip, and lists the first 20 events
/// that the service would refuse: the line, the code of the refusal, and what to change. `audit-export explain CODE` says more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export events validate events.ndjson
  gzip -dc history.json.gz | audit-export events validate - --output json

The exit code is 0 if the service would accept every event, and 5 if not.")]
pub struct ValidateArguments {
    /// The file with the events; - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// The tenant, whose ID counts towards the size of an event; without it, the longest possible ID is assumed
    #[arg(long, value_name = "ID", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,

    #[command(flatten)]
    output: OutputArguments,
}

/// An event that the service would refuse.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line on which the event starts, from 1.
    line: u64,
    code: &'static str,
    message: String,
}

impl Fault {
    fn new(line: u64, rejection: &Rejection) -> Self {
        Self { line, code: rejection.code().name(), message: rejection.to_string() }
    }
}

/// The events of a file.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedEvents {
    pub events: u64,
    /// Bytes of NDJSON.
    pub event_bytes: u64,
    faulty: u64,
    /// The first faulty events.
    faults: Vec<Fault>,
}

impl CheckedEvents {
    /// Checks every event of the input.
    pub fn of(input: impl BufRead, tenant: &TenantId) -> io::Result<Self> {
        let mut events = Events::new(input);
        let mut checked = Self::default();
        loop {
            let fault = match events.next_event() {
                Ok(Some(event)) => {
                    checked.events += 1;
                    checked.event_bytes += event.json.len() as u64;
                    fault(&event, tenant)
                }
                Ok(None) => break,
                Err(InputError::Read(error)) => return Err(error),
                Err(InputError::TooLong { line }) => {
                    checked.events += 1;
                    Some(Fault::new(line, &Rejection::TooLarge))
                }
                Err(InputError::ArrayInvalid { line, reason }) => Some(Fault {
                    line,
                    code: ErrorCode::JsonInvalid.name(),
                    message: format!("The array of events is not valid JSON: {reason}."),
                }),
            };
            checked.add(fault);
        }
        if checked.events == 0 && checked.faulty == 0 {
            checked.add(Some(Fault::new(1, &Rejection::BodyEmpty)));
        }
        Ok(checked)
    }

    fn add(&mut self, fault: Option<Fault>) {
        let Some(fault) = fault else { return };
        self.faulty += 1;
        if self.faults.len() < MAX_LISTED_FAULTS {
            self.faults.push(fault);
        }
    }

    /// # Errors
    /// [`Failure::InvalidFile`] if the service would refuse any event.
    pub fn require_valid(&self, path: &Path) -> Result<(), Failure> {
        if self.faulty == 0 {
            return Ok(());
        }
        let [faulty, events] = [self.faulty, self.events].map(|number| grouped(&number.to_string()));
        Err(Failure::invalid_file(path, format!("{faulty} of {events} events are not valid")))
    }

    pub fn render(&self, style: &Style) -> String {
        if self.faulty == 0 {
            return format!("{} valid events", grouped(&self.events.to_string()));
        }
        let lines = self.faults.iter().map(|Fault { line, code, message }| {
            format!("line {line}: {}: {}", style.paint(Tone::Bad, code), terminal::text::printable(message))
        });
        let mut lines: Vec<String> = lines.collect();
        if self.faulty > lines.len() as u64 {
            lines.push(format!("and {} more", grouped(&(self.faulty - lines.len() as u64).to_string())));
        }
        lines.join("\n")
    }
}

fn fault(event: &Event, tenant: &TenantId) -> Option<Fault> {
    let outcome = EventBatch::parse(tenant.clone(), &event.json, BodyForm::Lines);
    outcome.err().map(|rejected| Fault::new(event.line, &rejected.reason))
}

/// Returns the tenant whose ID takes the most room.
pub fn longest_tenant() -> Result<TenantId, Failure> {
    TenantId::parse(&"x".repeat(MAX_TENANT_ID_LENGTH)).map_err(|error| Failure::argument("--tenant", error))
}

pub fn run(arguments: &ValidateArguments) -> Result<(), Failure> {
    let tenant = arguments.tenant.clone().map_or_else(longest_tenant, Ok)?;
    let checked = CheckedEvents::of(input::open(&arguments.file)?, &tenant).map_err(Failure::file(&arguments.file))?;
    Output::new(&arguments.output).print_value(&checked, |style| checked.render(style))?;
    checked.require_valid(&arguments.file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::style;

    const GOOD: &str = r#"{"id":"1","eventTimestamp":"2026-01-31T23:59:59Z"}"#;

    fn check(input: &str) -> CheckedEvents {
        CheckedEvents::of(input.as_bytes(), &longest_tenant().unwrap()).unwrap()
    }

    fn faults(input: &str) -> Vec<(u64, &'static str)> {
        check(input).faults.iter().map(|fault| (fault.line, fault.code)).collect()
    }

    #[test]
    fn every_faulty_event_is_named_by_its_line() {
        assert_eq!(
            faults(&format!("{GOOD}\n{{}}\n\n7\n{GOOD}\n{{\n")),
            [(2, "EVENT_ID_MISSING"), (4, "EVENT_NOT_AN_OBJECT"), (6, "JSON_INVALID")]
        );
        assert_eq!(
            faults(&format!("[{GOOD},\n[],\n{GOOD}\n{GOOD}]")),
            [(2, "EVENT_NOT_AN_OBJECT"), (4, "JSON_INVALID")]
        );
        assert_eq!(faults("[{\"a\":\"\n\"}]"), [(1, "JSON_INVALID")], "no line feed in a text");
        assert_eq!(faults(" \n"), [(1, "BODY_EMPTY")]);
        let long = format!("{}\n{GOOD}\n", "x".repeat(300_000));
        assert_eq!(faults(&long), [(1, "EVENT_TOO_LARGE")]);
        assert_eq!(check(&long).events, 2);
    }

    #[test]
    fn the_size_counts_the_tenant() {
        let length = 262_144 - r#"{"id":"1","eventTimestamp":"2026-01-31T23:59:59Z","a":""}"#.len() - 70;
        let event = GOOD.replace('}', &format!(",\"a\":\"{}\"}}", "x".repeat(length)));
        assert_eq!(faults(&event), [(1, "EVENT_TOO_LARGE")]);
        let short = CheckedEvents::of(event.as_bytes(), &TenantId::parse("a").unwrap()).unwrap();
        assert!(short.require_valid(Path::new("-")).is_ok());
    }

    #[test]
    fn faults_are_counted_beyond_those_that_are_listed() {
        let checked = check(&"{}\n".repeat(MAX_LISTED_FAULTS + 3));
        let text = checked.render(&style());
        assert!(text.starts_with("line 1: ") && text.contains("EVENT_ID_MISSING"), "{text}");
        assert!(text.ends_with("\nand 3 more"), "{text}");
        let failure = checked.require_valid(Path::new("x")).unwrap_err();
        assert_eq!((failure.exit_code(), failure.to_string().as_str()), (5, "x: 23 of 23 events are not valid"));
        assert_eq!(check(GOOD).render(&style()), "1 valid events");
    }

    /// The corpus of the rules' own tests.
    #[test]
    fn every_odd_event_has_the_code_of_the_service() {
        for line in include_str!("../../../../../tests/e2e/odd_events.ndjson").lines() {
            let odd: serde_json::Value = serde_json::from_str(line).unwrap();
            let event = odd["event"].as_str().unwrap();
            if event.contains("<<") {
                continue;
            }
            let code = odd["code"].as_str();
            let found = [event.to_owned(), format!("[{event}]")].map(|input| faults(&input));
            let expected: Vec<_> = code.into_iter().map(|code| (1, code)).collect();
            for found in found {
                assert_eq!(found, expected, "{}", odd["name"]);
            }
        }
    }
}
