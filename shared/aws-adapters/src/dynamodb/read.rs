//! Strongly consistent reads: single items, batches, and pages of queries and scans.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    operation::query::{QueryOutput, builders::QueryFluentBuilder},
    types::{KeysAndAttributes, Select},
};
use export_engine::ports::PortError;

use super::{
    expression::{Expression, Placeholders},
    item::Item,
    table::Table,
};
use crate::error::port_error;

/// The most items of one `BatchGetItem`:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>.
pub const MAX_READ_BATCH: usize = 100;

/// Requests for the items of a batch that `DynamoDB` leaves unprocessed, the first request included.
pub const MAX_BATCH_ATTEMPTS: usize = 3;

/// The wait after the first of these requests. It doubles.
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// A query of one partition. Its reads are strongly consistent, except for those of an index, which can't be.
#[derive(Clone, Debug)]
pub struct Query {
    key: Expression,
    filter: Option<Expression>,
    projection: Option<&'static str>,
    index: Option<&'static str>,
    limit: Option<i32>,
    is_descending: bool,
}

impl Query {
    /// Returns the query of the items whose keys meet the condition.
    pub fn new(key: Expression) -> Self {
        Self { key, filter: None, projection: None, index: None, limit: None, is_descending: false }
    }

    #[must_use]
    pub fn index(self, name: &'static str) -> Self {
        Self { index: Some(name), ..self }
    }

    /// Leaves out items that don't meet the condition. They count as read.
    #[must_use]
    pub fn filter(self, condition: Expression) -> Self {
        Self { filter: Some(condition), ..self }
    }

    /// Reads these attributes alone, such as `#run, #item`.
    #[must_use]
    pub fn project(self, projection: &'static str) -> Self {
        Self { projection: Some(projection), ..self }
    }

    /// Bounds the items of a page.
    #[must_use]
    pub fn limit(self, items: impl Into<i32>) -> Self {
        Self { limit: Some(items.into()), ..self }
    }

    /// Reads the last items first.
    #[must_use]
    pub fn descending(self) -> Self {
        Self { is_descending: true, ..self }
    }
}

/// A page of items.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub items: Vec<Item>,
    /// The key after which the next page starts; `None`: this is the last page.
    pub next: Option<Item>,
}

impl From<QueryOutput> for Page {
    fn from(output: QueryOutput) -> Self {
        Self { items: output.items.unwrap_or_default(), next: output.last_evaluated_key }
    }
}

/// What was read of a batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    operation: &'static str,
    pub items: Vec<Item>,
    /// The keys of items that `DynamoDB` did not read: a partition of theirs is throttled, or the answer would be too large.
    pub unread: Vec<Item>,
}

impl Batch {
    /// Returns the items.
    ///
    /// # Errors
    /// Transient if one was not read.
    pub fn complete(self) -> Result<Vec<Item>, PortError> {
        self.unread.first().map_or(Ok(self.items), |key| Err(unread(self.operation, key)))
    }

    /// Returns the items that were read by `read`, and an error for each that was not.
    pub fn each<T>(self, read: impl Fn(&Item) -> Result<T, PortError>) -> Vec<Result<T, PortError>> {
        let unread = self.unread.iter().map(|key| Err(unread(self.operation, key)));
        self.items.iter().map(read).chain(unread).collect()
    }
}

fn unread(operation: &'static str, key: &Item) -> PortError {
    let key: BTreeMap<_, _> = key.iter().filter_map(|(name, value)| Some((name, value.as_s().ok()?))).collect();
    PortError::transient(operation, format!("the key {key:?} was left unprocessed {MAX_BATCH_ATTEMPTS} times"))
}

