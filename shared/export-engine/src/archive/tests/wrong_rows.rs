//! Rows that say too little, or are gone, and those of rescues that came too late.

use super::*;
use crate::test_support::AlarmLines;

/// Returns a store whose archive has ten days, of which the table has the last ones.
async fn archived() -> (Store, Timestamp) {
    let store = Store::with_blocks(days());
    let now = start().saturating_add(DAY * 10);
    archive_everything(&store, now).await;
    store.delete_expired();
    (store, now)
}

/// Returns the row that ingest creates where there is none.
fn created(now: Timestamp) -> ArchiveRow {
    ArchiveRow::new(tenant(), bucket(), now, RETENTION + EXPIRY_GRACE, &TIMES)
}

fn is_damage(error: &PortError) -> bool {
    (&error.kind, error.operation) == (&ErrorKind::Internal, "read archive")
}

#[tokio::test]
async fn a_row_that_says_too_little_or_is_gone_hides_no_segment() {
    let (store, now) = archived().await;
    let honest = store.row();
    let third = store.references()[2].covers;
    let later = ArchiveRow { archived_from: third.first.next(), ..honest.clone() };
    let ends_early = ArchiveRow {
        archived_through: third.end.previous(),
        segments_through: third.end.previous(),
        extended_through: Some(BlockId::lowest_at(now)),
        ..honest.clone()
    };
    let old = BlockRange { end: BlockId::lowest_at(start().saturating_add(DAY * 3)), ..from_start(now) };
    for (name, row) in
        [("gone", None), ("new", Some(created(now))), ("later", Some(later)), ("ends early", Some(ends_early))]
    {
        store.lock().row = row;
        for range in [from_start(now), old] {
            let error = read(&store.source(), range).await.unwrap_err();
            assert!(is_damage(&error), "{name}: {error}");
        }
        // Exports at their usual interval go on.
        let young = BlockRange::between(now.saturating_sub(DAY * 5), now);
        assert_eq!(read(&store.source(), young).await.unwrap().len(), 120, "{name}");
    }
    // As docs/RUNBOOKS.md says: as the references are.
    let references = store.references();
    let (first, last) = (references.first().unwrap().covers.first, references.last().unwrap().covers.end);
    let restored = ArchiveRow { archived_from: first, archived_through: last, segments_through: last, ..created(now) };
    store.lock().row = Some(restored);
    assert_eq!(read(&store.source(), from_start(now)).await.unwrap().len(), 240);
    assert_eq!(store.archiver().run(0).await.unwrap().failed, 0);
}

/// The archive was behind when its row was lost: the blocks between its end and the new start have the short expiry.
#[tokio::test]
async fn what_a_lost_row_had_not_archived_is_no_hole() {
    let store = Store::with_blocks(days());
    archive_everything(&store, start().saturating_add(DAY * 2)).await;
    store.lock().row = Some(created(start().saturating_add(DAY * 6)));
    let now = start().saturating_add(DAY * 12);
    store.set_now(now);
    store.delete_expired();
    let between = BlockRange::between(start().saturating_add(DAY * 2), start().saturating_add(DAY * 3));
    assert!(is_damage(&read(&store.source(), between).await.unwrap_err()));
}

#[tokio::test]
async fn expired_references_are_no_damage() {
    let (store, _) = archived().await;
    let expired = store.references().iter().map(|reference| reference.expires_at).max().unwrap();
    store.set_now(expired);
    store.lock().blocks.clear();
    for row in [None, Some(created(expired))] {
        store.lock().row = row;
        assert_eq!(read(&store.source(), from_start(expired)).await, Ok(vec![]));
    }
    assert_eq!(store.archiver().run(0).await.unwrap().failed, 0);
}

