use std::time::Duration;

use super::*;
use crate::{
    block::{BlockId, MAX_BLOCK_STORED_LENGTH},
    configuration::{ExportConfiguration, ExportProgress, test_support::with_role},
    digest::{Gap, GapReason},
    time::Timestamp,
};

fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

fn state(cursor: &str) -> ExportState {
    let cursor = BlockId::lowest_at(at(cursor));
    ExportState {
        cursor,
        next_sequence: 3,
        next_revision: 0,
        head: None,
        fencing_token: FencingToken(1),
        window: None,
        rerun_through: None,
        lost_through: None,
    }
}

fn window(state: &ExportState, through: &str, floor: &str) -> Option<Window> {
    let now = at("2026-11-22T12:00:00Z");
    state.window_through(&with_role(), at(through), at(floor), now, test_support::plan)
}

#[test]
fn an_object_that_ends_at_its_target_is_put_at_once() {
    assert!(TARGET_STORED_LENGTH + MAX_BLOCK_STORED_LENGTH as u64 <= PART_SIZE);
}

#[test]
fn the_settling_time_outlasts_every_late_write() {
    assert_eq!(MIN_SETTLE, Duration::from_secs(20 + 15 * 60 + 60));
}

#[test]
fn an_exported_boundary_is_not_exported_again() {
    let state = state("2026-11-22T00:00:00Z");
    assert_eq!(window(&state, "2026-11-22T00:00:00Z", "1970-01-01T00:00:00Z"), None);
    let window = window(&state, "2026-11-22T02:00:00Z", "1970-01-01T00:00:00Z").unwrap();
    assert_eq!((window.from, window.gap), (state.cursor, None));
    assert_eq!(window.remaining().end, BlockId::lowest_at(at("2026-11-22T02:00:00Z")));
}

#[test]
fn events_past_their_retention_are_a_gap() {
    let state = state("2026-11-01T00:00:00Z");
    let partly = window(&state, "2026-11-22T00:00:00Z", "2026-11-10T00:00:00Z").unwrap();
    assert_eq!(partly.gap.unwrap().to, at("2026-11-10T00:00:00Z"));
    assert_eq!(partly.remaining().first, BlockId::lowest_at(at("2026-11-10T00:00:00Z")));
    let wholly = window(&state, "2026-11-05T00:00:00Z", "2026-11-10T00:00:00Z").unwrap();
    assert_eq!(wholly.gap.unwrap().to, at("2026-11-05T00:00:00Z"));
    assert!(wholly.remaining().is_empty());
}

#[test]
fn a_loss_that_grows_begins_once() {
    let new = state("2026-11-01T00:00:00Z");
    let gap = |from, to| Gap::retention_ended(at(from), at(to));
    let first = gap("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    assert!(new.begins_loss(&first));
    let recorded = ExportState { lost_through: Some(first.to), ..new };
    assert!(!recorded.begins_loss(&gap("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z")));
    // The loss was signed, and the export fails again later.
    assert!(recorded.begins_loss(&gap("2026-11-02T00:00:00Z", "2026-11-04T00:00:00Z")));
}

#[test]
fn a_start_before_the_retention_is_no_loss_until_something_promised_is_lost() {
    let start_from = at("2026-01-01T00:00:00Z");
    let configuration = ExportConfiguration { created_at: at("2026-11-20T00:00:00Z"), start_from, ..with_role() };
    let new = ExportState { next_sequence: 0, ..state("2026-01-01T00:00:00Z") };
    let reason = |state: &ExportState, floor: &str| {
        let through = at("2026-11-22T00:00:00Z");
        let gap = state.window_through(&configuration, through, at(floor), through, test_support::plan).unwrap().gap;
        (gap.unwrap().reason, state.lost(&configuration, at(floor), Timestamp::EPOCH))
    };
    let lost = |floor: &str| Some(Gap::retention_ended(new.exported_through(), at(floor)));
    let (before, after) = ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00.001Z");
    assert_eq!(reason(&new, before), (GapReason::StartBeforeRetention, None));
    assert_eq!(reason(&new, after), (GapReason::RetentionEnded, lost(after)));
    let begun = ExportState { next_sequence: 1, ..new.clone() };
    assert_eq!(reason(&begun, before), (GapReason::RetentionEnded, lost(before)));
}

#[test]
fn windows_stored_without_attempts_are_read() {
    let state = state("2026-11-22T00:00:00Z");
    let window = window(&state, "2026-11-22T02:00:00Z", "1970-01-01T00:00:00Z").unwrap();
    let mut stored = serde_json::to_value(&window).unwrap();
    stored.as_object_mut().unwrap().remove("attempts").unwrap();
    assert_eq!(serde_json::from_value::<Window>(stored).unwrap(), window);

    let stored = r#"{"sequence":7,"from":"2026-11-22T00:00:00.000Z","to":"2026-11-22T02:00:00.000Z","gap":null,
        "startedAt":"2026-11-22T02:20:00.000Z","endedAt":"2026-11-22T02:21:00.000Z","delivered":{"lastBlock":null,
        "objects":0,"blocks":0,"events":0,"rawBytes":0,"storedBytes":0}}"#;
    let record: WindowRecord = serde_json::from_str(stored).unwrap();
    assert_eq!((record.attempts, record.window_id()), (1, WindowId { sequence: 7, revision: 0 }));
}

