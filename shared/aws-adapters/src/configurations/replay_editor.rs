//! Requests, continuations and cancellations of replays. Each is one transaction with its audit event.

use domain::{
    configuration::{
        ExportConfiguration,
        change::{Author, Change, Stamp},
    },
    replay::{Replay, ReplayEnd, ReplayState, ReplayStatus},
    time::Timestamp,
};
use export_engine::ports::PortError;

use super::{
    editor::{ConfigurationEditor, Edit, EditOutcome, event_collided},
    item::{self, attribute},
    replays::{self, ReplaySeries},
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{number, text},
    transaction::{Transaction, TransactionOutcome},
    write::Write,
};

impl ConfigurationEditor {
    /// Stores a new replay of the configuration, or one that is continued, if nobody has requested another one since `series`
    /// was read.
    ///
    /// # Errors
    /// Transient or internal. After a transient one it may have been done.
    pub async fn request_replay(
        &self,
        of: &ExportConfiguration,
        series: &ReplaySeries,
        replay: &Replay,
        expires_at: Timestamp,
        author: &Author,
        stamp: Stamp,
    ) -> Result<EditOutcome, PortError> {
        let operation = "request replay";
        let put = Write::put(replays::write(operation, replay, expires_at)?).when(is_expected(replay));
        let mut transaction = Transaction::new(operation);
        let count = transaction.push(counted(of, series).part(&self.table.name))?;
        let put = transaction.push(put.part(&self.table.name))?;
        transaction.push(self.event(operation, Change::Replay { of, replay }, author, stamp)?)?;
        // A replay that is continued has its place already.
        let replaced = series.replaced().filter(|replaced| replay.attempt == 1 && replaced.key != replay.key);
        if let Some(replaced) = replaced {
            transaction.push(Write::delete(replays::key(&replaced.key)).part(&self.table.name))?;
        }
        match self.transact(transaction, stamp).await? {
            TransactionOutcome::Done => Ok(EditOutcome::Done),
            TransactionOutcome::Refused(cancellation)
                if cancellation.is_refused(count) || cancellation.is_refused(put) =>
            {
                Ok(EditOutcome::ChangedSince)
            }
            TransactionOutcome::Refused(_) => Err(event_collided(operation)),
        }
    }

    /// Cancels the replay that was read as `replay`, unless it has ended since.
    ///
    /// # Errors
    /// As [`ConfigurationEditor::request_replay`].
    pub async fn cancel_replay(
        &self,
        of: &ExportConfiguration,
        replay: &Replay,
        author: &Author,
        stamp: Stamp,
    ) -> Result<EditOutcome, PortError> {
        let operation = "cancel replay";
        let cancelled = ReplayState::Ended { at: stamp.at, end: ReplayEnd::Cancelled };
        let changes = replays::with_state(Changes::default(), &cancelled);
        let cancel = Write::update(replays::key(&replay.key), changes).when(replays::is_unfinished(replay.attempt));
        self.edit(operation, Edit::of(cancel), Change::CancelReplay { of, replay }, None, author, stamp).await
    }
}

/// Counts one more request, if the configuration exists and this is the first since the others were read: at most one replay is
/// unfinished at a time.
fn counted(of: &ExportConfiguration, series: &ReplaySeries) -> Write {
    let changes = Changes::default().add(attribute::REPLAY_REQUESTS, number(1));
    let is_first = match series.requests {
        0 => Expression::new("attribute_exists(#id) AND attribute_not_exists(#replayRequests)"),
        read => Expression::new("#replayRequests = :known").with("known", number(read)),
    };
    Write::update(item::key(&of.key), changes).when(is_first)
}

/// Returns the condition for the record: there is none yet, or the one of the attempt before, which has stopped.
fn is_expected(replay: &Replay) -> Expression {
    if replay.attempt == 1 {
        return Expression::new("attribute_not_exists(#id)");
    }
    Expression::new("#attempt = :before AND (#status = :failed OR #status = :cancelled)")
        .with("before", number(replay.attempt - 1))
        .with("failed", text(ReplayStatus::Failed.name()))
        .with("cancelled", text(ReplayStatus::Cancelled.name()))
}
