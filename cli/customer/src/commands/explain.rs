//! The command `explain`: the meaning of codes, offline.

use clap::Args;
use domain::error_code::{ErrorCode, Place};
use serde::Serialize;
use verification::BreakCode;

use crate::{
    commands::events::ImportRefusal,
    failure::Failure,
    output::{self, Output, OutputArguments, OutputFormat, Style, Tone},
    words::in_commands,
};
use terminal::text::printable;

/// Characters of the longest text that is compared with the codes.
const MAX_CODE_LENGTH: usize = 64;
/// The similarity, from 0 to 1, of a code to suggest.
const MIN_SIMILARITY: f64 = 0.7;

/// The columns of a terminal that shows where each code appears.
const MIN_WIDTH_WITH_PLACES: usize = 110;

const VERIFICATION: &str = "Verification";
const VERIFICATION_REMEDY: &str = "Keep the report and the files; find out who could write to the bucket, and \
    compare with other copies. If you verified a copy, fetch it again first.";

const IMPORT: &str = "Import";

const DIGEST_REMEDY: &str = "Keep the report and the files; find out who could write to the bucket. `audit-export config \
    digest JOB-ID` restores the digest and its signature. If you verified a copy, fetch it again first.";
const NOT_WHOLE_REMEDY: &str = "Also verify the places that the report names under Elsewhere, or omit \
    --require-whole to verify the part that is here. If the export never had another place, digests were removed.";

const OUTDATED_REMEDY: &str = "Fetch the copy again, and verify it. If it ends at the same time, the newest digests were \
    removed: verify the bucket itself, and find out who could write to it.";
const UNPROVEN_REMEDY: &str = "Files received after the newest digest belong to a running export: verify again when it \
    has ended. Uncovered files are proven where their digests are. Until then, read only the files that --proven-objects lists.";

const EXAMPLES: &str = "\
Examples:
  audit-export explain WRITE_DENIED
  audit-export explain --output json";

/// Explain a code: its meaning, and what to do
///
/// Covers the codes of the API, of sending and importing events, of input fields, of connection tests, and of `verify`.
/// Works offline.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArguments {
    /// The code, in upper or lower case; without it, all codes are listed
    code: Option<String>,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// A code with its explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    code: &'static str,
    places: Vec<&'static str>,
    meaning: &'static str,
    remedy: &'static str,
}

/// Returns all codes, sorted.
fn entries() -> Vec<Entry> {
    let of_service = ErrorCode::all().map(|code| {
        let explanation = code.explanation();
        Entry {
            code: code.name(),
            places: code.places().iter().copied().map(Place::name).collect(),
            meaning: explanation.meaning,
            remedy: explanation.remedy,
        }
    });
    let of_verification = BreakCode::ALL.iter().copied().map(|code| Entry {
        code: code.as_str(),
        places: vec![VERIFICATION],
        meaning: code.explanation(),
        remedy: match code {
            BreakCode::NotWhole => NOT_WHOLE_REMEDY,
            BreakCode::OutdatedCopy => OUTDATED_REMEDY,
            BreakCode::UnprovenFiles => UNPROVEN_REMEDY,
            BreakCode::MissingDigest
            | BreakCode::MissingSignature
            | BreakCode::AlteredDigest
            | BreakCode::BadSignature
            | BreakCode::ReplayedDigest => DIGEST_REMEDY,
            _ => VERIFICATION_REMEDY,
        },
    });
    let of_import = ImportRefusal::ALL.into_iter().map(|refusal| Entry {
        code: refusal.code(),
        places: vec![IMPORT],
        meaning: refusal.meaning(),
        remedy: refusal.remedy(),
    });
    let mut entries: Vec<Entry> = of_service.chain(of_verification).chain(of_import).collect();
    entries.sort_unstable_by_key(|entry| entry.code);
    entries
}

/// Returns the names of all codes.
pub fn codes() -> Vec<String> {
    entries().iter().map(|entry| entry.code.to_owned()).collect()
}

