//! One export run: what is asked for, the window and plan that are fixed before anything is read, and how far it got.

#[cfg(any(test, feature = "test-support"))]
pub mod test_support;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    block::{BlockId, INGEST_WRITE_BOUND, SIGNATURE_LIFETIME},
    configuration::{ConfigurationKey, Destination, ExportConfiguration, ExportProgress},
    digest::{DigestReference, Gap, MAX_DIGEST_GAPS, MAX_DIGEST_OBJECTS},
    time::Timestamp,
};

/// An object ends with the block that brings its stored bytes to this. An object is assembled in memory, because its
/// name tells its last block; two of them (one being filled, one on its way) bound a run's memory.
pub const TARGET_STORED_LENGTH: u64 = 8 * 1024 * 1024;

/// An object ends with the block that brings its raw NDJSON to this, however well it compresses, so that no reader has
/// to inflate more than this from one file.
pub const TARGET_RAW_LENGTH: u64 = 256 * 1024 * 1024;

/// Bytes of one part of a multipart upload; an object of at most one part is put at once, as all are that end at
/// [`TARGET_STORED_LENGTH`]: that takes one request instead of four, and one SHA-256. S3 takes 5 MiB to 5 GiB:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
pub const PART_SIZE: u64 = 16 * 1024 * 1024;

/// How long a lease holds unless it is renewed.
pub const LEASE_DURATION: Duration = Duration::from_secs(90);

/// How often the holder of a lease renews it: two renewals in a row may fail before the lease ends.
pub const HEARTBEAT: Duration = Duration::from_secs(25);

/// How long one run may work for one configuration before it lets the others in the queue have their turn.
pub const SLICE: Duration = Duration::from_mins(2);

/// The most slices of one request: as many as follow each other in the longest interval, 24 hours. Every slice has to bring
/// something into the bucket before it ends, so that the bound is reached by an enormous backlog alone.
pub const MAX_SLICES_PER_SLOT: u32 = 720;
const _: () = assert!(MAX_SLICES_PER_SLOT as u64 * SLICE.as_secs() == 24 * 60 * 60);

/// The most corrupt blocks that one window skips: more of them are a damaged table, which has to be restored.
pub const MAX_SKIPPED_BLOCKS: usize = 99;
const _: () = assert!(MAX_SKIPPED_BLOCKS as u64 + 1 == MAX_DIGEST_GAPS, "beside the gap of the retention");

/// By how much the exporter's clock may differ from DynamoDB's. AWS keeps both within milliseconds of UTC; this is far more.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// The least time after which nothing can appear any more among the blocks of an earlier time: ingest signs a write
/// within [`INGEST_WRITE_BOUND`] of its stamp, and AWS refuses a request that was signed longer than
/// [`SIGNATURE_LIFETIME`] ago. docs/SEMANTICS.md has the argument.
pub const MIN_SETTLE: Duration = INGEST_WRITE_BOUND.saturating_add(SIGNATURE_LIFETIME).saturating_add(MAX_CLOCK_SKEW);

/// What is sent to the run queue: "export this configuration through that time".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    #[serde(flatten)]
    pub key: ConfigurationKey,
    /// The end of the window, exclusive.
    pub through: Timestamp,
    pub trigger: RunTrigger,
    /// How many slices have worked on it before: see [`MAX_SLICES_PER_SLOT`].
    #[serde(default)]
    pub slices: u32,
    /// How often it had to wait, because its tenant had no free share of the runs or its Region did not answer.
    #[serde(default)]
    pub deferrals: u32,
}

impl RunRequest {
    #[must_use]
    pub fn new(key: ConfigurationKey, through: Timestamp, trigger: RunTrigger) -> Self {
        Self { key, through, trigger, slices: 0, deferrals: 0 }
    }

    /// The request for what a slice has left. `None`: as many have worked on it as a slot may have; the rest is for the next
    /// slot.
    #[must_use]
    pub fn continued(self, through: Timestamp) -> Option<Self> {
        let slices = self.slices.saturating_add(1);
        (slices < MAX_SLICES_PER_SLOT).then_some(Self { through, slices, deferrals: 0, ..self })
    }

