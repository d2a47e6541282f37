//! The fields of one event, and the columns that they fill.

use domain::time::Timestamp;

use crate::{
    column::Column,
    equal::is_equal,
    error::Malformed,
    json::{Scanner, Value},
    names::Names,
    schema::{ELEMENT_NAMES, place},
};

/// The places of texts that are fields of the event itself.
const TEXTS: [usize; 10] = [
    place::ID,
    place::TENANT_ID,
    place::ACTION,
    place::ACTION_STATUS,
    place::ACTION_STATUS_REASON,
    place::ACTOR_IP,
    place::TARGET_TYPE,
    place::REQUEST_ID,
    place::SESSION_ID,
    place::AUDIT_PAYLOAD,
];

/// The places of the fields of the actor.
const ACTOR: std::ops::RangeInclusive<usize> = place::ACTOR_ID..=place::ACTOR_ISSUER;

/// The definition levels of an actor and of a list.
const GROUP_PRESENT: u8 = 1;
const LIST_EMPTY: u8 = 1;
const ELEMENT_MISSING: u8 = 2;
const ELEMENT_PRESENT: u8 = 3;

/// A field that an event has at most once. Events of earlier versions may have it twice, and then nobody knows which is meant.
#[derive(Clone, Copy, Debug, Default)]
enum Field<T> {
    #[default]
    Absent,
    Once(T),
    Repeated,
}

impl<T> Field<T> {
    fn set(&mut self, value: T) {
        *self = if matches!(self, Self::Absent) { Self::Once(value) } else { Self::Repeated };
    }

    fn get(&self) -> Option<&T> {
        if let Self::Once(value) = self { Some(value) } else { None }
    }
}

/// An element of a list, if it is an object.
type Element<'line> = Option<[Field<Value<'line>>; ELEMENT_NAMES.len()]>;

/// What is kept from event to event.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    names: Names<EventField>,
    actor_names: Names<Option<usize>>,
    element_names: Names<Option<usize>>,
    last_times: [LastTime; 2],
    /// The object of all other fields, without its last brace.
    others: Vec<u8>,
    unescaped: Vec<u8>,
}

/// The parts of one event, kept to fill the columns when the whole line is read.
#[derive(Debug)]
pub(crate) struct Row<'line, 'memory> {
    /// Fields by the place of their column.
    fields: [Field<Value<'line>>; place::OTHER_FIELDS],
    /// False: not an object.
    actor: Field<bool>,
    targets: List<'line>,
    related_resources: List<'line>,
    memory: &'memory mut Memory,
}

/// The time that was parsed last. That of the receipt of all events of a block is the same, and those of events mostly have
/// the same minute.
#[derive(Debug, Default)]
struct LastTime {
    text: Vec<u8>,
    micros: Option<i64>,
}

/// The length of `2026-01-31T23:59:`, before the seconds.
const MINUTE_LENGTH: usize = 17;

impl LastTime {
    fn micros(&mut self, text: &[u8]) -> Option<i64> {
        if self.micros.is_some() && is_equal(&self.text, text) {
            return self.micros;
        }
        self.micros = self.in_same_minute(text).or_else(|| micros(text));
        self.text.clear();
        self.text.extend_from_slice(text);
        self.micros
    }

    /// Returns a time that has its seconds and milliseconds, in UTC, like the last one.
    #[inline]
    fn in_same_minute(&self, text: &[u8]) -> Option<i64> {
        let (minute, rest) = text.split_first_chunk::<MINUTE_LENGTH>()?;
        let (last_minute, last_rest) = self.text.split_first_chunk::<MINUTE_LENGTH>()?;
        let (seconds, last_seconds) = (below_a_minute(rest)?, below_a_minute(last_rest)?);
        if minute == last_minute { Some(self.micros? - last_seconds + seconds) } else { None }
    }
}

/// Returns the microseconds of `59.123Z`.
#[inline]
fn below_a_minute(text: &[u8]) -> Option<i64> {
    let [tens, ones, b'.', first, second, third, b'Z'] = text else { return None };
    let digits = [tens, ones, first, second, third];
    let is_second = *tens < b'6' && digits.iter().all(|digit| digit.is_ascii_digit());
    is_second.then(|| digits.iter().fold(0, |millis, digit| millis * 10 + i64::from(**digit - b'0')) * 1_000)
}

/// The meaning of a field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventField {
    Actor,
    Targets,
    RelatedResources,
    /// The field with the column at this place.
    Column(usize),
    Other,
}

