//! The intents of a window.

use domain::{configuration::ConfigurationKey, digest::MAX_DIGEST_OBJECTS};
use export_engine::ports::PortError;

use crate::dynamodb::{
    expression::Expression,
    item::{Item, text},
    read::Query,
    table::Table,
};

/// The most pages of one window: [`MAX_DIGEST_OBJECTS`] and a few that were never carried out, of at most 2 KB each, fill
/// less than two pages of 1 MB.
const MAX_INTENT_PAGES: usize = 4;
const _: () = assert!(MAX_DIGEST_OBJECTS <= 1_000, "the intents of a window would fill more pages");

/// Returns the items of a window's intents by the prefix of their names, in the order of their blocks.
pub(crate) async fn query(table: &Table, partition: &ConfigurationKey, prefix: &str) -> Result<Vec<Item>, PortError> {
    let key = Expression::new("#run = :run AND begins_with(#item, :prefix)")
        .with("run", text(partition))
        .with("prefix", text(prefix));
    table.all("dynamodb:Query (intents)", &Query::new(key), MAX_INTENT_PAGES).await
}