    /// The same request, sent again because it has to wait.
    #[must_use]
    pub fn deferred(self) -> Self {
        Self { deferrals: self.deferrals.saturating_add(1), ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunTrigger {
    Schedule,
    Manual,
}

/// The sizes that a plan fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanLimits {
    /// Bytes; see [`TARGET_STORED_LENGTH`].
    pub target_stored_length: u64,
    /// Bytes; see [`TARGET_RAW_LENGTH`].
    pub target_raw_length: u64,
    /// Bytes; see [`PART_SIZE`].
    pub part_size: u64,
    /// See [`MAX_DIGEST_OBJECTS`].
    pub max_objects: u64,
}

impl PlanLimits {
    /// Those of this version of the code.
    pub const CURRENT: Self = Self {
        target_stored_length: TARGET_STORED_LENGTH,
        target_raw_length: TARGET_RAW_LENGTH,
        part_size: PART_SIZE,
        max_objects: MAX_DIGEST_OBJECTS,
    };
}

/// Everything about a run that decides which bytes it writes where. Stored before anything is read and never changed, so
/// that every retry writes the same objects, whatever was deployed or edited in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub destination: Destination,
    pub encoder_version: u32,
    pub limits: PlanLimits,
}

/// What names a window of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowId {
    /// The sequence of the digest that will tell of it.
    pub sequence: u64,
    /// How many windows of this sequence were given up before anything was delivered, because the destination was edited.
    pub revision: u64,
}

/// The blocks of one run, and how far it got: those from `from` to before `to`, but none from within the gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    #[serde(flatten)]
    pub id: WindowId,
    /// The cursor when the window was fixed.
    pub from: BlockId,
    /// The first block id after it.
    pub to: BlockId,
    /// What was past its retention when the window was fixed, whether it was deleted yet or not: no retry reads it.
    pub gap: Option<Gap>,
    pub started_at: Timestamp,
    pub plan: Plan,
    pub checkpoint: Checkpoint,
    /// See [`RunRecord::attempts`].
    #[serde(default = "first_attempt")]
    pub attempts: u32,
    /// Corrupt blocks that an operator has approved to leave out, in order. No retry reads them, whatever becomes of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<BlockId>,
}

/// What was stored before attempts were counted had at least one.
fn first_attempt() -> u32 {
    1
}

impl Window {
    /// The same window, in the hands of one more run. No byte of what it writes depends on how many there were.
    #[must_use]
    pub fn taken_up_again(self) -> Self {
        Self { attempts: self.attempts.saturating_add(1), ..self }
    }

    /// The blocks that are not in the bucket yet.
    #[must_use]
    pub fn remaining(&self) -> BlockRange {
        let after_gap = self.gap.map(|gap| BlockId::lowest_at(gap.to));
        let first = match self.checkpoint.last_block {
            Some(block) => block.next(),
            None => after_gap.map_or(self.from, |block| block.max(self.from)),
        };
        BlockRange { first, end: self.to }
    }

    /// Whether the rest of it may have been deleted, if every block from `grace_floor` on is still in the table. Then it ends
    /// with what is delivered, and the window after it says what is gone.
    #[must_use]
    pub fn is_stale(&self, grace_floor: Timestamp) -> bool {
        self.remaining().first.timestamp() < grace_floor
    }

    /// The same window without these blocks, too.
    #[must_use]
    pub fn skipping(mut self, blocks: impl IntoIterator<Item = BlockId>) -> Self {
        self.skipped.extend(blocks);
        self.skipped.sort_unstable();
        self.skipped.dedup();
        self
    }

    /// What its digest says is missing, if it ends before `end`.
    #[must_use]
    pub fn gaps_before(&self, end: BlockId) -> Vec<Gap> {
        let skipped = self.skipped.iter().filter(|block| **block < end).map(|block| Gap::of_corrupt_block(*block));
        self.gap.into_iter().chain(skipped).collect()
    }

    /// Whether its digest can't tell of more objects.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.checkpoint.objects >= self.plan.limits.max_objects
    }

    /// Where the window ends if it has to end with what is delivered. `None`: nothing is.
    #[must_use]
    pub fn delivered_end(&self) -> Option<BlockId> {
        self.checkpoint.last_block.map(BlockId::next)
    }
}

/// Block ids from `first` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    pub first: BlockId,
    pub end: BlockId,
}

impl BlockRange {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first >= self.end
    }

    #[must_use]
    pub fn contains(&self, block: BlockId) -> bool {
        self.first <= block && block < self.end
    }
}

/// How much of a window is in the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    pub last_block: Option<BlockId>,
    pub objects: u64,
    pub blocks: u64,
    pub events: u64,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
}

/// The state of a configuration's export between and during runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// The first block id that is not exported: everything before it is in the bucket and in a digest.
    pub cursor: BlockId,
    /// The sequence of the next digest.
    pub next_sequence: u64,
    /// The revision of the next window, while it has the same sequence.
    pub next_revision: u64,
    /// The newest digest.
    pub head: Option<DigestReference>,
    /// Rises with each lease; a write under an older one is refused.
    pub fencing_token: u64,
    /// The window that is being exported.
    pub window: Option<Window>,
    /// Through when somebody else asked the holder of the lease to export.
    pub rerun_through: Option<Timestamp>,
    /// Everything received before it that is not exported is past its retention: recorded by runs that failed, for the gap
    /// that the next window signs.
    pub lost_through: Option<Timestamp>,
}

