//! The smallest and the largest value of a page or a column, by which readers skip pages and files.

/// The most bytes of a bound.
const LENGTH: usize = 64;

/// The bytes of a text that decide its bound: one more shows whether the text is longer, and whether a character ends there.
const KEPT_LENGTH: usize = LENGTH + 1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// There are no values.
    #[default]
    None,
    Times {
        min: i64,
        max: i64,
    },
    /// The starts of the texts (`KEPT_LENGTH`): there are bounds of each page until the file ends, and a text may have 256 KiB.
    Texts {
        min: Vec<u8>,
        max: Vec<u8>,
    },
}

impl Bounds {
    #[inline]
    pub(crate) fn include_time(&mut self, time: i64) {
        match self {
            Self::Times { min, max } => (*min, *max) = (time.min(*min), time.max(*max)),
            _ => *self = Self::Times { min: time, max: time },
        }
    }

    #[inline]
    pub(crate) fn include_text(&mut self, text: &[u8]) {
        // Starts sort like their texts, or are equal.
        let text = text.get(..KEPT_LENGTH).unwrap_or(text);
        match self {
            Self::Texts { min, .. } if is_below(text, min) => replace(min, text),
            Self::Texts { max, .. } if is_below(max, text) => replace(max, text),
            Self::Texts { .. } => {}
            _ => *self = Self::Texts { min: text.to_vec(), max: text.to_vec() },
        }
    }

    pub(crate) fn include(&mut self, other: Self) {
        match other {
            Self::None => {}
            Self::Times { min, max } => {
                self.include_time(min);
                self.include_time(max);
            }
            Self::Texts { min, max } => {
                self.include_text(&min);
                self.include_text(&max);
            }
        }
    }

    /// Returns whether the kept start of a text is the whole text, which is its own bound.
    pub(crate) fn is_short(text: &[u8]) -> bool {
        text.len() <= LENGTH
    }

    /// Returns the bounds as bytes of the encoding PLAIN, without lengths. Those of long texts are shorter, and lower or
    /// higher. Both are empty if there are no values. `None` is the maximum of a text that no short text is above.
    pub(crate) fn truncated(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        match self {
            Self::None => (Vec::new(), Some(Vec::new())),
            Self::Times { min, max } => (min.to_le_bytes().to_vec(), Some(max.to_le_bytes().to_vec())),
            Self::Texts { min, max } => (start_of(min).to_vec(), above(max)),
        }
    }

    /// Returns the memory of the texts.
    #[cfg(test)]
    pub(crate) fn held_length(&self) -> usize {
        match self {
            Self::None | Self::Times { .. } => 0,
            Self::Texts { min, max } => min.capacity() + max.capacity(),
        }
    }
}

/// Returns whether one text sorts before the other. The first bytes of IDs mostly decide.
#[inline]
fn is_below(one: &[u8], other: &[u8]) -> bool {
    if let (Some(one), Some(other)) = (one.first_chunk::<8>(), other.first_chunk::<8>())
        && one != other
    {
        return u64::from_be_bytes(*one) < u64::from_be_bytes(*other);
    }
    one < other
}

fn replace(bound: &mut Vec<u8>, text: &[u8]) {
    bound.clear();
    bound.extend_from_slice(text);
}

/// Returns whole characters from the start of UTF-8.
fn start_of(text: &[u8]) -> &[u8] {
    let is_inside = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let end = (0..=LENGTH).rev().find(|end| !text.get(*end).is_some_and(is_inside)).unwrap_or_default();
    text.get(..end).unwrap_or(text)
}

/// Returns a short text that is at least `text`. There is none above a start of nothing but the very last character.
fn above(text: &[u8]) -> Option<Vec<u8>> {
    if Bounds::is_short(text) {
        return Some(text.to_vec());
    }
    let mut start = String::from_utf8_lossy(start_of(text)).into_owned();
    while let Some(last) = start.pop() {
        // UTF-8 sorts like the numbers of characters. The next number may be no character, as after U+D7FF.
        let next = (u32::from(last) + 1..).take(0x801).find_map(char::from_u32);
        if let Some(next) = next {
            start.push(next);
            return Some(start.into_bytes());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_of_times() {
        let mut bounds = Bounds::default();
        assert_eq!(bounds.truncated(), (vec![], Some(vec![])));
        for time in [3, -1, 2] {
            bounds.include_time(time);
        }
        assert_eq!(bounds, Bounds::Times { min: -1, max: 3 });
    }

    #[test]
    fn a_bound_that_cannot_be_raised_is_left_out() {
        let text = "\u{10FFFF}".repeat(20).into_bytes();
        assert_eq!(above(&text), None);
        let raised = above(&["\u{D7FF}".as_bytes(), &text].concat()).unwrap();
        assert_eq!(raised, "\u{E000}".as_bytes());
        assert_eq!(above(&text[..LENGTH]).unwrap(), text[..LENGTH]);
    }

    proptest! {
        #[test]
        fn texts_are_compared_by_their_bytes(one in "[ab\u{E9}]{0,11}", other in "[ab\u{E9}]{0,11}") {
            prop_assert_eq!(is_below(one.as_bytes(), other.as_bytes()), one < other);
            prop_assert!(!is_below(one.as_bytes(), one.as_bytes()));
        }

        #[test]
        fn every_text_is_between_short_bounds(texts in prop::collection::vec("(a|é|\u{D7FF}|😀){0,60}", 1..10)) {
            let mut bounds = Bounds::default();
            for text in &texts {
                bounds.include_text(text.as_bytes());
            }
            let (min, max) = bounds.truncated();
            let max = max.unwrap();
            let (smallest, largest) = (texts.iter().min().unwrap(), texts.iter().max().unwrap());
            prop_assert_eq!((start_of(smallest.as_bytes()), above(largest.as_bytes())), (&*min, Some(max.clone())));
            prop_assert!(bounds.held_length() <= 4 * KEPT_LENGTH);
            prop_assert!(min.len() <= LENGTH && max.len() <= LENGTH + 3);
            prop_assert!(std::str::from_utf8(&min).is_ok() && std::str::from_utf8(&max).is_ok());
            for text in &texts {
                prop_assert!(min.as_slice() <= text.as_bytes() && text.as_bytes() <= max.as_slice());
            }
        }
    }
}