#[derive(Debug, Default)]
struct List<'line> {
    /// False: not an array.
    state: Field<bool>,
    elements: Vec<Element<'line>>,
}

impl<'line, 'memory> Row<'line, 'memory> {
    pub(crate) fn new(memory: &'memory mut Memory) -> Self {
        Self {
            fields: [Field::Absent; place::OTHER_FIELDS],
            actor: Field::Absent,
            targets: List::default(),
            related_resources: List::default(),
            memory,
        }
    }

    /// Reads the first line, and returns its length without the line feed.
    pub(crate) fn read(&mut self, lines: &'line [u8]) -> Result<usize, Malformed> {
        self.clear();
        let mut scanner = Scanner::new(lines);
        let mut is_first = true;
        while let Some((name, field)) =
            self.memory.names.next(is_first, &mut scanner, &mut self.memory.unescaped, event_field)?
        {
            is_first = false;
            match field {
                EventField::Actor => self.read_actor(&mut scanner)?,
                EventField::Targets => {
                    self.targets.read(&mut scanner, &mut self.memory.element_names, &mut self.memory.unescaped)?;
                }
                EventField::RelatedResources => {
                    self.related_resources.read(
                        &mut scanner,
                        &mut self.memory.element_names,
                        &mut self.memory.unescaped,
                    )?;
                }
                EventField::Column(place) => set(&mut self.fields, place, scanner.value()?),
                EventField::Other => self.add_other(name, scanner.value()?),
            }
        }
        scanner.end()
    }

    fn clear(&mut self) {
        self.fields = [Field::Absent; place::OTHER_FIELDS];
        self.actor = Field::Absent;
        self.targets.clear();
        self.related_resources.clear();
        self.memory.others.clear();
    }

    fn read_actor(&mut self, scanner: &mut Scanner<'line>) -> Result<(), Malformed> {
        let is_object = scanner.peek() == b'{';
        self.actor.set(is_object);
        if !is_object {
            return scanner.value().map(|_| ());
        }
        let mut is_first = true;
        while let Some((_, place)) =
            self.memory.actor_names.next(is_first, scanner, &mut self.memory.unescaped, actor_place)?
        {
            is_first = false;
            let value = scanner.value()?;
            if let Some(place) = place {
                set(&mut self.fields, place, value);
            }
        }
        Ok(())
    }

    fn add_other(&mut self, name: &[u8], value: Value<'_>) {
        self.memory.others.push(if self.memory.others.is_empty() { b'{' } else { b',' });
        self.memory.others.extend_from_slice(name);
        self.memory.others.push(b':');
        self.memory.others.extend_from_slice(value.raw);
    }

