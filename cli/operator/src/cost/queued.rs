//! The costs of single events that an HTTP API puts into the queue without a function (infra/queued-events). Messages that ingest
//! receives together share a block.

use super::{
    bill::{Bill, Line, Part},
    measured::{ANSWER_BYTES, IDEMPOTENCY_RECORD_BYTES, QUEUED_ACCESS_LOG_BYTES, QUEUED_INGEST_LOG_BYTES},
    money::Dollars,
    price,
    service::{INGEST_MEMORY, RequestShape, TRANSACTION, kilobytes},
    traffic::{GIGABYTE, Parameters, Traffic},
};

/// The most messages in one write, as in ingest's `queue.rs`; a test compares them.
pub const MAX_MESSAGES_OF_A_WRITE: u32 = 64;

/// Messages of one receive, and of one deletion:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>. Lambda polls with full ones.
const MESSAGES_OF_A_RECEIVE: f64 = 10.0;

/// Returns what receiving a million events would cost, if the traffic has one event to a request and as many messages as a write
/// takes arrive together. `None`: requests have more events.
#[must_use]
pub fn ingest_of_single_events(traffic: &Traffic) -> Option<Dollars> {
    let parameters = *traffic.parameters();
    let together = Parameters { events_per_request: MAX_MESSAGES_OF_A_WRITE, ..parameters };
    let traffic = (parameters.events_per_request == 1).then(|| Traffic::new(together).ok())??;
    Some(ingest(&traffic).dollars_per_month)
}

/// Returns the bill for receiving a million events, each in its own request. The traffic has, as the events of a request, the
/// number of messages that arrive together, at most [`MAX_MESSAGES_OF_A_WRITE`].
#[must_use]
pub fn ingest(traffic: &Traffic) -> Bill {
    let events = 1e6;
    let messages = f64::from(traffic.parameters().events_per_request.min(MAX_MESSAGES_OF_A_WRITE));
    let writes = events / messages;
    // The transaction has the blocks, and a record of each message.
    let mut shape = RequestShape::of(traffic);
    if !shape.is_transaction {
        shape.write_units *= TRANSACTION;
        shape.is_transaction = true;
    }
    let write_units = shape.write_units + messages * TRANSACTION * kilobytes(IDEMPOTENCY_RECORD_BYTES);
    let receives_and_deletions = 2.0 * events / messages.min(MESSAGES_OF_A_RECEIVE);
    let seconds = shape.milliseconds(traffic) / 1_000.0;
    let log_bytes = events * QUEUED_ACCESS_LOG_BYTES + writes * QUEUED_INGEST_LOG_BYTES;
    let line = |price, quantity| Line { part: Part::Ingest, price, quantity };
    Bill::new(vec![
        line(&price::API_GATEWAY_HTTP_REQUEST, events),
        line(&price::SQS_REQUEST, events + receives_and_deletions),
        line(&price::LAMBDA_REQUEST, writes),
        line(&price::LAMBDA_ARM64, writes * seconds * INGEST_MEMORY / 1_024.0),
        line(&price::DYNAMODB_WRITE, writes * write_units),
        line(&price::LOG_INGESTION, log_bytes / GIGABYTE),
        line(&price::TRANSFER_OUT, events * ANSWER_BYTES / GIGABYTE),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::tests::{assert_near, traffic};

    fn quantity(bill: &Bill, price: &price::Price) -> f64 {
        bill.lines.iter().filter(|line| line.price == price).map(|line| line.quantity).sum()
    }

    fn of(messages: u32) -> Bill {
        ingest(&traffic(|parameters| parameters.events_per_request = messages))
    }

    /// A block of one event is 1 KB and a record as well: 2 units in a transaction, which cost twice.
    #[test]
    fn a_message_alone_is_a_transaction_of_two_items() {
        let bill = of(1);
        assert_near(quantity(&bill, &price::DYNAMODB_WRITE), 4e6);
        assert_near(quantity(&bill, &price::SQS_REQUEST), 3e6);
    }

    /// 64 events of 690 bytes are 7.9 KB in one block, with 64 records: 72 units, which cost twice.
    #[test]
    fn messages_that_arrive_together_share_a_block() {
        let bill = of(MAX_MESSAGES_OF_A_WRITE);
        assert_near(quantity(&bill, &price::DYNAMODB_WRITE), 1e6 / 64.0 * 2.0 * (8.0 + 64.0));
        assert_near(quantity(&bill, &price::SQS_REQUEST), 1.2e6);
        assert_near(quantity(&bill, &price::LAMBDA_REQUEST), 1e6 / 64.0);
    }

    #[test]
    fn more_messages_than_fit_into_a_write_save_nothing_more() {
        assert_eq!(of(MAX_MESSAGES_OF_A_WRITE).lines.len(), of(640).lines.len());
        assert_near(quantity(&of(640), &price::LAMBDA_REQUEST), 1e6 / 64.0);
    }

    #[test]
    fn the_bound_of_a_write_is_that_of_ingest() {
        let queue = include_str!("../../../../functions/ingest/src/queue.rs");
        assert!(queue.contains(&format!("const MAX_GROUP_MESSAGES: usize = {MAX_MESSAGES_OF_A_WRITE};")));
    }
}
