//! Values of an event that are kept as their JSON text.

use std::{
    borrow::{Borrow, Cow},
    collections::BTreeMap,
};

use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields of an object by name. Of two fields of one name, which only events of early versions have, the last counts.
#[derive(Debug, Deserialize)]
pub(crate) struct Fields<'a>(#[serde(borrow)] BTreeMap<Name<'a>, &'a RawValue>);

/// A name, borrowed unless it has escapes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Borrow<str> for Name<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'a> Fields<'a> {
    /// Returns `None` if the value is no object.
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok()).flatten()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Takes a field out, unless `read` can't read it.
    pub(crate) fn take<T>(&mut self, name: &str, read: impl FnOnce(&'a RawValue) -> Option<T>) -> Option<T> {
        let value = read(self.get(name)?)?;
        self.remove(name);
        Some(value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns each field with its JSON text.
    pub(crate) fn into_texts(self) -> BTreeMap<Cow<'a, str>, &'a str> {
        self.0.into_iter().map(|(name, value)| (name.0, value.get())).collect()
    }
}

/// Returns a text that is not empty.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    let text =
        if inner.contains('\\') { Cow::Owned(serde_json::from_str(value.get()).ok()?) } else { Cow::Borrowed(inner) };
    (!text.is_empty()).then_some(text)
}

/// Returns a text that is not empty, or the digits of a number.
pub(crate) fn text_or_number(value: &RawValue) -> Option<Cow<'_, str>> {
    let raw = value.get();
    if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Some(Cow::Borrowed(raw));
    }
    text(value)
}

/// Returns the elements of an array, or the value itself if it is none.
pub(crate) fn elements(value: &RawValue) -> Vec<&RawValue> {
    if value.get().starts_with('[') { serde_json::from_str(value.get()).unwrap_or_default() } else { vec![value] }
}
