//! The distinct texts of a column.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{bounds::Bounds, equal::is_equal, plain::push_plain};

/// The length at which a dictionary is full. One text more fits into its page of at most 1 MiB.
const FULL_LENGTH: usize = 512 * 1024;

/// The number of texts at which a dictionary is full, so that an index is no longer than two bytes in most pages.
const FULL_COUNT: usize = 1 << 15;

/// Distinct texts in the order of their first appearance.
#[derive(Default)]
pub(crate) struct Dictionary {
    /// In the encoding PLAIN.
    plain: Vec<u8>,
    /// The place of each text.
    places: Vec<Place>,
    /// The texts by their hashes. Nothing that is written depends on the hashes, which differ in each process.
    entries: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    last: Entry,
    /// The number of texts that were looked up.
    values: usize,
    /// Texts of the current page.
    marks: Vec<bool>,
}

/// The place of a text in [`Dictionary::plain`], after its length.
#[derive(Clone, Copy, Default)]
struct Place {
    start: u32,
    end: u32,
}

/// A text. It holds what most texts are found by, without access to more memory.
#[derive(Clone, Copy, Default)]
struct Entry {
    key: Key,
    index: u32,
}

/// The start and the end of a text, which overlap in a text of less than 16 bytes, and its length.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Key {
    start: u64,
    end: u64,
    length: u32,
}

impl Key {
    #[inline]
    fn of(text: &[u8]) -> Self {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let (start, end) = if let (Some(start), Some(end)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (u64::from_le_bytes(*start), u64::from_le_bytes(*end))
        } else if let (Some(start), Some(end)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (u32::from_le_bytes(*start).into(), u32::from_le_bytes(*end).into())
        } else {
            (text.iter().fold(0, |start, byte| start << 8 | u64::from(*byte)), 0)
        };
        Self { start, end, length }
    }

    /// Returns whether no other text has this key.
    #[inline]
    fn is_whole(&self) -> bool {
        self.length <= 16
    }

    #[inline]
    fn hash(&self, text: &[u8], hasher: &DefaultHashBuilder) -> u64 {
        // At most nine lengths have the same start and end.
        if self.is_whole() {
            hasher.hash_one(u128::from(self.end) << 64 | u128::from(self.start))
        } else {
            hasher.hash_one(text)
        }
    }
}

impl Dictionary {
    /// Returns the index of a text, and adds the text if it is new.
    #[inline]
    pub(crate) fn index_of(&mut self, text: &[u8]) -> u32 {
        self.values += 1;
        let key = Key::of(text);
        let Self { plain, places, entries, hasher, .. } = self;
        let is_same = |entry: &Entry| {
            entry.key == key
                && (key.is_whole() || text_of(plain, places, entry.index).is_some_and(|other| is_equal(other, text)))
        };
        // Events come in groups of the same actor and session.
        if self.values > 1 && is_same(&self.last) {
            return self.last.index;
        }
        let hash = key.hash(text, hasher);
        let found = entries.find(hash, is_same).copied();
        self.last = found.unwrap_or_else(|| self.add(hash, key, text));
        self.last.index
    }

    #[inline(never)]
    fn add(&mut self, hash: u64, key: Key, text: &[u8]) -> Entry {
        let Self { plain, places, entries, hasher, .. } = self;
        let index = u32::try_from(places.len()).unwrap_or(u32::MAX);
        push_plain(plain, text);
        let end = u32::try_from(plain.len()).unwrap_or(u32::MAX);
        places.push(Place { start: end - u32::try_from(text.len()).unwrap_or_default(), end });
        let entry = Entry { key, index };
        entries.insert_unique(hash, entry, |entry| {
            entry.key.hash(text_of(plain, places, entry.index).unwrap_or_default(), hasher)
        });
        entry
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map_while(|place| text_at(&self.plain, *place))
    }

    /// Returns the texts in the encoding PLAIN.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Returns the largest index so far.
    pub(crate) fn largest_index(&self) -> u32 {
        u32::try_from(self.places.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.plain.len() >= FULL_LENGTH || self.places.len() >= FULL_COUNT
    }

    /// Returns whether texts recur, so that indexes are shorter than the texts.
    pub(crate) fn pays(&self) -> bool {
        self.places.len() * 2 <= self.values
    }

    /// Includes the texts of these indexes in the bounds.
    pub(crate) fn bound(&mut self, indexes: &[u32], bounds: &mut Bounds) {
        self.marks.clear();
        self.marks.resize(self.places.len(), false);
        for index in indexes {
            if let Some(mark) = self.marks.get_mut(*index as usize)
                && !*mark
            {
                *mark = true;
                bounds.include_text(text_of(&self.plain, &self.places, *index).unwrap_or_default());
            }
        }
    }
}

#[inline]
fn text_of<'plain>(plain: &'plain [u8], places: &[Place], index: u32) -> Option<&'plain [u8]> {
    text_at(plain, *places.get(index as usize)?)
}

#[inline]
fn text_at(plain: &[u8], place: Place) -> Option<&[u8]> {
    plain.get(place.start as usize..place.end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_index() {
        let mut dictionary = Dictionary::default();
        let indexes: Vec<u32> = ["b", "a", "b", "b", "", "a"].map(|text| dictionary.index_of(text.as_bytes())).into();
        assert_eq!(indexes, [0, 1, 0, 0, 2, 1]);
        assert_eq!(dictionary.texts().collect::<Vec<_>>(), [b"b".as_slice(), b"a", b""]);
        assert_eq!(dictionary.plain(), b"\x01\0\0\0b\x01\0\0\0a\0\0\0\0");
        assert!(dictionary.pays());
        let mut bounds = Bounds::default();
        dictionary.bound(&[1, 0], &mut bounds);
        assert_eq!(bounds, Bounds::Texts { min: b"a".into(), max: b"b".into() });
        dictionary.index_of(b"c");
        assert!(!dictionary.pays() && !dictionary.is_full());
    }
}
