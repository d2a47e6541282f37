//! The conditions of a search.

use std::borrow::Cow;

use domain::{digest::DigestObject, time::Timestamp};

use super::event::{Event, Party};
use crate::commands::period::Period;

/// The conditions, all of which an event must meet. Without a value, a condition is met.
#[derive(Debug, Default)]
pub struct Filter {
    actors: Vec<Name>,
    /// In lower case.
    actions: Vec<String>,
    targets: Vec<Name>,
    /// In lower case.
    texts: Vec<String>,
    period: Period,
}

/// An ID or a name to find.
#[derive(Debug)]
struct Name {
    exact: String,
    lower: String,
}

impl Name {
    fn names(&self, party: &Party) -> bool {
        party.id.as_ref() == Some(&self.exact)
            || party.name.as_ref().is_some_and(|name| name.to_lowercase() == self.lower)
    }
}

impl Filter {
    pub fn new(
        actors: &[String],
        actions: &[String],
        targets: &[String],
        texts: &[String],
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Self {
        let names = |names: &[String]| {
            names.iter().map(|name| Name { exact: name.clone(), lower: name.to_lowercase() }).collect()
        };
        let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect();
        Self {
            actors: names(actors),
            actions: lower(actions),
            targets: names(targets),
            texts: lower(texts),
            period: Period { since, until },
        }
    }

    /// Returns whether an event of the object can be in the period.
    pub fn may_match(&self, object: &DigestObject) -> bool {
        self.period.may_have_events_of(object)
    }

    /// Returns whether the line has one of the texts.
    pub fn matches_text(&self, line: &[u8]) -> bool {
        if self.texts.is_empty() {
            return true;
        }
        let text = unescaped(line);
        let text = String::from_utf8_lossy(&text);
        let lower = if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() };
        self.texts.iter().any(|text| lower.contains(text))
    }

    /// Returns whether the event meets the conditions on its fields.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.is_in_period(event)
            && (self.actions.is_empty()
                || event.action().is_some_and(|action| self.actions.contains(&action.to_lowercase())))
            && (self.actors.is_empty() || event.actor().is_some_and(|actor| names_one(&self.actors, &actor)))
            && (self.targets.is_empty() || event.targets().iter().any(|target| names_one(&self.targets, target)))
    }

    fn is_in_period(&self, event: &Event<'_>) -> bool {
        let time = || event.time().and_then(|time| Timestamp::parse(&time).ok());
        self.period.is_unlimited() || time().is_some_and(|time| self.period.has(time))
    }
}

fn names_one(names: &[Name], party: &Party) -> bool {
    names.iter().any(|name| name.names(party))
}

/// Replaces the escapes of JSON by their characters. A backslash occurs only in strings, so the whole line can be replaced.
fn unescaped(line: &[u8]) -> Cow<'_, [u8]> {
    if !line.contains(&b'\\') {
        return Cow::Borrowed(line);
    }
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(position) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(position);
        text.extend_from_slice(before);
        let (character, length) = character_of(escape);
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = escape.get(length..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// Returns the character of the escape at the beginning, and the length of the escape.
fn character_of(escape: &[u8]) -> (char, usize) {
    let unit = |begin: usize| {
        let digits = escape.get(begin..begin + 6)?.strip_prefix(br"\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match escape.get(1) {
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'u') => match (unit(0), unit(6)) {
            (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
                let decoded = char::decode_utf16([high, low]).next().and_then(Result::ok);
                (decoded.unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (Some(unit), _) => (char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            (None, _) => (char::REPLACEMENT_CHARACTER, 2),
        },
        Some(other) => (char::from(*other), 2),
        None => ('\\', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"id":"1","eventTimestamp":"2026-11-22T01:00:00.5+01:00","action":"Query","actor":{"id":"u-1","name":
        "Zo\u00CB"},"targets":[{"id":"t-1","name":"Customers"},{"id":"t-2"}],"q":"say \"hi\"\n\ud83d\uDE00 a\\b \u0041"}"#;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn matches(filter: &Filter) -> bool {
        filter.matches_text(LINE.as_bytes()) && filter.matches(&Event::parse(LINE.as_bytes()).unwrap())
    }

    #[test]
    fn ids_are_exact_and_names_ignore_case() {
        for (texts, [actor, target, action]) in [
            (&["u-1"][..], [true, false, false]),
            (&["U-1"], [false, false, false]),
            (&["ZOË"], [true, false, false]),
            (&["t-2"], [false, true, false]),
            (&["T-2"], [false, false, false]),
            (&["customers"], [false, true, false]),
            (&["custom"], [false, false, false]),
            (&["QUERY"], [false, false, true]),
            (&["x", "query", "u-1", "t-1"], [true, true, true]),
            (&[], [true, true, true]),
        ] {
            let texts = strings(texts);
            let found = [
                Filter::new(&texts, &[], &[], &[], None, None),
                Filter::new(&[], &[], &texts, &[], None, None),
                Filter::new(&[], &texts, &[], &[], None, None),
            ];
            assert_eq!(found.each_ref().map(matches), [actor, target, action], "{texts:?}");
        }
        assert!(!matches(&Filter::new(&strings(&["u-1"]), &strings(&["LOGIN"]), &[], &[], None, None)));
    }

    #[test]
    fn a_text_is_found_unescaped() {
        for (text, is_found) in [
            ("say \"HI\"", true),
            ("zoë", true),
            ("\n😀", true),
            (r"a\b", true),
            ("b a", true),
            ("\"ACTION\":\"query\"", true),
            (r"\u00cb", false),
            ("nothing", false),
        ] {
            assert_eq!(matches(&Filter::new(&[], &[], &[], &strings(&["else", text]), None, None)), is_found, "{text}");
        }
        for broken in [r"\", r"\u", r"\u12", r"\ud800\u0041", r"\ud800", "\\u\u{e9}\u{e9}"] {
            unescaped(broken.as_bytes());
        }
    }

    #[test]
    fn a_period_has_its_begin_and_not_its_end() {
        let at = |time: &str| Timestamp::parse(time).ok();
        let exactly = "2026-11-22T00:00:00.500Z";
        for (since, until, is_found) in [
            (at(exactly), None, true),
            (at("2026-11-22T00:00:00.501Z"), None, false),
            (None, at(exactly), false),
            (None, at("2026-11-22T00:00:00.501Z"), true),
        ] {
            assert_eq!(matches(&Filter::new(&[], &[], &[], &[], since, until)), is_found);
        }
        let filter = Filter::new(&[], &[], &[], &[], at(exactly), None);
        assert!(!filter.matches(&Event::default()), "an event without a time");
    }
}