impl RunState {
    /// The state before the first run.
    #[must_use]
    pub fn initial(configuration: &ExportConfiguration) -> Self {
        Self {
            cursor: BlockId::lowest_at(configuration.start_from),
            next_sequence: 0,
            next_revision: 0,
            head: None,
            fencing_token: 0,
            window: None,
            rerun_through: None,
            lost_through: None,
        }
    }

    /// Before the first window, "earliest" is the oldest that is still held: what is older is no gap. What came after the
    /// configuration was made is promised, and would be one.
    pub fn begin_at_earliest(&mut self, configuration: &ExportConfiguration, retention_floor: Timestamp) {
        if self.next_sequence == 0 && self.window.is_none() && configuration.start_from == Timestamp::EPOCH {
            let earliest = retention_floor.min(configuration.created_at);
            self.cursor = self.cursor.max(BlockId::lowest_at(earliest));
        }
    }

    /// Everything received before it is exported.
    #[must_use]
    pub fn exported_through(&self) -> Timestamp {
        self.cursor.timestamp()
    }

    /// The first block that is not in the bucket yet and can still be exported: what is past its retention can't.
    #[must_use]
    pub fn first_unexported(&self, retention_floor: Timestamp) -> BlockId {
        let first = self.window.as_ref().map_or(self.cursor, |window| window.remaining().first);
        first.max(BlockId::lowest_at(retention_floor))
    }

    /// From when to when events are lost that no window can export any more: `floor` is the retention's, `grace_floor` that
    /// from which on every block is still in the table.
    ///
    /// What a begun window holds is exported until the blocks may be deleted. What is earliest moves with the floor, and is
    /// not lost.
    #[must_use]
    pub fn lost(&self, configuration: &ExportConfiguration, floor: Timestamp, grace_floor: Timestamp) -> Option<Gap> {
        let from = match &self.window {
            Some(window) if !window.is_stale(grace_floor) => window.to,
            Some(window) if window.delivered_end().is_some() => window.remaining().first,
            // The next run gives a window up of which nothing is delivered.
            given_up => {
                let cursor = given_up.as_ref().map_or(self.cursor, |window| window.from);
                let mut state = Self { cursor, window: None, ..self.clone() };
                state.begin_at_earliest(configuration, floor);
                state.cursor
            }
        };
        let from = from.timestamp();
        (from < floor && !self.starts_before_retention(configuration, floor)).then(|| Gap::retention_ended(from, floor))
    }

    /// Whether this loss is the first since the cursor moved: of an export that goes on failing, more is lost with each run.
    #[must_use]
    pub fn begins_loss(&self, gap: &Gap) -> bool {
        self.lost_through.is_none_or(|recorded| recorded <= gap.from)
    }

    /// Whether the export has not begun, and what is past its retention was received before the configuration was made: it
    /// never was promised.
    fn starts_before_retention(&self, configuration: &ExportConfiguration, floor: Timestamp) -> bool {
        let has_begun =
            self.next_sequence > 0 || self.window.as_ref().is_some_and(|window| window.checkpoint.objects > 0);
        !has_begun && floor <= configuration.created_at
    }

    /// Returns whether a run that finished so many windows and left this state has exported anything that `known`, which it
    /// found on the configuration, does not tell.
    ///
    /// A boundary of the schedule is no proof of an export: a configuration that was made between the boundary and its
    /// firing has nothing to export at it. A window counts for the run that finished it, and for a later one where its
    /// report was lost.
    #[must_use]
    pub fn has_exported(&self, known: &ExportProgress, finished_windows: usize) -> bool {
        let is_reported = known.last_export_at.is_some() && known.exported_through >= Some(self.exported_through());
        finished_windows > 0 || (self.head.is_some() && !is_reported)
    }

    /// The window that a run through `through` exports: the one that was begun, else a new one. `None`: nothing is left
    /// to do.
    #[must_use]
    pub fn window_through(
        &self,
        configuration: &ExportConfiguration,
        through: Timestamp,
        retention_floor: Timestamp,
        now: Timestamp,
        plan: impl FnOnce() -> Plan,
    ) -> Option<Window> {
        if self.window.is_some() {
            return self.window.clone();
        }
        let id = WindowId { sequence: self.next_sequence, revision: self.next_revision };
        let to = BlockId::lowest_at(through);
        let exported_through = self.exported_through();
        let retention_floor = self.lost_through.map_or(retention_floor, |lost| lost.max(retention_floor));
        let gap = if self.starts_before_retention(configuration, retention_floor) {
            Gap::start_before_retention
        } else {
            Gap::retention_ended
        };
        (self.cursor < to).then(|| Window {
            id,
            from: self.cursor,
            to,
            gap: (exported_through < retention_floor).then(|| gap(exported_through, retention_floor.min(through))),
            started_at: now,
            plan: plan(),
            checkpoint: Checkpoint::default(),
            attempts: first_attempt(),
            skipped: Vec::new(),
        })
    }
}

