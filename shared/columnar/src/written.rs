//! Fields as they are written: what the scanner expects at a place.

/// The longest start of a field that is remembered.
pub(crate) const WRITTEN_LENGTH: usize = 32;

/// The start of a field as it is written: a brace or a comma, the name with its quotes, and a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    words: [u64; WRITTEN_LENGTH / 8],
    /// The bits that belong to the start.
    mask: [u64; WRITTEN_LENGTH / 8],
    length: usize,
}

impl Written {
    /// `None`: too long.
    pub(crate) fn new(first: u8, name: &[u8]) -> Option<Self> {
        let length = name.len() + 2;
        let (mut bytes, mut mask) = ([0; WRITTEN_LENGTH], [0; WRITTEN_LENGTH]);
        mask.get_mut(..length)?.fill(0xFF);
        *bytes.first_mut()? = first;
        bytes.get_mut(1..length - 1)?.copy_from_slice(name);
        *bytes.get_mut(length - 1)? = b':';
        Some(Self { words: words(bytes), mask: words(mask), length })
    }

    /// Returns whether a text starts with this. All of it is compared at once: a comparison by length would have branches
    /// that a processor guesses wrong.
    #[inline]
    pub(crate) fn is_at(&self, text: [u8; WRITTEN_LENGTH]) -> bool {
        let pairs = words(text).into_iter().zip(self.words).zip(self.mask);
        pairs.fold(0, |different, ((word, expected), mask)| different | ((word ^ expected) & mask)) == 0
    }

    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

#[inline]
fn words(bytes: [u8; WRITTEN_LENGTH]) -> [u64; WRITTEN_LENGTH / 8] {
    let mut words = [0; WRITTEN_LENGTH / 8];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}