#[test]
fn taking_a_window_up_again_changes_nothing_but_the_count() {
    let state = state("2026-11-22T00:00:00Z");
    let window = window(&state, "2026-11-22T02:00:00Z", "1970-01-01T00:00:00Z").unwrap();
    let again = window.clone().taken_up_again();
    assert_eq!((window.attempts, again.attempts), (1, 2));
    assert_eq!(Window { attempts: 1, ..again }, window);
}

#[test]
fn delivered_and_expired_events_are_not_in_the_backlog() {
    let mut state = state("2026-11-01T00:00:00Z");
    let first = |state: &ExportState, floor: &str| state.first_unexported(at(floor)).timestamp();
    assert_eq!(first(&state, "1970-01-01T00:00:00Z"), at("2026-11-01T00:00:00Z"));
    assert_eq!(first(&state, "2026-11-10T00:00:00Z"), at("2026-11-10T00:00:00Z"));
    state.window = window(&state, "2026-11-22T00:00:00Z", "2026-11-10T00:00:00Z");
    assert_eq!(first(&state, "2026-11-05T00:00:00Z"), at("2026-11-10T00:00:00Z"), "the window's gap");
    let last = BlockId::from_parts(at("2026-11-12T00:00:00Z"), 7);
    state.window.as_mut().unwrap().checkpoint.last_block = Some(last);
    assert_eq!(state.first_unexported(at("2026-11-05T00:00:00Z")), last.next());
}

#[test]
fn a_window_that_was_begun_is_ended_first() {
    let mut state = state("2026-11-22T00:00:00Z");
    state.window = window(&state, "2026-11-22T02:00:00Z", "1970-01-01T00:00:00Z");
    let later = window(&state, "2026-11-22T04:00:00Z", "2026-11-22T03:00:00Z");
    assert_eq!(later, state.window);
}

#[test]
fn a_boundary_without_a_window_is_no_export() {
    // The configuration was created between the boundary and its firing: nothing is left to export.
    let mut state = state("2026-11-22T02:05:00Z");
    assert_eq!(window(&state, "2026-11-22T02:00:00Z", "1970-01-01T00:00:00Z"), None);
    let never = ExportProgress::default();
    assert!(!state.has_exported(&never, 0));

    state.head = Some(test_support::digest_reference(2));
    let known = ExportProgress {
        exported_through: Some(state.exported_through()),
        last_export_at: Some(at("2026-11-22T02:20:00Z")),
        consecutive_failures: 1,
        last_failure_at: Some(at("2026-11-22T02:30:00Z")),
    };
    assert!(!state.has_exported(&known, 0), "a manual run did it before, and a run that had nothing to do failed");
    assert!(state.has_exported(&known, 1));
    // The report of the run that finished the window was lost.
    let behind = ExportProgress { exported_through: Some(at("2026-11-22T00:00:00Z")), ..known };
    assert!(state.has_exported(&behind, 0) && state.has_exported(&never, 0));
}