/// A finished window, as the history of a configuration keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    pub sequence: u64,
    /// With the sequence, what its intents are named by.
    #[serde(default)]
    pub revision: u64,
    pub from: Timestamp,
    pub to: Timestamp,
    pub gap: Option<Gap>,
    /// Corrupt blocks that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<BlockId>,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub delivered: Checkpoint,
    /// How many runs worked on it: 1 unless one failed, stopped in between or ended before all was delivered.
    #[serde(default = "first_attempt")]
    pub attempts: u32,
}

impl RunRecord {
    #[must_use]
    pub fn window_id(&self) -> WindowId {
        WindowId { sequence: self.sequence, revision: self.revision }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::MAX_BLOCK_STORED_LENGTH, configuration::test_support::with_role, digest::GapReason};

    fn at(time: &str) -> Timestamp {
        Timestamp::parse(time).unwrap()
    }

    fn state(cursor: &str) -> RunState {
        let cursor = BlockId::lowest_at(at(cursor));
        RunState {
            cursor,
            next_sequence: 3,
            next_revision: 0,
            head: None,
            fencing_token: 1,
            window: None,
            rerun_through: None,
            lost_through: None,
        }
    }

    fn window(state: &RunState, through: &str, floor: &str) -> Option<Window> {
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
    fn what_was_exported_is_not_exported_again() {
        let state = state("2026-11-22T00:00:00Z");
        assert_eq!(window(&state, "2026-11-22T00:00:00Z", "1970-01-01T00:00:00Z"), None);
        let window = window(&state, "2026-11-22T02:00:00Z", "1970-01-01T00:00:00Z").unwrap();
        assert_eq!((window.from, window.gap), (state.cursor, None));
        assert_eq!(window.remaining().end, BlockId::lowest_at(at("2026-11-22T02:00:00Z")));
    }

    #[test]
    fn what_is_past_its_retention_is_a_gap_and_is_not_read() {
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
        let recorded = RunState { lost_through: Some(first.to), ..new };
        assert!(!recorded.begins_loss(&gap("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z")));
        // It is signed, and the export fails again later.
        assert!(recorded.begins_loss(&gap("2026-11-02T00:00:00Z", "2026-11-04T00:00:00Z")));
    }

    #[test]
    fn a_start_before_the_retention_is_no_loss_until_something_promised_is_lost() {
        let start_from = at("2026-01-01T00:00:00Z");
        let configuration = ExportConfiguration { created_at: at("2026-11-20T00:00:00Z"), start_from, ..with_role() };
        let new = RunState { next_sequence: 0, ..state("2026-01-01T00:00:00Z") };
        let reason = |state: &RunState, floor: &str| {
            let through = at("2026-11-22T00:00:00Z");
            let gap =
                state.window_through(&configuration, through, at(floor), through, test_support::plan).unwrap().gap;
            (gap.unwrap().reason, state.lost(&configuration, at(floor), Timestamp::EPOCH))
        };
        let lost = |floor: &str| Some(Gap::retention_ended(new.exported_through(), at(floor)));
        let (before, after) = ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00.001Z");
        assert_eq!(reason(&new, before), (GapReason::StartBeforeRetention, None));
        assert_eq!(reason(&new, after), (GapReason::RetentionEnded, lost(after)));
        let begun = RunState { next_sequence: 1, ..new.clone() };
        assert_eq!(reason(&begun, before), (GapReason::RetentionEnded, lost(before)));
    }

    #[test]
    fn what_was_stored_before_attempts_were_counted_is_still_read() {
        let state = state("2026-11-22T00:00:00Z");
        let window = window(&state, "2026-11-22T02:00:00Z", "1970-01-01T00:00:00Z").unwrap();
        let mut stored = serde_json::to_value(&window).unwrap();
        stored.as_object_mut().unwrap().remove("attempts").unwrap();
        assert_eq!(serde_json::from_value::<Window>(stored).unwrap(), window);

        let stored = r#"{"sequence":7,"from":"2026-11-22T00:00:00.000Z","to":"2026-11-22T02:00:00.000Z","gap":null,
            "startedAt":"2026-11-22T02:20:00.000Z","endedAt":"2026-11-22T02:21:00.000Z","delivered":{"lastBlock":null,
            "objects":0,"blocks":0,"events":0,"rawBytes":0,"storedBytes":0}}"#;
        let record: RunRecord = serde_json::from_str(stored).unwrap();
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
    fn what_is_delivered_or_past_its_retention_is_not_left_to_export() {
        let mut state = state("2026-11-01T00:00:00Z");
        let first = |state: &RunState, floor: &str| state.first_unexported(at(floor)).timestamp();
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
        // Made between the boundary and its firing: nothing is left to do at it.
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
}
