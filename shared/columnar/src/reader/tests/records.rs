//! The lines of files with records of OCSF.

use std::io::BufRead;

use domain::ocsf::{Class, OwnRules, Version};
use ocsf::{ClassFile, Table, map};
use proptest::prelude::*;

use super::{assert_damage_is_refused, read};
use crate::reader::{EventLines, column::MAX_PAGE_LENGTH};

/// Returns a file of lines that are in the order of their times.
fn encoded(lines: &[u8], version: Version) -> Vec<u8> {
    let table = Table::new(&OwnRules::default()).unwrap();
    let mut file = ClassFile::new(Class::ApiActivity, version).unwrap();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        file.push(&map(line.strip_suffix(b"\n").unwrap(), version, &table).unwrap()).unwrap();
    }
    file.finish().unwrap()
}

/// Returns lines whose payloads have these lengths.
fn lines(lengths: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let line = |(number, length): (usize, usize)| {
        format!(
            "{{\"id\":\"{number}\",\"eventTimestamp\":\"2026-01-01T00:00:00Z\",\"action\":\"READ\",\"raw_data\":{number},\"n{}\":\"{}\"}}\n",
            number % 5,
            "é".repeat(length),
        )
        .into_bytes()
    };
    lengths.into_iter().enumerate().flat_map(line).collect()
}

#[test]
fn the_lines_are_those_of_the_records() {
    // In version 1.3.0, a line of more than 65,535 characters is in the map, in the place of the event's field of this name.
    for lengths in [vec![1], vec![70_000], [3, 70_000, 4, 5, 80_000, 90_000].repeat(9), vec![7; 30_000]] {
        let lines = lines(lengths);
        for version in [Version::V1_3_0, Version::V1_8_0] {
            assert!(read(&encoded(&lines, version), u64::MAX).unwrap() == lines);
        }
    }
}

/// A file of 1.3.0 that has both kinds of lines, in which every page of the map is read.
fn sample() -> Vec<u8> {
    encoded(&lines([5, 66_000, 7]), Version::V1_3_0)
}

/// Each byte, changed in some ways: the file is refused, or read as other lines, whose CRC-32 a digest names.
#[test]
fn no_byte_makes_the_reader_panic() {
    assert_damage_is_refused(&sample(), &[0x01, 0x80]);
}

proptest! {
    #[test]
    fn damaged_files_are_bounded(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut file = sample();
        for (place, byte) in changes {
            // Mostly in the footer, where lengths are.
            let place = file.len() - 1 - place.index(file.len()) / if byte % 3 == 0 { 1 } else { 4 };
            file[place] = byte;
        }
        if let Ok(mut lines) = EventLines::of(&file) {
            let mut count = 0;
            while let Ok(piece) = lines.fill_buf() {
                let length = piece.len();
                prop_assert!(length <= 2 * MAX_PAGE_LENGTH);
                count += length;
                if length == 0 || count > 1 << 24 {
                    break;
                }
                lines.consume(length);
            }
        }
    }

    #[test]
    fn lines_of_any_length_are_read(lengths in prop::collection::vec(prop_oneof![1..50_usize, 64_000..70_000_usize], 1..40)) {
        let lines = lines(lengths);
        prop_assert!(read(&encoded(&lines, Version::V1_3_0), u64::MAX).unwrap() == lines);
    }
}