/// The records of a store whose archiver has moved on between two reads of the row.
#[tokio::test]
async fn a_segment_that_was_stored_since_the_row_was_read_is_no_damage() {
    let store = Store::with_blocks(days());
    let now = start().saturating_add(DAY * 10);
    archive_everything(&store, start().saturating_add(DAY)).await;
    let through = BlockId::lowest_at(now);
    store.lock().row.as_mut().unwrap().extended_through = Some(through);
    let stale = store.row();
    archive_everything(&store, now).await;
    store.lock().stale_row = Some(stale);
    assert_eq!(read(&store.source(), from_start(now)).await.unwrap().len(), 240);
    assert_eq!(store.lock().rows_read, 2);
}

#[tokio::test]
async fn no_second_archive_begins_while_there_is_a_first() {
    let (store, now) = archived().await;
    let now = now.saturating_add(HOUR * 3);
    store.set_now(now);
    let (references, objects) = (store.references(), store.lock().objects.len());
    store.lock().row = Some(created(now));
    let alarms = AlarmLines::default();
    let outcome = alarms.of(store.archiver().run(0)).await.unwrap();
    assert_eq!((outcome.segments, outcome.failed, alarms.taken()), (0, 1, vec![ARCHIVE_DAMAGED.to_owned()]));
    assert_eq!((store.references(), store.lock().objects.len()), (references, objects));
    // One that says that there is a segment, and is not where the references are.
    let end = store.references()[4].covers.first;
    let moved = ArchiveRow {
        archived_from: store.references()[0].covers.first,
        archived_through: end,
        segments_through: end,
        extended_through: Some(BlockId::lowest_at(now)),
        ..created(now)
    };
    store.lock().row = Some(moved.clone());
    let count = (store.references().len(), store.lock().blocks.len());
    let stamp = end.timestamp().saturating_add(Duration::from_mins(1));
    let block = encode_block(&tenant(), BlockId::from_parts(stamp, 7), b"{}\n", stamp, stamp).unwrap();
    store.lock().blocks.insert((Shard::ALL[0], block.id), (block, now.saturating_add(DAY)));
    let outcome = alarms.of(store.archiver().run(0)).await.unwrap();
    assert_eq!((outcome.segments, outcome.failed, alarms.taken()), (0, 1, vec![ARCHIVE_DAMAGED.to_owned()]));
    assert_eq!((store.row(), store.references().len(), store.lock().blocks.len()), (moved, count.0, count.1 + 1));
}

#[tokio::test]
async fn a_row_with_impossible_marks_is_not_rescued_and_raises_the_alarm() {
    let store = Store::with_blocks(days());
    let now = start().saturating_add(DAY * 8);
    store.set_now(now);
    store.lock().row.as_mut().unwrap().extended_through = Some(BlockId::lowest_at(now.saturating_add(DAY)));
    let alarms = AlarmLines::default();
    let outcome = alarms.of(store.rescue().run(0)).await.unwrap();
    assert_eq!((outcome.tenants, outcome.rescued, outcome.failed, outcome.is_complete), (1, 0, 1, false));
    assert_eq!(alarms.taken(), [ARCHIVE_DAMAGED]);
    // A reader refuses it as well.
    assert!(is_damage(&read(&store.source(), from_start(now)).await.unwrap_err()));
}