pub fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let output = Output::new(&OutputArguments { output: arguments.output, ..OutputArguments::default() });
    let text = explain(arguments.code.as_deref(), output.format, &output.style)?;
    output::print_line(&text)
}

fn explain(code: Option<&str>, format: OutputFormat, style: &Style) -> Result<String, Failure> {
    let entries = entries();
    let Some(text) = code else {
        return match format {
            OutputFormat::Json => output::json(&entries),
            OutputFormat::Table => Ok(render_all(&entries, style)),
        };
    };
    let wanted = text.trim().to_ascii_uppercase().replace(['-', ' '], "_");
    let entry = entries.iter().find(|entry| entry.code == wanted);
    let entry = entry.ok_or_else(|| Failure::argument("CODE", unknown(&wanted, &entries)))?;
    match format {
        OutputFormat::Json => output::json(entry),
        OutputFormat::Table => Ok(render(entry, style)),
    }
}

fn unknown(wanted: &str, entries: &[Entry]) -> String {
    let shown: String = printable(wanted).chars().take(MAX_CODE_LENGTH).collect();
    let hint = match nearest(wanted, entries) {
        Some(entry) => format!("did you mean {}?", entry.code),
        None => "`audit-export explain` lists all codes".to_owned(),
    };
    format!("there is no code {shown}; {hint}")
}

fn nearest<'a>(wanted: &str, entries: &'a [Entry]) -> Option<&'a Entry> {
    if wanted.chars().nth(MAX_CODE_LENGTH).is_some() {
        return None;
    }
    let similarities = entries.iter().map(|entry| (strsim::normalized_damerau_levenshtein(wanted, entry.code), entry));
    let (similarity, entry) = similarities.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (similarity >= MIN_SIMILARITY).then_some(entry)
}

fn render(entry: &Entry, style: &Style) -> String {
    style.fields(&[
        ("Code", Some(style.paint(Tone::Strong, entry.code))),
        ("Meaning", Some(in_commands(entry.meaning))),
        ("What to do", Some(in_commands(entry.remedy))),
        ("Appears in", Some(entry.places.join(", "))),
    ])
}

