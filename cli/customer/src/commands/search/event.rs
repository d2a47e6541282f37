//! The fields of a stored event that are searched and shown. Everything else is skipped without being parsed.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The fields of one line, as their JSON. A missing field is `None`, as is one of any type that a line doesn't have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    id: Option<&'a RawValue>,
    time: Option<&'a RawValue>,
    action: Option<&'a RawValue>,
    action_status: Option<&'a RawValue>,
    actor: Option<&'a RawValue>,
    targets: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Id,
    EventTimestamp,
    Action,
    ActionStatus,
    Actor,
    Targets,
    #[serde(other)]
    Other,
}

/// An actor or a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    pub id: Option<String>,
    pub name: Option<String>,
}

impl<'a> Event<'a> {
    pub fn parse(line: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line)
    }

    pub fn id(&self) -> Option<String> {
        self.id.and_then(text)
    }

    pub fn time(&self) -> Option<String> {
        self.time.and_then(text)
    }

    pub fn action(&self) -> Option<String> {
        self.action.and_then(text)
    }

    pub fn action_status(&self) -> Option<String> {
        self.action_status.and_then(text)
    }

    pub fn actor(&self) -> Option<Party> {
        self.actor.map(Party::of)
    }

    /// Returns the targets; one that is in no list counts as well.
    pub fn targets(&self) -> Vec<Party> {
        let Some(targets) = self.targets else { return Vec::new() };
        match serde_json::from_str::<Vec<&RawValue>>(targets.get()) {
            Ok(targets) => targets.into_iter().map(Party::of).collect(),
            Err(_) => vec![Party::of(targets)],
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Event<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
            type Value = Event<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut event = Event::default();
                // Lines of earlier versions may have a field twice: the last one counts.
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Id => event.id = Some(map.next_value()?),
                        Field::EventTimestamp => event.time = Some(map.next_value()?),
                        Field::Action => event.action = Some(map.next_value()?),
                        Field::ActionStatus => event.action_status = Some(map.next_value()?),
                        Field::Actor => event.actor = Some(map.next_value()?),
                        Field::Targets => event.targets = Some(map.next_value()?),
                        Field::Other => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(event)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

impl Party {
    /// Reads an object with `id` and `name`. Another value is both: some products send the name alone.
    fn of(value: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            name: Option<&'a RawValue>,
        }

        if value.get().starts_with('{') {
            let Ok(Fields { id, name }) = serde_json::from_str(value.get()) else { return Self::default() };
            return Self { id: id.and_then(text), name: name.and_then(text) };
        }
        let value = text(value);
        Self { id: value.clone(), name: value }
    }

    /// Returns the name, or else the ID.
    pub fn label(self) -> Option<String> {
        self.name.or(self.id)
    }
}

/// Returns a string unescaped, and the JSON of any other value except `null`.
fn text(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        json if json.starts_with('"') => serde_json::from_str(json).ok(),
        json => Some(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(id: &str, name: &str) -> Party {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Party { id: text(id), name: text(name) }
    }

    #[test]
    fn fields_are_found_in_any_order_and_spelling() {
        let line = r#"{"\u0061ction":"QU\u0045RY","Action":"x","n":1e999,"a":"\ud800","actor":{"type":[],"name":"Zo\u00eb",
            "id":123456789012345678901234567890},"targets":[{"id":"t-1"},"orders",null,[]],"id":"1","actionStatus":null}"#;
        let event = Event::parse(line.as_bytes()).unwrap();
        assert_eq!(event.action().as_deref(), Some("QUERY"));
        assert_eq!(event.actor(), Some(party("123456789012345678901234567890", "Zoë")));
        assert_eq!(event.targets(), [party("t-1", ""), party("orders", "orders"), party("", ""), party("[]", "[]")]);
        assert_eq!((event.id().as_deref(), event.action_status(), event.time()), (Some("1"), None, None));
    }

    #[test]
    fn fields_of_other_types_are_taken_as_they_are() {
        let event = Event::parse(br#"{"actor":"bob","targets":{"name":"orders"},"action":7,"action":8}"#).unwrap();
        assert_eq!(event.actor(), Some(party("bob", "bob")));
        assert_eq!(event.targets(), [party("", "orders")]);
        assert_eq!(event.action().as_deref(), Some("8"));
        for line in [&b"{"[..], b"[]", b"\xff"] {
            assert!(Event::parse(line).is_err());
        }
    }
}