/// A closed archive stays closed, and what was kept is not read again with each sweep.
#[tokio::test]
async fn a_rescue_that_came_too_late_reads_nothing_again_until_there_is_more() {
    let store = Store::with_blocks(days());
    let begun = start().saturating_add(DAY * 8);
    let alarms = AlarmLines::default();
    let mut reads = Vec::new();
    for sweep in 0..96 {
        store.set_now(begun.saturating_add(Duration::from_mins(15) * sweep));
        let outcome = alarms.of(store.rescue().run(0)).await.unwrap();
        assert_eq!((outcome.late, outcome.failed, store.row().extended_through), (1, 0, None), "{sweep}");
        assert_eq!(alarms.taken(), [ARCHIVE_BEHIND], "each sweep raises the alarm");
        reads.push(std::mem::take(&mut store.lock().pages_of_rescue));
    }
    assert!(reads[0] > 30 && reads[1..].iter().all(|pages| *pages == 0), "{reads:?}");
    let kept_through = store.row().kept_through.unwrap();
    assert_eq!(kept_through, BlockId::lowest_at(begun.saturating_sub(DAY * 2)));
    // The next days are kept as well.
    store.set_now(begun.saturating_add(DAY + Duration::from_mins(1)));
    store.rescue().run(0).await.unwrap();
    assert!(store.row().kept_through.unwrap() > kept_through && store.row().extended_through.is_none());
    let short: Vec<_> = store
        .lock()
        .blocks
        .iter()
        .filter(|((_, id), (_, end))| end.saturating_since(id.timestamp()) < RETENTION + EXPIRY_GRACE)
        .map(|((_, id), _)| *id)
        .collect();
    assert!(short.iter().all(|id| *id >= store.row().kept_through.unwrap()), "{short:?}");
    let now = store.lock().now.unwrap();
    assert!(read(&store.source(), from_start(now)).await.is_err(), "the archive is open");
    // An operator accepts what is there, as docs/RUNBOOKS.md says.
    let kept = store.row().kept_through;
    store.lock().row.as_mut().unwrap().extended_through = kept;
    let left: Vec<_> = store.ids().into_iter().filter(|id| id.timestamp() < now).collect();
    assert_eq!(read(&store.source(), from_start(now)).await, Ok(left));
}

/// A late rescue that runs out of time goes on where it was among what may be deleted, and keeps all of it.
#[tokio::test]
async fn a_late_rescue_that_runs_out_of_time_keeps_everything_in_the_end() {
    let store = Store::with_blocks((0..3_000_u64).map(|number| Duration::from_mins(number * 5)));
    store.lock().time_of_page = Duration::from_secs(1);
    let started = start().saturating_add(DAY * 9);
    for number in 0..200 {
        store.set_now(started);
        let mut rescue = store.rescue();
        rescue.settings.deadline = started.saturating_add(Duration::from_mins(9));
        let outcome = rescue.run(number).await.unwrap();
        assert_eq!(store.row().extended_through, None);
        if outcome.is_complete && outcome.rescued == 1 {
            assert!(number > 0, "it was not interrupted");
            let end = BlockId::lowest_at(started.saturating_sub(DAY * 2));
            assert!(store.row().kept_through.unwrap() >= end);
            let state = store.lock();
            let short = state
                .blocks
                .iter()
                .filter(|((_, id), (_, until))| *id < end && until.saturating_since(id.timestamp()) < RETENTION)
                .count();
            assert_eq!(short, 0);
            return;
        }
    }
    panic!("the rescue never ends");
}

/// A request that failed says nothing about the archive.
#[tokio::test]
async fn a_malformed_reference_raises_the_alarm_of_a_damaged_archive() {
    let (store, now) = archived().await;
    store.set_now(now.saturating_add(HOUR * 3));
    let created = created(now.saturating_add(HOUR * 3));
    let malformed = PortError::internal("dynamodb:Query (segments)", "an item of acme#archive: malformed");
    let lost = PortError::transient("dynamodb:Query (segments)", "lost");
    for (error, expected) in [(malformed, vec![ARCHIVE_DAMAGED.to_owned()]), (lost, vec![])] {
        store.lock().unreadable_references = Some(error.clone());
        let alarms = AlarmLines::default();
        assert_eq!(alarms.of(read(&store.source(), from_start(now))).await, Err(error));
        assert_eq!(alarms.taken(), expected);
        // The archiver looks for segments before the start of an archive that has none.
        let counted = store.lock().row.replace(created.clone());
        let outcome = alarms.of(store.archiver().run(0)).await.unwrap();
        assert_eq!((outcome.failed, alarms.taken()), (1, expected));
        store.lock().row = counted;
    }
}
