//! Parquet's encoding of small integers: runs of one value, and values of some bits each.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#run-length-encoding--bit-packing-hybrid-rle--3>

use std::ops::Range;

/// The most bits of a value.
const MAX_WIDTH: u32 = 32;

/// The values of a part of a page, which every call is given.
#[derive(Debug)]
pub(super) struct Hybrid {
    width: u32,
    /// The runs that are not read yet.
    rest: Range<usize>,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Same { value: u32, left: u64 },
    Packed { bit: usize, left: u64 },
}

impl Hybrid {
    /// Returns the values of `width` bits in a part of a page. `None`: no values have that many.
    pub(super) fn new(width: u32, part: Range<usize>) -> Option<Self> {
        (width <= MAX_WIDTH).then_some(Self { width, rest: part, run: Run::Same { value: 0, left: 0 } })
    }

    /// Returns the next value. `None`: there is none, or the run is damaged.
    pub(super) fn next(&mut self, page: &[u8]) -> Option<u32> {
        loop {
            match &mut self.run {
                Run::Same { value, left } if *left > 0 => {
                    *left -= 1;
                    return Some(*value);
                }
                Run::Packed { bit, left } if *left > 0 => {
                    *left -= 1;
                    let value = packed(page, *bit, self.width);
                    *bit += usize::try_from(self.width).ok()?;
                    return value;
                }
                Run::Same { .. } | Run::Packed { .. } => self.next_run(page)?,
            }
        }
    }

    fn next_run(&mut self, page: &[u8]) -> Option<()> {
        let header = self.varint(page)?;
        let width = usize::try_from(self.width).ok()?;
        self.run = if header & 1 == 1 {
            let groups = usize::try_from(header >> 1).ok()?;
            let start = self.take(groups.checked_mul(width)?)?;
            Run::Packed { bit: start.checked_mul(8)?, left: (header >> 1).checked_mul(8)? }
        } else {
            let length = width.div_ceil(8);
            let start = self.take(length)?;
            let bytes = page.get(start..start + length)?;
            let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            Run::Same { value, left: header >> 1 }
        };
        Some(())
    }

    /// Takes some bytes, and returns where they start.
    fn take(&mut self, length: usize) -> Option<usize> {
        if self.rest.len() < length {
            return None;
        }
        let start = self.rest.start;
        self.rest.start += length;
        Some(start)
    }

    fn varint(&mut self, page: &[u8]) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *page.get(self.take(1)?)?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

/// Returns the value of `width` bits at a bit.
fn packed(page: &[u8], bit: usize, width: u32) -> Option<u32> {
    let bytes = page.get(bit / 8..)?;
    let word = bytes.iter().take(5).rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    u32::try_from(word >> (bit % 8) & ((1 << width) - 1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(width: u32, page: &[u8]) -> Vec<u32> {
        let mut hybrid = Hybrid::new(width, 0..page.len()).unwrap();
        std::iter::from_fn(|| hybrid.next(page)).take(100).collect()
    }

    #[test]
    fn runs_and_packed_values_are_read() {
        // The example of the specification: 0 to 7, of three bits each.
        assert_eq!(values(3, &[3, 0x88, 0xC6, 0xFA]), [0, 1, 2, 3, 4, 5, 6, 7]);
        // Three times 300, then eight values of nine bits.
        let page = [6, 0x2C, 0x01, 3, 1, 2, 4, 8, 16, 32, 64, 128, 255];
        assert_eq!(values(9, &page)[..4], [300, 300, 300, 1]);
        assert_eq!(values(9, &page).len(), 11);
        assert_eq!(values(0, &[8]), [0; 4]);
        assert_eq!(values(32, &[2, 0xFF, 0xFF, 0xFF, 0xFF]), [u32::MAX]);
    }

    #[test]
    fn damaged_runs_end() {
        for page in [&[][..], &[0x80], &[3], &[2], &[0xFF; 20], &[0; 5]] {
            assert!(values(8, page).is_empty(), "{page:?}");
        }
        assert!(Hybrid::new(33, 0..0).is_none());
    }
}
