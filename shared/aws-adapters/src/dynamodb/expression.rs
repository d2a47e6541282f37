//! Expressions and what their placeholders stand for.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::Item;

/// A condition, a filter or the condition of a key.
///
/// `#name` stands for the attribute of that name, so that no name has to be given twice. `:name` stands for a value of the
/// request: of [`with`](Expression::with), or of the [`Changes`] beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    pub text: String,
    values: Vec<(&'static str, AttributeValue)>,
}

impl Expression {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Adds the value of a placeholder, which is named without its colon.
    #[must_use]
    pub fn with(mut self, placeholder: &'static str, value: AttributeValue) -> Self {
        self.values.push((placeholder, value));
        self
    }
}

/// The changes of an update to the attributes of an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    add: Vec<String>,
    set: Vec<String>,
    remove: Vec<String>,
    values: Vec<(String, AttributeValue)>,
}

impl Changes {
    /// Gives an attribute a value, under the placeholder `:<attribute>`.
    #[must_use]
    pub fn set(mut self, attribute: &str, value: AttributeValue) -> Self {
        self.set.push(format!("#{attribute} = :{attribute}"));
        self.with(attribute, value)
    }

    /// Gives an attribute a value unless it has one.
    #[must_use]
    pub fn set_if_absent(mut self, attribute: &str, value: AttributeValue) -> Self {
        self.set.push(format!("#{attribute} = if_not_exists(#{attribute}, :{attribute})"));
        self.with(attribute, value)
    }

    /// Gives an attribute what an expression says, such as `#count = if_not_exists(#count, :zero)`.
    #[must_use]
    pub fn set_by(mut self, assignment: impl Into<String>) -> Self {
        self.set.push(assignment.into());
        self
    }

    /// Adds to a number, which counts from zero where it is absent.
    #[must_use]
    pub fn add(mut self, attribute: &str, value: AttributeValue) -> Self {
        self.add.push(format!("#{attribute} :{attribute}"));
        self.with(attribute, value)
    }

    #[must_use]
    pub fn remove(mut self, attribute: &str) -> Self {
        self.remove.push(format!("#{attribute}"));
        self
    }

    /// Sets the attribute, or removes it if there is no value.
    #[must_use]
    pub fn set_or_remove(self, attribute: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove(attribute),
        }
    }

    /// Adds the value of a placeholder, which is named without its colon.
    #[must_use]
    pub fn with(mut self, placeholder: impl Into<String>, value: AttributeValue) -> Self {
        self.values.push((placeholder.into(), value));
        self
    }

    /// Returns the text of the update expression.
    pub fn text(&self) -> String {
        let clauses = [("ADD", &self.add), ("SET", &self.set), ("REMOVE", &self.remove)];
        let clauses = clauses.iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }
}

/// The placeholders of all expressions of one request.
#[derive(Debug, Default)]
pub struct Placeholders {
    names: HashMap<String, String>,
    values: Item,
}

impl Placeholders {
    pub fn of<'a>(expressions: impl IntoIterator<Item = &'a Expression>) -> Self {
        let mut placeholders = Self::default();
        for expression in expressions {
            placeholders.add_names(&expression.text);
            for (name, value) in &expression.values {
                placeholders.add_value(name, value);
            }
        }
        placeholders
    }

    pub fn add_changes(&mut self, changes: &Changes) {
        self.add_names(&changes.text());
        for (name, value) in &changes.values {
            self.add_value(name, value);
        }
    }

    fn add_value(&mut self, name: &str, value: &AttributeValue) {
        let before = self.values.insert(format!(":{name}"), value.clone());
        debug_assert!(before.is_none_or(|before| before == *value), "the placeholder :{name} has two values");
    }

    /// Adds the names in a text, such as a projection.
    pub fn add_names(&mut self, text: &str) {
        for part in text.split('#').skip(1) {
            let end = part.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(part.len());
            let name = &part[..end];
            self.names.insert(format!("#{name}"), name.to_owned());
        }
    }

    /// Returns the names; `None`: there are none, and `DynamoDB` refuses an empty map.
    pub fn take_names(&mut self) -> Option<HashMap<String, String>> {
        Some(std::mem::take(&mut self.names)).filter(|names| !names.is_empty())
    }

    /// Returns the values, as [`take_names`](Self::take_names).
    pub fn take_values(&mut self) -> Option<Item> {
        Some(std::mem::take(&mut self.values)).filter(|values| !values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::item::{number, text};

    #[test]
    fn an_update_names_every_clause_once() {
        let changes = Changes::default()
            .set("expiresAt", number(7))
            .remove("openWindow")
            .set_by("#count = if_not_exists(#count, :one) + :one")
            .with("one", number(1))
            .add("bytes", number(30))
            .set_or_remove("error", None)
            .set_if_absent("reason", text("lost"));
        assert_eq!(
            changes.text(),
            "ADD #bytes :bytes SET #expiresAt = :expiresAt, #count = if_not_exists(#count, :one) + :one, #reason = \
             if_not_exists(#reason, :reason) REMOVE #openWindow, #error"
        );
    }

    #[test]
    fn placeholders_are_found_in_all_expressions() {
        let condition =
            Expression::new("#id < :end AND (attribute_exists(#run)OR plain = :end)").with("end", text("g"));
        let mut placeholders = Placeholders::of([&condition]);
        placeholders.add_changes(&Changes::default().set("count", number(1)));
        placeholders.add_names("#item, raw");
        let names = placeholders.take_names().unwrap();
        let expected = ["count", "id", "item", "run"].map(|name| (format!("#{name}"), name.to_owned()));
        assert_eq!(names, HashMap::from(expected));
        let expected = [(":end".to_owned(), text("g")), (":count".to_owned(), number(1))];
        assert_eq!(placeholders.take_values(), Some(Item::from(expected)));
        assert_eq!((placeholders.take_names(), placeholders.take_values()), (None, None));
    }

    #[test]
    #[should_panic(expected = "the placeholder :end has two values")]
    fn a_placeholder_has_one_value() {
        let condition = Expression::new("#id < :end").with("end", text("g"));
        Placeholders::of([&condition]).add_changes(&Changes::default().set("end", text("h")));
    }
}