    /// Appends the row to the columns, in the order of the schema.
    pub(crate) fn write(&mut self, line: &[u8], columns: &mut [Column]) {
        let Self { fields, actor, targets, related_resources, memory } = self;
        let Memory { others, unescaped, last_times, .. } = &mut **memory;
        let field = |place: usize| fields.get(place).and_then(Field::get);
        for place in TEXTS {
            let text = if place == place::AUDIT_PAYLOAD {
                field(place).map(|value| value.raw)
            } else {
                field(place).and_then(|value| value.text(unescaped))
            };
            push(columns, place, 0, text.ok_or(0));
        }
        for (place, last_time) in [place::EVENT_TIMESTAMP, place::RECEIVED_TIMESTAMP].into_iter().zip(last_times) {
            let text = field(place).and_then(|value| value.text(unescaped));
            let time = text.and_then(|text| last_time.micros(text));
            let Some(column) = columns.get_mut(place) else { continue };
            match time {
                Some(micros) => column.push_time(micros),
                None => column.push_null(0, 0),
            }
        }
        let missing = if actor.get() == Some(&true) { GROUP_PRESENT } else { 0 };
        for place in ACTOR {
            let value = field(place).filter(|_| missing == GROUP_PRESENT);
            let text = if place == place::ACTOR_PROFILE_ID {
                value.and_then(|value| value.text_or_digits(unescaped))
            } else {
                value.and_then(|value| value.text(unescaped))
            };
            push(columns, place, 0, text.ok_or(missing));
        }
        targets.write(columns, place::TARGETS, unescaped);
        related_resources.write(columns, place::RELATED_RESOURCES, unescaped);
        if !others.is_empty() {
            others.push(b'}');
        }
        push(columns, place::OTHER_FIELDS, 0, if others.is_empty() { Err(0) } else { Ok(others) });
        push(columns, place::EVENT, 0, Ok(line));
    }
}

impl<'line> List<'line> {
    fn clear(&mut self) {
        self.state = Field::Absent;
        self.elements.clear();
    }

    fn read(
        &mut self,
        scanner: &mut Scanner<'line>,
        names: &mut Names<Option<usize>>,
        unescaped: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let is_array = scanner.peek() == b'[';
        self.state.set(is_array);
        if !is_array {
            return scanner.value().map(|_| ());
        }
        scanner.take(b'[')?;
        let mut is_first = true;
        while scanner.next_element(is_first)? {
            is_first = false;
            self.elements.push(element(scanner, names, unescaped)?);
        }
        Ok(())
    }

    /// Appends to the columns from `first` on.
    fn write(&self, columns: &mut [Column], first: usize, unescaped: &mut Vec<u8>) {
        let places = first..first + ELEMENT_NAMES.len();
        let missing = match self.state.get() {
            Some(true) if self.elements.is_empty() => Some(LIST_EMPTY),
            Some(true) => None,
            Some(false) | None => Some(0),
        };
        if let Some(missing) = missing {
            for place in places {
                push(columns, place, 0, Err(missing));
            }
            return;
        }
        for (number, element) in self.elements.iter().enumerate() {
            let repetition = u8::from(number > 0);
            for (offset, place) in places.clone().enumerate() {
                let Some(fields) = element else {
                    push(columns, place, repetition, Err(ELEMENT_MISSING));
                    continue;
                };
                let value = fields.get(offset).and_then(Field::get);
                let text = match offset {
                    0 => value.and_then(|value| value.text_or_digits(unescaped)),
                    _ => value.and_then(|value| value.text(unescaped)),
                };
                push(columns, place, repetition, text.ok_or(ELEMENT_PRESENT));
            }
        }
    }
}

fn element<'line>(
    scanner: &mut Scanner<'line>,
    names: &mut Names<Option<usize>>,
    unescaped: &mut Vec<u8>,
) -> Result<Element<'line>, Malformed> {
    if scanner.peek() != b'{' {
        scanner.value()?;
        return Ok(None);
    }
    let mut fields = [Field::Absent; ELEMENT_NAMES.len()];
    let mut is_first = true;
    while let Some((_, place)) = names.next(is_first, scanner, unescaped, element_place)? {
        is_first = false;
        let value = scanner.value()?;
        if let Some(place) = place {
            set(&mut fields, place, value);
        }
    }
    Ok(Some(fields))
}

fn element_place(name: &[u8]) -> Option<usize> {
    ELEMENT_NAMES.iter().position(|known| known.as_bytes() == name)
}

fn set<'line>(fields: &mut [Field<Value<'line>>], place: usize, value: Value<'line>) {
    if let Some(field) = fields.get_mut(place) {
        field.set(value);
    }
}

