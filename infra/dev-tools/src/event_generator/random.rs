//! Pseudo-random numbers with a stable sequence. A library's generator may change between versions, and the same seed would no
//! longer give the same bytes.

/// `SplitMix64` (Steele, Lea, Flood 2014): one addition and three mixing steps per number. For test data only.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`; 0 if `bound` is 0. The bias of the multiplication is below 2⁻³² for bounds below 2³².
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Like [`Random::below`], with a bias towards small numbers, so that few names are frequent and many are rare.
    pub(super) fn skewed_below(&mut self, bound: u64) -> u64 {
        let first = self.below(bound);
        let second = self.below(bound);
        let third = self.below(bound);
        first.min(second).min(third)
    }

    /// Returns true once in `times`.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Returns one of `words`, which are never empty.
    pub(super) fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.index(words.len())]
    }

    /// Like [`Random::word`], with a bias towards the first ones.
    pub(super) fn common_word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.skewed_index(words.len())]
    }

    /// Returns one of `items`, with a bias towards the first ones.
    pub(super) fn common<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.skewed_index(items.len())]
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    pub(super) fn skewed_index(&mut self, length: usize) -> usize {
        usize::try_from(self.skewed_below(length as u64)).unwrap_or(0)
    }

    pub(super) fn uuid(&mut self) -> uuid::Uuid {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}
