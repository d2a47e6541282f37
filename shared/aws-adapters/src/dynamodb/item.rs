//! Items, the values of their attributes, and typed access to them.

use std::{collections::HashMap, fmt::Display, str::FromStr};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bytes::Bytes;
use domain::time::Timestamp;
use export_engine::ports::PortError;
use serde::{Serialize, de::DeserializeOwned};

pub type Item = HashMap<String, AttributeValue>;

/// An attribute that is missing or has no valid value. The value is left out, because this ends up in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the item's attribute {attribute} is missing or malformed")]
pub struct MalformedItem {
    pub attribute: &'static str,
}

impl From<MalformedItem> for PortError {
    fn from(error: MalformedItem) -> Self {
        Self::internal_from("read item", error)
    }
}

/// Returns the item with these attributes.
pub fn item(attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns `item` with further attributes.
pub fn extended(mut item: Item, attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>) -> Item {
    item.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
    item
}

pub fn text(value: impl Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub fn binary(bytes: impl AsRef<[u8]>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes.as_ref()))
}

/// Returns a time as the tables' time to live reads it: whole seconds since the epoch.
pub fn seconds(time: Timestamp) -> AttributeValue {
    number(time.as_seconds())
}

pub fn json(operation: &'static str, value: &impl Serialize) -> Result<AttributeValue, PortError> {
    match serde_json::to_string(value) {
        Ok(text) => Ok(AttributeValue::S(text)),
        Err(error) => Err(PortError::internal_from(operation, error)),
    }
}

/// The attributes of an item by their types. Every error names the attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a Item);

impl<'a> Attributes<'a> {
    fn read<T>(
        self,
        name: &'static str,
        read: impl FnOnce(&'a AttributeValue) -> Option<T>,
    ) -> Result<Option<T>, MalformedItem> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or(MalformedItem { attribute: name })
    }

    /// Reads a text with `parse`, if the attribute is there.
    pub fn optional<T>(
        self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, MalformedItem> {
        self.read(name, |value| parse(value.as_s().ok()?))
    }

    /// Reads a text with `parse`.
    pub fn required<T>(self, name: &'static str, parse: impl FnOnce(&'a str) -> Option<T>) -> Result<T, MalformedItem> {
        required(name, self.optional(name, parse)?)
    }

    pub fn text(self, name: &'static str) -> Result<String, MalformedItem> {
        self.required(name, |text| Some(text.to_owned()))
    }

    pub fn optional_time(self, name: &'static str) -> Result<Option<Timestamp>, MalformedItem> {
        self.optional(name, |text| Timestamp::parse(text).ok())
    }

    pub fn time(self, name: &'static str) -> Result<Timestamp, MalformedItem> {
        required(name, self.optional_time(name)?)
    }

    pub fn optional_json<T: DeserializeOwned>(self, name: &'static str) -> Result<Option<T>, MalformedItem> {
        self.optional(name, |text| serde_json::from_str(text).ok())
    }

    pub fn json<T: DeserializeOwned>(self, name: &'static str) -> Result<T, MalformedItem> {
        required(name, self.optional_json(name)?)
    }

    pub fn optional_number<T: FromStr>(self, name: &'static str) -> Result<Option<T>, MalformedItem> {
        self.read(name, |value| value.as_n().ok()?.parse().ok())
    }

    pub fn number<T: FromStr>(self, name: &'static str) -> Result<T, MalformedItem> {
        required(name, self.optional_number(name)?)
    }

    /// Reads a time in milliseconds since the epoch, if the attribute is there.
    pub fn optional_millis(self, name: &'static str) -> Result<Option<Timestamp>, MalformedItem> {
        self.read(name, |value| Timestamp::from_millis(value.as_n().ok()?.parse().ok()?))
    }

    /// Reads a time in seconds since the epoch, if the attribute is there.
    pub fn optional_seconds(self, name: &'static str) -> Result<Option<Timestamp>, MalformedItem> {
        self.read(name, |value| {
            let seconds: u64 = value.as_n().ok()?.parse().ok()?;
            Timestamp::from_millis(seconds.checked_mul(1_000)?)
        })
    }

    pub fn optional_flag(self, name: &'static str) -> Result<Option<bool>, MalformedItem> {
        self.read(name, |value| value.as_bool().ok().copied())
    }

    pub fn flag(self, name: &'static str) -> Result<bool, MalformedItem> {
        required(name, self.optional_flag(name)?)
    }

    pub fn bytes(self, name: &'static str) -> Result<&'a [u8], MalformedItem> {
        required(name, self.read(name, |value| value.as_b().ok().map(AsRef::as_ref))?)
    }

    /// Reads a list of maps. An absent attribute is an empty list.
    pub fn maps(self, name: &'static str) -> Result<Vec<Attributes<'a>>, MalformedItem> {
        let maps = self.read(name, |value| {
            value.as_l().ok()?.iter().map(|value| value.as_m().ok().map(Attributes)).collect::<Option<Vec<_>>>()
        })?;
        Ok(maps.unwrap_or_default())
    }

    pub fn map(self, name: &'static str) -> Result<Attributes<'a>, MalformedItem> {
        required(name, self.read(name, |value| value.as_m().ok().map(Attributes))?)
    }
}

fn required<T>(attribute: &'static str, value: Option<T>) -> Result<T, MalformedItem> {
    value.ok_or(MalformedItem { attribute })
}

/// Takes bytes out of an item without copying them.
pub fn take_optional_bytes(item: &mut Item, name: &'static str) -> Result<Option<Bytes>, MalformedItem> {
    match item.remove(name) {
        None => Ok(None),
        Some(AttributeValue::B(bytes)) => Ok(Some(Bytes::from(bytes.into_inner()))),
        Some(_) => Err(MalformedItem { attribute: name }),
    }
}

/// Takes bytes that have to be there out of an item without copying them.
pub fn take_bytes(item: &mut Item, name: &'static str) -> Result<Bytes, MalformedItem> {
    required(name, take_optional_bytes(item, name)?)
}
