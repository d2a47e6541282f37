//! Conditional writes of single items, made alone or as parts of a transaction.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::{delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError},
    types::{
        ConditionCheck, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
        error::ConditionalCheckFailedException,
    },
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::{metadata::ProvideErrorMetadata, operation::BuildError};
use export_engine::ports::PortError;
use futures::stream::{StreamExt, TryStreamExt, iter};

use super::{
    expression::{Changes, Expression, Placeholders},
    item::Item,
    table::Table,
};
use crate::error::port_error;

/// A write of one item.
#[derive(Clone, Debug)]
pub struct Write {
    action: Action,
    condition: Option<Expression>,
    returns_found: bool,
    returns_updated: bool,
}

#[derive(Clone, Debug)]
enum Action {
    Put(Item),
    Update(Item, Changes),
    Delete(Item),
}

/// The condition of a write and the placeholders of all its expressions.
struct Conditional {
    condition: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Item>,
    returned: Option<ReturnValuesOnConditionCheckFailure>,
}

/// Adds a [`Conditional`] to a request or to a part of a transaction. Their builders have no trait in common.
macro_rules! with {
    ($request:expr, $conditional:expr) => {
        $request
            .set_condition_expression($conditional.condition)
            .set_expression_attribute_names($conditional.names)
            .set_expression_attribute_values($conditional.values)
            .set_return_values_on_condition_check_failure($conditional.returned)
    };
}

/// The outcome of a write.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum WriteOutcome {
    /// The write was made. The item has the attributes after it, if the write [returns](Write::returning_updated) them.
    Done(Item),
    /// The condition did not hold. The item is the one that was found, if the write [returns](Write::returning_found) it;
    /// else it is empty, and so it is where no item was found.
    Refused(Item),
}

impl WriteOutcome {
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl Write {
    fn new(action: Action) -> Self {
        Self { action, condition: None, returns_found: false, returns_updated: false }
    }

    pub fn put(item: Item) -> Self {
        Self::new(Action::Put(item))
    }

    pub fn update(key: Item, changes: Changes) -> Self {
        Self::new(Action::Update(key, changes))
    }

    pub fn delete(key: Item) -> Self {
        Self::new(Action::Delete(key))
    }

    /// Makes the write only if the condition holds.
    #[must_use]
    pub fn when(mut self, condition: Expression) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Returns the item that was found if the condition does not hold.
    #[must_use]
    pub fn returning_found(mut self) -> Self {
        self.returns_found = true;
        self
    }

    /// Returns the attributes after the update. In a transaction, nothing is returned.
    #[must_use]
    pub fn returning_updated(mut self) -> Self {
        self.returns_updated = true;
        self
    }

    fn split(self) -> (Action, Conditional) {
        let mut placeholders = Placeholders::of(&self.condition);
        if let Action::Update(_, changes) = &self.action {
            placeholders.add_changes(changes);
        }
        let conditional = Conditional {
            condition: self.condition.map(|condition| condition.text),
            names: placeholders.take_names(),
            values: placeholders.take_values(),
            returned: self.returns_found.then_some(ReturnValuesOnConditionCheckFailure::AllOld),
        };
        (self.action, conditional)
    }

    /// Returns the write as a part of a transaction.
    pub fn part(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let (action, conditional) = self.split();
        let part = TransactWriteItem::builder();
        Ok(match action {
            Action::Put(item) => {
                let put = Put::builder().table_name(table).set_item(Some(item));
                part.put(with!(put, conditional).build()?)
            }
            Action::Update(key, changes) => {
                let update = Update::builder().table_name(table).set_key(Some(key)).update_expression(changes.text());
                part.update(with!(update, conditional).build()?)
            }
            Action::Delete(key) => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                part.delete(with!(delete, conditional).build()?)
            }
        }
        .build())
    }
}

/// Returns the part of a transaction that refuses all of it unless the condition holds of an item.
pub fn check(table: &str, key: Item, condition: Expression) -> Result<TransactWriteItem, BuildError> {
    let mut placeholders = Placeholders::of([&condition]);
    let check = ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(key))
        .condition_expression(condition.text)
        .set_expression_attribute_names(placeholders.take_names())
        .set_expression_attribute_values(placeholders.take_values())
        .build()?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

/// Errors of a write that may say that its condition did not hold.
pub trait WriteFailure: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static {
    fn refusal(&self) -> Option<&ConditionalCheckFailedException>;
}

macro_rules! write_failure {
    ($error:ident) => {
        impl WriteFailure for $error {
            fn refusal(&self) -> Option<&ConditionalCheckFailedException> {
                match self {
                    Self::ConditionalCheckFailedException(refusal) => Some(refusal),
                    _ => None,
                }
            }
        }
    };
}

write_failure!(PutItemError);
write_failure!(UpdateItemError);
write_failure!(DeleteItemError);

/// Returns the item that made the condition of a write fail, empty if there is none; `None`: it failed for another reason.
pub fn refused<E: WriteFailure>(error: &SdkError<E, HttpResponse>) -> Option<Item> {
    let refusal = error.as_service_error()?.refusal()?;
    Some(refusal.item.clone().unwrap_or_default())
}

fn outcome<O, E: WriteFailure>(
    operation: &'static str,
    answer: Result<O, SdkError<E, HttpResponse>>,
    attributes: impl FnOnce(O) -> Option<Item>,
) -> Result<WriteOutcome, PortError> {
    match answer {
        Ok(output) => Ok(WriteOutcome::Done(attributes(output).unwrap_or_default())),
        Err(error) => match refused(&error) {
            Some(found) => Ok(WriteOutcome::Refused(found)),
            None => Err(port_error(operation, error)),
        },
    }
}

impl Table {
    /// Writes an item.
    ///
    /// # Errors
    /// Transient or internal. A condition that did not hold is an outcome.
    pub async fn write(&self, operation: &'static str, write: Write) -> Result<WriteOutcome, PortError> {
        let returned = write.returns_updated.then_some(ReturnValue::AllNew);
        let (action, conditional) = write.split();
        match action {
            Action::Put(item) => {
                let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
                outcome(operation, with!(put, conditional).send().await, |_| None)
            }
            Action::Update(key, changes) => {
                let update = self.client.update_item().table_name(&self.name).set_key(Some(key));
                let update = update.update_expression(changes.text()).set_return_values(returned);
                outcome(operation, with!(update, conditional).send().await, |output| output.attributes)
            }
            Action::Delete(key) => {
                let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key));
                outcome(operation, with!(delete, conditional).send().await, |_| None)
            }
        }
    }

    /// Deletes an item. One that is gone already is no error.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn delete(&self, operation: &'static str, key: Item) -> Result<(), PortError> {
        self.write(operation, Write::delete(key)).await.map(drop)
    }

    /// Makes writes, at most `concurrency` at the same time. Conditions that do not hold are passed over.
    ///
    /// # Errors
    /// The first that occurs, transient or internal; some of the writes may be made then.
    pub async fn write_each(
        &self,
        operation: &'static str,
        concurrency: usize,
        writes: impl Iterator<Item = Write>,
    ) -> Result<(), PortError> {
        let writes: Vec<_> = writes.map(|write| self.write(operation, write)).collect();
        iter(writes).buffer_unordered(concurrency).try_for_each(|_| std::future::ready(Ok(()))).await
    }
}