fn render_all(entries: &[Entry], style: &Style) -> String {
    let is_wide = style.width.is_none_or(|width| width >= MIN_WIDTH_WITH_PLACES);
    let row = |entry: &Entry| {
        let mut row = vec![(Tone::Plain, entry.code.to_owned())];
        if is_wide {
            row.push((Tone::Faint, entry.places.join(", ")));
        }
        row.push((Tone::Plain, in_commands(entry.meaning)));
        row
    };
    let headings: &[&str] = if is_wide { &["CODE", "APPEARS IN", "MEANING"] } else { &["CODE", "MEANING"] };
    style.table_or_lists(headings, &entries.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write, path::Path};

    use super::*;
    use crate::{api::operations, output::tests::style};

    const VERIFICATION_DESCRIPTION: &str =
        "Problems that `audit-export verify` found in an export: `breaks[].code` of its report.";

    const IMPORT_DESCRIPTION: &str = "Files that `audit-export events import` refuses. The error begins with the file's name and \
        the code; the exit code is 5.";

    fn table(code: &str) -> Result<String, Failure> {
        explain(Some(code), OutputFormat::Table, &style())
    }

    /// docs/reference/ERRORS.md.
    fn document() -> String {
        let mut text = "\
# Codes

A code keeps its name and meaning; the message beside it may change. Every error has the shape `{\"errors\":[{\"message\":\"…\",\"extensions\":{\"code\":\"…\"}}]}`. `audit-export explain CODE` shows
the same texts.

This page is generated from [error_code.rs](../../shared/domain/src/error_code.rs) and what that composes:
`UPDATE_DOCS=1 cargo test -p audit-export explain`.
"
        .to_owned();
        let places = Place::ALL.iter().map(|place| (place.name(), place.description()));
        let of_commands = [(VERIFICATION, VERIFICATION_DESCRIPTION), (IMPORT, IMPORT_DESCRIPTION)];
        for (name, description) in places.chain(of_commands) {
            write!(text, "\n## {name}\n\n{description}\n\n| Code | Meaning | What to do |\n|---|---|---|\n").unwrap();
            for Entry { code, meaning, remedy, .. } in entries().iter().filter(|entry| entry.places.contains(&name)) {
                writeln!(text, "| `{code}` | {meaning} | {remedy} |").unwrap();
            }
        }
        text
    }

    #[test]
    fn the_page_of_codes_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/ERRORS.md");
        golden_documents::assert_current(&path, &document(), "cargo test -p audit-export explain");
    }

    #[test]
    fn every_code_has_one_entry() {
        let entries = entries();
        let names: BTreeSet<&str> = entries.iter().map(|entry| entry.code).collect();
        assert_eq!(names.len(), entries.len(), "two codes share a name");
        for entry in entries {
            assert!(!entry.meaning.contains('|') && !entry.remedy.contains('|'), "breaks the table: {}", entry.code);
        }
    }

    /// The template has the codes of API Gateway's own answers.
    #[test]
    fn the_codes_of_the_template_are_known() {
        let template = include_str!("../../../../template.yaml");
        let codes: Vec<&str> =
            template.split(r#""code":""#).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(codes.len() >= 10, "{codes:?}");
        for code in codes {
            let entry = entries().into_iter().find(|entry| entry.code == code);
            assert!(entry.is_some_and(|entry| entry.places.contains(&Place::Http.name())), "{code}");
        }
    }

    #[test]
    fn one_code_is_explained_however_it_is_written() {
        insta::assert_snapshot!("explain_one", table("WRITE_DENIED").unwrap());
        for spelling in ["write_denied", " Write-Denied", "write denied"] {
            assert_eq!(table(spelling).unwrap(), table("WRITE_DENIED").unwrap());
        }
        insta::assert_snapshot!("explain_one_json", explain(Some("CONFLICT"), OutputFormat::Json, &style()).unwrap());
        insta::assert_snapshot!("explain_verification", table("SPLICED_CHAIN").unwrap());
    }

    #[test]
    fn codes_are_explained_in_the_words_of_commands() {
        for entry in entries() {
            let shown = render(&entry, &style());
            assert!(!shown.contains("GraphQL: "), "{shown}");
            for operation in operations::ALL {
                assert!(!shown.contains(operation.field), "{}: {shown}", operation.field);
            }
        }
    }

    #[test]
    fn all_codes_are_listed() {
        insta::assert_snapshot!("explain_all", explain(None, OutputFormat::Table, &style()).unwrap());
        for width in [80, 120] {
            let shown = render_all(&entries()[..8], &Style { width: Some(width), ..style() });
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            insta::assert_snapshot!(format!("explain_all_of_{width}_columns"), shown);
        }
        let json = explain(None, OutputFormat::Json, &style()).unwrap();
        let listed: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(listed.len(), entries().len());
    }

    #[test]
    fn the_nearest_code_is_suggested_for_an_unknown_one() {
        let fault = |code: &str| {
            let failure = table(code).unwrap_err();
            assert_eq!(failure.exit_code(), 2);
            failure.to_string()
        };
        assert_eq!(fault("WRITE_DENID"), "CODE: there is no code WRITE_DENID; did you mean WRITE_DENIED?");
        assert_eq!(fault("kms-denyed"), "CODE: there is no code KMS_DENYED; did you mean KMS_DENIED?");
        let lists = "; `audit-export explain` lists all codes";
        assert_eq!(fault("\u{1b}[2Jx"), format!("CODE: there is no code [2JX{lists}"));
        assert_eq!(fault(""), format!("CODE: there is no code {lists}"));
        let long = fault(&"WRITE_DENIED".repeat(1_000));
        assert!(long.len() < 150 && long.ends_with(lists), "{long}");
    }
}
