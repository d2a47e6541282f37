//! Parquet's hybrid of run-length encoding and bit packing, for levels and for the indexes of a dictionary.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>

/// Runs of at least this length are stored as runs. It is the number of values of a packed group.
const GROUP: usize = 8;

/// Returns the bits that the number needs, at least one: readers differ about none.
pub(crate) fn bit_width(largest: u32) -> u8 {
    u8::try_from(u32::BITS - largest.leading_zeros()).unwrap_or(u8::MAX).max(1)
}

/// The repetition or definition levels of a page, encoded while they are pushed: those of most columns are all the same.
#[derive(Debug)]
pub(crate) struct Levels {
    bit_width: u8,
    encoded: Vec<u8>,
    /// The levels after those that are encoded, which are packed together.
    packed: Vec<u8>,
    /// The level after those, and how often it is there.
    level: u8,
    run: usize,
}

impl Levels {
    pub(crate) fn new(largest: u8) -> Self {
        Self { bit_width: bit_width(largest.into()), encoded: Vec::new(), packed: Vec::new(), level: 0, run: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, level: u8) {
        if level != self.level {
            self.end_run();
            self.level = level;
        }
        self.run += 1;
    }

    /// Does what [`encode`] does at the end of a run.
    fn end_run(&mut self) {
        let Self { bit_width, encoded, packed, level, run } = self;
        let missing = (GROUP - packed.len() % GROUP) % GROUP;
        let is_run = *run >= missing + GROUP;
        packed.resize(packed.len() + if is_run { missing } else { *run }, *level);
        if is_run {
            pack(packed, *bit_width, encoded);
            packed.clear();
            write_run(*run - missing, (*level).into(), *bit_width, encoded);
        }
        *run = 0;
    }

    /// Moves the levels to the output, like [`encode`]. Keeps the memory for the next page.
    pub(crate) fn take(&mut self, output: &mut Vec<u8>) {
        self.end_run();
        pack(&self.packed, self.bit_width, &mut self.encoded);
        output.append(&mut self.encoded);
        self.packed.clear();
    }
}

/// Appends values below two to the power of `bit_width`.
pub(crate) fn encode<T: Copy + PartialEq + Into<u32>>(values: &[T], bit_width: u8, output: &mut Vec<u8>) {
    // The values before `at` that are not written yet.
    let mut packed = 0;
    let mut at = 0;
    while let Some(value) = values.get(at) {
        let run = values.get(at..).unwrap_or_default().iter().take_while(|next| *next == value).count();
        // Only the last group may be filled up with zeros.
        let missing = (GROUP - (at - packed) % GROUP) % GROUP;
        if run >= missing + GROUP {
            pack(values.get(packed..at + missing).unwrap_or_default(), bit_width, output);
            write_run(run - missing, (*value).into(), bit_width, output);
            packed = at + run;
        }
        at += run;
    }
    pack(values.get(packed..).unwrap_or_default(), bit_width, output);
}

fn write_run(length: usize, value: u32, bit_width: u8, output: &mut Vec<u8>) {
    write_varint(length << 1, output);
    output.extend(value.to_le_bytes().into_iter().take(usize::from(bit_width).div_ceil(8)));
}

fn pack<T: Copy + Into<u32>>(values: &[T], bit_width: u8, output: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    write_varint(values.len().div_ceil(GROUP) << 1 | 1, output);
    let end = output.len() + values.len().div_ceil(GROUP) * usize::from(bit_width);
    let (mut bits, mut count) = (0_u64, 0);
    for value in values {
        bits |= u64::from((*value).into()) << count;
        count += bit_width;
        if count >= 32 {
            output.extend_from_slice(&lower_half(bits));
            bits >>= 32;
            count -= 32;
        }
    }
    output.extend_from_slice(&lower_half(bits));
    // Cuts off what is too much, or fills up the last group.
    output.resize(end, 0);
}

fn lower_half(bits: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    [a, b, c, d]
}

fn write_varint(mut number: usize, output: &mut Vec<u8>) {
    while number >= 0x80 {
        output.push((number & 0x7F | 0x80).to_le_bytes()[0]);
        number >>= 7;
    }
    output.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(values: &[u32], bit_width: u8) -> Vec<u8> {
        let mut output = Vec::new();
        encode(values, bit_width, &mut output);
        output
    }

    /// Reads as the specification says.
    fn decoded(mut bytes: &[u8], bit_width: u8, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        let mut byte = || {
            let (first, rest) = bytes.split_first().unwrap();
            bytes = rest;
            *first
        };
        while values.len() < count {
            let mut header = 0_usize;
            for shift in 0.. {
                let next = byte();
                header |= usize::from(next & 0x7F) << (7 * shift);
                if next < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let value = (0..bit_width.div_ceil(8)).fold(0, |value, index| value | u32::from(byte()) << (8 * index));
                values.extend(std::iter::repeat_n(value, header >> 1));
            } else {
                for _ in 0..header >> 1 {
                    let bits: Vec<bool> = (0..bit_width)
                        .flat_map(|_| {
                            let byte = byte();
                            (0..8).map(move |bit| byte >> bit & 1 == 1)
                        })
                        .collect();
                    let value = |bits: &[bool]| bits.iter().rev().fold(0, |value, bit| value << 1 | u32::from(*bit));
                    values.extend(bits.chunks(bit_width.into()).map(value));
                }
            }
        }
        assert!(bytes.is_empty());
        values.truncate(count);
        values
    }

    #[test]
    fn the_examples_of_the_specification() {
        assert_eq!(encoded(&[0, 1, 2, 3, 4, 5, 6, 7], 3), [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        assert_eq!(encoded(&[4; 100], 3), [100 << 1 & 0x7F | 0x80, 1, 4]);
        assert_eq!([0, 1, 2, 255, 256].map(bit_width), [1, 1, 2, 8, 9]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read(
            runs in prop::collection::vec((0_u32..1 << 20, 1_usize..40), 0..60), bit_width in 1_u8..=20,
        ) {
            let mask = (1 << bit_width) - 1;
            let values: Vec<u32> = runs.iter().flat_map(|(value, run)| vec![value & mask; *run]).collect();
            prop_assert_eq!(decoded(&encoded(&values, bit_width), bit_width, values.len()), values);
        }

        #[test]
        fn levels_are_encoded_like_other_values(runs in prop::collection::vec((0_u8..4, 1_usize..40), 0..60)) {
            let values: Vec<u8> = runs.iter().flat_map(|(level, run)| vec![*level; *run]).collect();
            let mut expected = Vec::new();
            encode(&values, 2, &mut expected);
            let mut levels = Levels::new(3);
            // The second page is as the first.
            for _ in 0..2 {
                for level in &values {
                    levels.push(*level);
                }
                let mut found = Vec::new();
                levels.take(&mut found);
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
