use proptest::prelude::*;

use super::*;
use crate::{ENCODER_VERSION, ParquetEncoder};

mod records;

/// Changes every byte, and cuts the file at each: nothing panics, no part is taken for a file, and many changes are refused.
fn assert_damage_is_refused(file: &[u8], changes: &[u8]) {
    let mut refused = 0;
    for place in 0..file.len() {
        for change in changes {
            let mut damaged = file.to_vec();
            damaged[place] ^= change;
            refused += usize::from(read(&damaged, 1 << 20).is_err());
        }
        assert!(read(&file[..place], 1 << 20).is_err());
    }
    assert!(refused > 100, "{refused}");
}

fn encoded(lines: &[u8]) -> Vec<u8> {
    let mut encoder = ParquetEncoder::new(ENCODER_VERSION).unwrap();
    encoder.push_lines(lines).unwrap();
    encoder.finish().unwrap().into()
}

/// Reads all lines of a file, of which no damage may make more than `limit` bytes.
fn read(file: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    EventLines::of(file)?.take(limit).read_to_end(&mut lines)?;
    Ok(lines)
}

fn sample(count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{{\"id\":\"{number}\",\"n\":{}}}\n", number % 7).into_bytes()).collect()
}

#[test]
fn the_lines_are_those_that_were_encoded() {
    for lines in [sample(0), sample(1), sample(90_000)] {
        assert!(read(&encoded(&lines), u64::MAX).unwrap() == lines);
    }
    let golden = include_bytes!("../../golden/events.parquet");
    assert!(read(golden, u64::MAX).unwrap() == include_bytes!("../../golden/events.ndjson"));
}

#[test]
fn lines_of_any_length_are_read() {
    let long = |number: usize| format!("{{\"id\":\"{number}\",\"auditPayload\":\"{}\"}}\n", "x".repeat(262_000));
    let lines: String = (0..9).map(long).chain((0..20_000).map(|_| "{}\n".to_owned())).collect();
    assert!(read(&encoded(lines.as_bytes()), u64::MAX).unwrap() == lines.as_bytes());
}

/// Returns the error of reading a file, by its text.
fn failure(file: &[u8]) -> String {
    read(file, u64::MAX).unwrap_err().to_string()
}

#[test]
fn every_kind_of_damage_is_named() {
    let file = encoded(&sample(100));
    assert_eq!(failure(b""), DamagedFile::NoParquet.to_string());
    assert_eq!(failure(b"PAR1"), DamagedFile::NoParquet.to_string());
    assert_eq!(failure(&file[..file.len() - 1]), DamagedFile::NoParquet.to_string());
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = file.clone();
        change(&mut file);
        failure(&file)
    };
    let end = file.len();
    assert_eq!(with(&|file| file[end - 5] = 0x7F), DamagedFile::Footer.to_string());
    assert_eq!(with(&|file| file[end - 8] -= 1), DamagedFile::Footer.to_string());
    let place = |text: &[u8]| file.windows(text.len()).rposition(|window| window == text).unwrap();
    assert_eq!(with(&|file| file[place(b"audit-export version")] = b'A'), DamagedFile::OtherProducer.to_string());
    assert_eq!(with(&|file| file[place(b"event")] = b'E'), DamagedFile::NoLines.to_string());
    // The last frame of zstd is that of the lines.
    assert_eq!(with(&|file| file[place(b"\x28\xB5\x2F\xFD")] = 0), DamagedFile::Page.to_string());
}

#[test]
fn texts_that_are_no_lines_are_refused() {
    let mut lines = Vec::new();
    for page in [&b"\x02\0\0\0{}\x01\0\0"[..], b"\x03\0\0\0{}", b"\x03\0\0\0{\n}", b"\xFF\xFF\xFF\xFF{}"] {
        assert_eq!(append_lines(page, &mut lines), None, "{page:?}");
    }
    lines.clear();
    assert_eq!((append_lines(b"\x02\0\0\0{}\0\0\0\0", &mut lines), &*lines), (Some(2), &b"{}\n\n"[..]));
}

/// Each byte, changed in some ways: the file is refused, or read as other lines, whose CRC-32 a digest names.
#[test]
fn no_byte_makes_the_reader_panic() {
    let lines = sample(60);
    assert_damage_is_refused(&encoded(&lines), &[0x01, 0x80, 0xFF]);
}

proptest! {
    #[test]
    fn damaged_files_are_bounded(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        moved in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let mut file = encoded(&sample(300));
        for (place, byte) in changes {
            // Mostly in the footer, where lengths are.
            let place = file.len() - 1 - place.index(file.len()) / if byte % 3 == 0 { 1 } else { 4 };
            file[place] = byte;
        }
        let (from, to) = (moved.0.index(file.len()), moved.1.index(file.len()));
        file.swap(from, to);
        if let Ok(mut lines) = EventLines::of(&file) {
            let mut count = 0;
            while let Ok(piece) = lines.fill_buf() {
                let length = piece.len();
                prop_assert!(length <= MAX_PAGE_LENGTH);
                count += length;
                if length == 0 || count > 1 << 24 {
                    break;
                }
                lines.consume(length);
            }
        }
    }
}