/// Appends a text, or the level at which it is missing.
#[inline]
fn push(columns: &mut [Column], place: usize, repetition: u8, text: Result<&[u8], u8>) {
    let Some(column) = columns.get_mut(place) else { return };
    match text {
        Ok(text) => column.push_text(repetition, text),
        Err(definition) => column.push_null(repetition, definition),
    }
}

fn event_field(name: &[u8]) -> EventField {
    EventField::Column(match name {
        b"actor" => return EventField::Actor,
        b"targets" => return EventField::Targets,
        b"relatedResources" => return EventField::RelatedResources,
        b"id" => place::ID,
        b"eventTimestamp" => place::EVENT_TIMESTAMP,
        b"receivedTimestamp" => place::RECEIVED_TIMESTAMP,
        b"tenantId" => place::TENANT_ID,
        b"action" => place::ACTION,
        b"actionStatus" => place::ACTION_STATUS,
        b"actionStatusReason" => place::ACTION_STATUS_REASON,
        b"actorIp" => place::ACTOR_IP,
        b"targetType" => place::TARGET_TYPE,
        b"requestId" => place::REQUEST_ID,
        b"sessionId" => place::SESSION_ID,
        b"auditPayload" => place::AUDIT_PAYLOAD,
        _ => return EventField::Other,
    })
}

fn actor_place(name: &[u8]) -> Option<usize> {
    Some(match name {
        b"id" => place::ACTOR_ID,
        b"name" => place::ACTOR_NAME,
        b"type" => place::ACTOR_TYPE,
        b"identityProvider" => place::ACTOR_IDENTITY_PROVIDER,
        b"profileId" => place::ACTOR_PROFILE_ID,
        b"issuer" => place::ACTOR_ISSUER,
        _ => return None,
    })
}

/// Returns the microseconds since the epoch. Further decimals are cut off.
fn micros(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let millis = i64::try_from(Timestamp::parse(text).ok()?.as_millis()).ok()?;
    // `Timestamp` keeps three decimals.
    let decimals = text.split_once('.').map_or("", |(_, decimals)| decimals).bytes();
    let below_millis = decimals
        .take_while(u8::is_ascii_digit)
        .chain(std::iter::repeat(b'0'))
        .skip(3)
        .take(3)
        .fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
    Some(millis * 1_000 + below_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_decimals_of_a_time_are_kept() {
        let second = 1_769_903_999_000_000;
        for (text, expected) in [
            ("2026-01-31T23:59:59Z", Some(second)),
            ("2026-01-31T23:59:59.1Z", Some(second + 100_000)),
            ("2026-01-31T23:59:59.123456Z", Some(second + 123_456)),
            ("2026-02-01T00:59:59.123456789+01:00", Some(second + 123_456)),
            ("2026-01-31T23:59:59.0001-00:00", Some(second + 100)),
            ("yesterday", None),
        ] {
            assert_eq!(micros(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(micros(b"\xFF"), None);
    }

    #[test]
    fn a_time_does_not_depend_on_the_last_one() {
        let texts = [
            "2026-01-31T23:59:59.123Z",
            "2026-01-31T23:59:01.123Z",
            "2026-01-31T23:58:01.123Z",
            "2026-01-31T23:58:60.000Z",
            "2026-01-31T23:58:61.000Z",
            "2026-01-31T23:58:0/.000Z",
            "2026-01-31T23:58:07.123456Z",
            "2026-01-31T23:58:08Z",
            "2026-01-31T23:58:08.120+01:00",
            "2026-01-32T23:58:01.123Z",
            "2026-01-32T23:58:02.123Z",
            "yesterday",
            "",
        ];
        for first in texts {
            for second in texts {
                let mut last = LastTime::default();
                assert_eq!(last.micros(first.as_bytes()), micros(first.as_bytes()));
                assert_eq!(last.micros(second.as_bytes()), micros(second.as_bytes()), "{second} after {first}");
            }
        }
    }
}