impl Table {
    /// Reads an item; `None`: there is none.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn get(&self, operation: &'static str, key: Item) -> Result<Option<Item>, PortError> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key)).consistent_read(true);
        let output = request.send().await.map_err(|error| port_error(operation, error))?;
        Ok(output.item)
    }

    /// Reads the items of at most [`MAX_READ_BATCH`] keys that exist, with the attributes of `projection` alone if there is one.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn get_batch(
        &self,
        operation: &'static str,
        keys: Vec<Item>,
        projection: Option<&str>,
    ) -> Result<Batch, PortError> {
        let mut batch = Batch { operation, ..Batch::default() };
        if keys.is_empty() {
            return Ok(batch);
        }
        let mut placeholders = Placeholders::default();
        placeholders.add_names(projection.unwrap_or_default());
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .set_projection_expression(projection.map(str::to_owned))
            .set_expression_attribute_names(placeholders.take_names())
            .build()
            .map_err(|error| PortError::internal_from(operation, error))?;
        let mut requested = HashMap::from([(self.name.clone(), request)]);
        let mut wait = BATCH_WAIT;
        for attempt in 0..MAX_BATCH_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            let request = self.client.batch_get_item().set_request_items(Some(requested));
            let output = request.send().await.map_err(|error| port_error(operation, error))?;
            batch.items.extend(output.responses.into_iter().flat_map(HashMap::into_values).flatten());
            requested = output.unprocessed_keys.unwrap_or_default();
            if requested.is_empty() {
                return Ok(batch);
            }
        }
        batch.unread = requested.into_values().flat_map(|keys| keys.keys).collect();
        Ok(batch)
    }

    /// Reads the page of a query that starts after the key `after`.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn page(&self, operation: &'static str, query: &Query, after: Option<Item>) -> Result<Page, PortError> {
        let request = self.query(query).set_exclusive_start_key(after);
        let output = request.send().await.map_err(|error| port_error(operation, error))?;
        Ok(output.into())
    }

    /// Returns the request for the first page of a query.
    pub(super) fn query(&self, query: &Query) -> QueryFluentBuilder {
        let mut placeholders = Placeholders::of([&query.key].into_iter().chain(&query.filter));
        placeholders.add_names(query.projection.unwrap_or_default());
        self.client
            .query()
            .table_name(&self.name)
            .set_index_name(query.index.map(str::to_owned))
            .set_consistent_read(query.index.is_none().then_some(true))
            .set_select(query.projection.map(|_| Select::SpecificAttributes))
            .set_projection_expression(query.projection.map(str::to_owned))
            .key_condition_expression(&query.key.text)
            .set_filter_expression(query.filter.as_ref().map(|filter| filter.text.clone()))
            .set_expression_attribute_names(placeholders.take_names())
            .set_expression_attribute_values(placeholders.take_values())
            .set_limit(query.limit)
            .set_scan_index_forward(query.is_descending.then_some(false))
    }

    /// Reads all items of a query, which fill at most `max_pages`.
    ///
    /// # Errors
    /// Transient or internal; internal if there are more pages.
    pub async fn all(&self, operation: &'static str, query: &Query, max_pages: usize) -> Result<Vec<Item>, PortError> {
        let mut items = Vec::new();
        let mut after = None;
        for _ in 0..max_pages {
            let page = self.page(operation, query, after).await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
        Err(PortError::internal(operation, format!("more than {max_pages} pages")))
    }

    /// Reads a page of the whole table, with the items that meet the condition alone.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn scan_page(
        &self,
        operation: &'static str,
        filter: Expression,
        projection: &str,
        after: Option<Item>,
    ) -> Result<Page, PortError> {
        let mut placeholders = Placeholders::of([&filter]);
        placeholders.add_names(projection);
        let request = self
            .client
            .scan()
            .table_name(&self.name)
            .consistent_read(true)
            .select(Select::SpecificAttributes)
            .projection_expression(projection)
            .filter_expression(filter.text)
            .set_expression_attribute_names(placeholders.take_names())
            .set_expression_attribute_values(placeholders.take_values())
            .set_exclusive_start_key(after);
        let output = request.send().await.map_err(|error| port_error(operation, error))?;
        Ok(Page { items: output.items.unwrap_or_default(), next: output.last_evaluated_key })
    }
}
