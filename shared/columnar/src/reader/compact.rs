//! The compact protocol of Thrift, in which Parquet has its footer and the headers of pages.
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

/// The most structs, lists and maps inside of each other. Parquet needs fewer.
const MAX_DEPTH: usize = 16;

/// Bytes of which a part is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compact<'bytes> {
    bytes: &'bytes [u8],
    depth: usize,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    const TRUE: Self = Self(1);
    const FALSE: Self = Self(2);
    const BYTE: Self = Self(3);
    const SHORT: Self = Self(4);
    const INT: Self = Self(5);
    const LONG: Self = Self(6);
    const DOUBLE: Self = Self(7);
    const BINARY: Self = Self(8);
    const LIST: Self = Self(9);
    const SET: Self = Self(10);
    const MAP: Self = Self(11);
    const STRUCT: Self = Self(12);
}

impl<'bytes> Compact<'bytes> {
    pub(super) fn new(bytes: &'bytes [u8]) -> Self {
        Self { bytes, depth: 0 }
    }

    /// Returns what is not read yet.
    pub(super) fn rest(self) -> &'bytes [u8] {
        self.bytes
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'bytes [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Reads an integer that is not negative.
    pub(super) fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let zigzag = self.varint()?;
        if zigzag & 1 == 1 { None } else { T::try_from(zigzag >> 1).ok() }
    }

    /// Reads bytes or a text.
    pub(super) fn binary(&mut self) -> Option<&'bytes [u8]> {
        let length = self.varint()?.try_into().ok()?;
        self.take(length)
    }

    /// Reads a struct: calls `read` with each field, which returns false for one that it left to be skipped.
    pub(super) fn structure(&mut self, mut read: impl FnMut(&mut Self, u64, Kind) -> Option<bool>) -> Option<()> {
        self.nested(|compact| {
            let mut field = 0_u64;
            loop {
                let header = compact.byte()?;
                if header == 0 {
                    return Some(());
                }
                field = match header >> 4 {
                    0 => compact.number()?,
                    step => field.checked_add(step.into())?,
                };
                let kind = Kind(header & 0x0F);
                if !read(compact, field, kind)? {
                    compact.skip(kind)?;
                }
            }
        })
    }

    /// Reads a list: calls `read` with each element.
    pub(super) fn list(&mut self, mut read: impl FnMut(&mut Self, Kind) -> Option<()>) -> Option<()> {
        self.nested(|compact| {
            let header = compact.byte()?;
            let length = match header >> 4 {
                15 => compact.varint()?,
                length => length.into(),
            };
            // Each element has at least a byte, so a wrong length ends the bytes.
            for _ in 0..length {
                read(compact, Kind(header & 0x0F))?;
            }
            Some(())
        })
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        read(self)?;
        self.depth -= 1;
        Some(())
    }

    /// Skips the value of a field.
    fn skip(&mut self, kind: Kind) -> Option<()> {
        match kind {
            // The header of the field has the value.
            Kind::TRUE | Kind::FALSE => Some(()),
            kind => self.skip_element(kind),
        }
    }

    fn skip_element(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::TRUE | Kind::FALSE | Kind::BYTE => self.byte().map(|_| ()),
            Kind::SHORT | Kind::INT | Kind::LONG => self.varint().map(|_| ()),
            Kind::DOUBLE => self.take(8).map(|_| ()),
            Kind::BINARY => self.binary().map(|_| ()),
            Kind::LIST | Kind::SET => self.list(Self::skip_element),
            Kind::STRUCT => self.structure(|_, _, _| Some(false)),
            Kind::MAP => self.nested(|compact| {
                let length = compact.varint()?;
                if length == 0 {
                    return Some(());
                }
                let kinds = compact.byte()?;
                for _ in 0..length {
                    compact.skip_element(Kind(kinds >> 4))?;
                    compact.skip_element(Kind(kinds & 0x0F))?;
                }
                Some(())
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_not_read_are_skipped() {
        let bytes = [
            // 1: 7, as an integer; 2: true; 3: -1, which is skipped.
            0x15, 14, 0x11, 0x15, 1, // 4: a list of two texts.
            0x19, 0x28, 1, b'a', 0, // 5: a map of a byte to a double.
            0x1B, 1, 0x37, 9, 0, 0, 0, 0, 0, 0, 0, 0, // 6: an empty map; 7: a struct of a set of true.
            0x1B, 0, 0x1C, 0x1A, 0x11, 1, 0, // 300: 8, after a step that is too large for the header.
            0x06, 0xD8, 0x04, 16, 0, 99,
        ];
        let mut compact = Compact::new(&bytes);
        let mut read = Vec::new();
        compact
            .structure(|compact, field, _| {
                if matches!(field, 1 | 300) {
                    read.push((field, compact.number::<u64>()?));
                    return Some(true);
                }
                Some(false)
            })
            .unwrap();
        assert_eq!((read, compact.rest()), (vec![(1, 7), (300, 8)], &[99][..]));
        for length in 0..bytes.len() - 1 {
            let cut = Compact::new(&bytes[..length]).structure(|_, _, _| Some(false));
            assert_eq!(cut, None, "{length}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_or_too_long_is_refused() {
        let nested = [0x1C; 100];
        assert_eq!(Compact::new(&nested).skip_element(Kind::STRUCT), None);
        assert_eq!(Compact::new(&[0x19; 100]).skip_element(Kind::LIST), None);
        assert_eq!(Compact::new(&[0xFF; 11]).varint(), None);
        assert_eq!(Compact::new(&[1]).number::<u64>(), None, "-1");
        assert_eq!(Compact::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0x7F, b'a']).binary(), None);
        assert_eq!(Compact::new(&[0]).skip_element(Kind(13)), None);
    }
}
