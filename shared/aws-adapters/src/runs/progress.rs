//! The progress of a replay, as its state has it.

use domain::replay::{ReplayKey, ReplayProgress};
use export_engine::ports::PortError;

use super::{
    item::{self, attribute},
    table::{RunTable, replay_item_name},
};
use crate::dynamodb::item::{Attributes, Item, MalformedItem};

impl RunTable {
    /// Returns the progress of a replay; `None`: no run has started.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn replay_progress(&self, replay: &ReplayKey) -> Result<Option<ReplayProgress>, PortError> {
        let state = item::key(replay.configuration(), &replay_item_name(replay.replay_id, item::STATE));
        let found = self.table.get("dynamodb:GetItem (state of a replay)", state).await?;
        Ok(found.as_ref().map(read_progress).transpose()?)
    }
}

/// Returns the counts of the finished windows and of the open one.
fn read_progress(found: &Item) -> Result<ReplayProgress, MalformedItem> {
    let attributes = Attributes(found);
    let state = item::read_state(attributes)?;
    let count = |name| attributes.optional_number::<u64>(name).map(Option::unwrap_or_default);
    let open = state.window.as_ref().map(|window| window.checkpoint).unwrap_or_default();
    Ok(ReplayProgress {
        exported_through: state.head.as_ref().map(|_| state.exported_through()),
        objects: count(attribute::OBJECTS)? + open.objects,
        events: count(attribute::EVENTS)? + open.events,
        stored_bytes: count(attribute::STORED_BYTES)? + open.stored_bytes,
    })
}

#[cfg(test)]
mod tests {
    use domain::{
        block::BlockId,
        export_run::test_support::{delivered, digest_reference, window},
        time::Timestamp,
    };

    use super::*;
    use crate::dynamodb::item::{extended, item, json, number, text};

    #[test]
    fn the_open_window_counts_before_its_digest() {
        let at = Timestamp::parse("2026-11-22T02:00:00Z").unwrap();
        let begun = item([
            ("nextBlock", text(BlockId::lowest_at(at))),
            ("nextSequence", number(0)),
            ("fencingToken", number(1)),
        ]);
        assert_eq!(read_progress(&begun), Ok(ReplayProgress::default()));
        let mut open = window(1);
        open.checkpoint = delivered(2);
        let running = extended(
            begun,
            [
                ("chainHead", json("test", &digest_reference(0)).unwrap()),
                ("openWindow", json("test", &open).unwrap()),
                ("objects", number(3)),
                ("events", number(15)),
                ("storedBytes", number(150)),
            ],
        );
        let expected = ReplayProgress { exported_through: Some(at), objects: 5, events: 25, stored_bytes: 250 };
        assert_eq!(read_progress(&running), Ok(expected));
    }
}
