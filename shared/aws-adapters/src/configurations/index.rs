//! The index of enabled configurations.

use domain::{configuration::ConfigurationKey, interval::ExportInterval};
use export_engine::ports::{EnabledConfigurations, PortError};

use super::{
    item::{self, ENABLED_BY_INTERVAL, INDEX_PAGE_SIZE, SCHEDULE_SHARDS},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::Expression,
    item::{Item, text},
    read::Query,
};

/// The end of a page of the index.
#[derive(Clone, Debug)]
pub struct IndexPosition(Item);

impl EnabledConfigurations for ConfigurationTable {
    type Position = IndexPosition;

    fn shards(&self) -> u8 {
        SCHEDULE_SHARDS
    }

    async fn page(
        &self,
        interval: ExportInterval,
        shard: u8,
        after: Option<IndexPosition>,
    ) -> Result<(Vec<ConfigurationKey>, Option<IndexPosition>), PortError> {
        let key = Expression::new("#schedulePartition = :schedule")
            .with("schedule", text(item::schedule_shard(interval, shard)));
        let query = Query::new(key).index(ENABLED_BY_INTERVAL).limit(INDEX_PAGE_SIZE);
        let after = after.map(|IndexPosition(key)| key);
        let page = self.table.page("query enabled configurations", &query, after).await?;
        let keys = page.items.iter().map(item::read_key).collect::<Result<_, _>>()?;
        Ok((keys, page.next.map(IndexPosition)))
    }
}
