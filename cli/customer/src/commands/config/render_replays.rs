//! Texts with replays.

use terminal::text::shell_word;

use super::{render, render_jobs::bytes, run::count};
use crate::{
    model::Replay,
    output::{Column, Style, Tone},
};

const NO_REPLAYS: &str = "\
0 replays

audit-export config replay ID exports a past period again, under a path of its own.";

/// The most important columns first: those that don't fit the terminal are left out.
const REPLAYS: &[Column<Replay>] = &[
    Column { heading: "ID", cell: |replay, _| (Tone::Plain, replay.id.to_string()) },
    Column { heading: "STATUS", cell: |replay, _| (tone(replay), replay.status.to_string()) },
    Column { heading: "DONE", cell: |replay, _| (Tone::Plain, format!("{} %", replay.percent)) },
    Column { heading: "RECEIVED FROM", cell: |replay, style| (Tone::Plain, style.time(&replay.from)) },
    Column { heading: "EVENTS", cell: |replay, _| (Tone::Plain, replay.events.to_string()) },
    Column { heading: "UNTIL", cell: |replay, style| (Tone::Plain, style.time(&replay.to)) },
    Column { heading: "STORED", cell: |replay, _| (Tone::Plain, bytes(replay.bytes)) },
    Column { heading: "PATH", cell: |replay, _| (Tone::Plain, replay.bucket_path.to_string()) },
];

/// The columns that fit into 80 characters.
const NARROW_REPLAYS: usize = 4;

fn tone(replay: &Replay) -> Tone {
    match &*replay.status {
        "SUCCEEDED" => Tone::Good,
        "FAILED" => Tone::Bad,
        _ => Tone::Warning,
    }
}

pub fn replays(replays: &[Replay], style: &Style) -> String {
    if replays.is_empty() {
        return NO_REPLAYS.to_owned();
    }
    let mut sections = vec![style.fitted(REPLAYS, NARROW_REPLAYS, replays)];
    for replay in replays {
        let problem = replay.error.as_ref().map(|error| format!("{}: {}: {}", replay.id, error.code, error.message));
        sections.extend(problem.map(|problem| style.wrapped(&style.paint(Tone::Bad, &problem), 2)));
    }
    sections.join("\n\n")
}

/// Formats a replay with the next step. `verify` are the options of the command that checks it.
pub fn replay(replay: &Replay, verify: &str, style: &Style) -> String {
    let delivered =
        [count(replay.events, "event"), count(replay.objects, "file"), count(replay.bytes, "byte")].join(", ");
    let period = [
        ("id", Some(replay.id.to_string())),
        ("status", Some(style.paint(tone(replay), &replay.status))),
        ("received from", Some(style.time(&replay.from))),
        ("until", Some(style.time(&replay.to))),
        ("format", replay.format.as_ref().map(ToString::to_string)),
    ];
    let progress = [
        ("exported through", replay.exported_through.as_ref().map(|through| style.time(through))),
        ("delivered", Some(format!("{} %: {delivered}", replay.percent))),
        ("place", Some(replay.place.to_string())),
        ("error", replay.error.as_ref().map(|error| error.code.to_string())),
    ];
    let contents = render::contents(replay.filter.as_ref(), replay.ocsf.as_ref());
    let fields = style.fields(&[&period[..], &contents, &progress].concat());
    format!("{fields}\n\n{}", advice(replay, verify))
}

/// Returns the next step.
fn advice(replay: &Replay, verify: &str) -> String {
    let id = &replay.export_configuration_id;
    match (&*replay.status, &replay.error) {
        ("SUCCEEDED", _) => {
            let place = shell_word(&replay.place);
            format!(
                "To check it:\n  audit-export verify \\\n    {place} \\\n    --expect-through {}{verify}",
                replay.to
            )
        }
        (_, Some(error)) => error.message.to_string(),
        ("CANCELLED", _) => {
            "Files in the bucket stay. The same request continues the replay, within 7 days.".to_owned()
        }
        _ => format!("To follow its progress: audit-export config replays {id}"),
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::tests::style;

    pub fn replay_json() -> Value {
        json!({
            "id": "5f3c1f9e-2b7a-4c64-8a55-6a8f3a0c9d21",
            "exportConfigurationId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b",
            "status": "RUNNING", "error": null,
            "from": "2026-11-20T00:00:00.000Z", "to": "2026-11-22T00:00:00.000Z",
            "bucketName": "acme-audit", "bucketPath": "replays/siem",
            "place": "s3://acme-audit/replays/siem/5f3c1f9e-2b7a-4c64-8a55-6a8f3a0c9d21",
            "percent": 50, "exportedThrough": "2026-11-21T00:00:00.000Z",
            "objects": 3, "events": 40, "bytes": 5_000,
        })
    }

    pub fn replay_with(changes: &Value) -> Replay {
        let mut replay = replay_json();
        for (name, value) in changes.as_object().unwrap() {
            replay[name] = value.clone();
        }
        serde_json::from_value(replay).unwrap()
    }

    fn failed() -> Replay {
        replay_with(&json!({"status": "FAILED", "error": {"code": "WRITE_DENIED", "message": "Allow s3:PutObject."}}))
    }

    #[test]
    fn replays_are_a_table_with_their_failures() {
        insta::assert_snapshot!("replays", replays(&[replay_with(&json!({})), failed()], &style()));
        assert!(replays(&[], &style()).starts_with("0 replays"));
    }

    #[test]
    fn replays_fit_the_terminal() {
        let widest = replay_with(&json!({"status": "SUCCEEDED", "percent": 100}));
        for width in [80, 120] {
            let shown = replays(&[widest.clone(), failed()], &Style { width: Some(width), ..style() });
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            insta::assert_snapshot!(format!("replays_of_{width}_columns"), shown);
        }
    }

    #[test]
    fn a_replay_is_a_record_with_the_next_step() {
        insta::assert_snapshot!("replay_running", replay(&replay_with(&json!({})), "", &style()));
        let of_ocsf = replay_with(&json!({
            "format": "OCSF_PARQUET", "filter": { "include": { "actions": ["DELETE*"] } },
            "ocsf": { "version": "1.3.0", "classes": [] },
        }));
        insta::assert_snapshot!("replay_of_ocsf", replay(&of_ocsf, "", &style()));
        for (state, step) in [
            (json!({"status": "SUCCEEDED"}), "--expect-through 2026-11-22T00:00:00.000Z --profile production"),
            (json!({"status": "CANCELLED"}), "The same request continues the replay"),
        ] {
            assert!(replay(&replay_with(&state), " --profile production", &style()).contains(step), "{state}");
        }
        assert!(replay(&failed(), "", &style()).ends_with("Allow s3:PutObject."));
    }
}
