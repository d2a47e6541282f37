//! Reads events from a file or standard input, one after the other: NDJSON or a JSON array, plain or compressed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use domain::event::MAX_EVENT_LENGTH;
use flate2::bufread::MultiGzDecoder;

use crate::failure::Failure;

/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// The first bytes of gzip data (RFC 1952, 2.3.1). No JSON text starts with them.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The longest event of NDJSON and its line feed.
const MAX_LINE_LENGTH_BYTES: usize = MAX_EVENT_LENGTH + 1;

/// The longest event of an array, which may have a space between any two tokens.
const MAX_ELEMENT_LENGTH_BYTES: usize = 2 * MAX_EVENT_LENGTH;

/// An event, not yet checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// The line of the input on which it starts, from 1.
    pub line: u64,
    /// One line of JSON with its line feed.
    pub json: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("line {line} is longer than 256 KiB, the limit of an event")]
    TooLong { line: u64 },
    #[error("line {line}: the array of events is not valid JSON: {reason}")]
    ArrayInvalid { line: u64, reason: &'static str },
}

/// The form of the input, and the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Start,
    Lines,
    /// Within a line that is too long.
    LongLine,
    /// After the bracket that opens the array.
    FirstElement,
    /// After a comma of the array.
    NextElement,
    /// After an element of the array.
    Separator,
    End,
    /// After a fault that leaves the rest without meaning.
    Failed,
}

/// The events of an input, of which one is in memory at a time.
pub struct Events<R> {
    input: R,
    position: Position,
    line: u64,
}

/// Opens a file, or standard input, and decompresses it if it is gzip data.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, Failure> {
    let file: Box<dyn Read + Send> = if path == Path::new(STANDARD_INPUT) {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(Failure::file(path))?)
    };
    decompressed(file).map_err(Failure::file(path))
}

/// Decompresses a file if it is gzip data.
pub fn decompressed(mut file: Box<dyn Read + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut start = Vec::new();
    // A pipe may return less than was requested.
    file.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let is_gzip = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(BufReader::new(file));
    Ok(if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(whole))) } else { Box::new(whole) })
}

impl<R: BufRead> Events<R> {
    pub fn new(input: R) -> Self {
        Self { input, position: Position::Start, line: 1 }
    }

    /// Returns the next event, or `None` at the end. After a line that is too long, the next line follows; nothing follows a
    /// fault in an array.
    pub fn next_event(&mut self) -> Result<Option<Event>, InputError> {
        if self.position == Position::Start {
            self.find_form()?;
        }
        if self.position == Position::LongLine {
            self.input.skip_until(b'\n')?;
            self.position = Position::Lines;
        }
        if self.position == Position::Lines {
            return self.next_line();
        }
        let element = self.next_element();
        if element.is_err() {
            self.position = Position::Failed;
        }
        element
    }

    /// Skips a byte order mark and white space. An array starts with a bracket, which no event starts with.
    fn find_form(&mut self) -> io::Result<()> {
        for expected in BYTE_ORDER_MARK {
            if self.peek()? != Some(*expected) {
                break;
            }
            self.input.consume(1);
        }
        self.skip_white_space()?;
        self.position = if self.peek()? == Some(b'[') {
            self.input.consume(1);
            Position::FirstElement
        } else {
            Position::Lines
        };
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<Event>, InputError> {
        loop {
            let mut json = Vec::new();
            let limit = MAX_LINE_LENGTH_BYTES as u64 + 1;
            if self.input.by_ref().take(limit).read_until(b'\n', &mut json)? == 0 {
                return Ok(None);
            }
            let line = self.line;
            self.line += 1;
            if json.len() > MAX_LINE_LENGTH_BYTES {
                if json.last() != Some(&b'\n') {
                    self.position = Position::LongLine;
                }
                return Err(InputError::TooLong { line });
            }
            if json.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if json.last() != Some(&b'\n') {
                json.push(b'\n');
            }
            return Ok(Some(Event { line, json }));
        }
    }

    fn next_element(&mut self) -> Result<Option<Event>, InputError> {
        loop {
            if self.position == Position::Failed {
                return Ok(None);
            }
            self.skip_white_space()?;
            let next = self.peek()?;
            self.position = match (self.position, next) {
                (Position::End, None) => return Ok(None),
                (Position::End, Some(_)) => return Err(self.invalid("something follows its closing bracket")),
                (_, None) => return Err(self.invalid("it has no closing bracket")),
                (Position::FirstElement | Position::Separator, Some(b']')) => Position::End,
                (Position::Separator, Some(b',')) => Position::NextElement,
                (Position::Separator, Some(_)) => return Err(self.invalid("a comma is missing")),
                (_, Some(b',' | b']')) => return Err(self.invalid("an event is missing")),
                _ => {
                    let element = self.element()?;
                    self.position = Position::Separator;
                    return Ok(Some(element));
                }
            };
            self.input.consume(1);
        }
    }

    /// Reads one value of the array. Its end is found by its brackets and quotes; whether it is an event is checked later.
    fn element(&mut self) -> Result<Event, InputError> {
        let line = self.line;
        let mut json = Vec::new();
        let mut depth = 0_usize;
        let (mut is_text, mut is_escaped) = (false, false);
        while let Some(byte) = self.peek()? {
            if !is_text && depth == 0 && (matches!(byte, b',' | b']') || byte.is_ascii_whitespace()) {
                break;
            }
            self.input.consume(1);
            self.line += u64::from(byte == b'\n');
            if is_text {
                is_text = byte != b'"' || is_escaped;
                is_escaped = byte == b'\\' && !is_escaped;
                json.push(byte);
            } else if byte.is_ascii_whitespace() {
                // Some space stays: without it, `1 2` would become a number.
                if json.last() != Some(&b' ') {
                    json.push(b' ');
                }
            } else {
                match byte {
                    b'"' => is_text = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                json.push(byte);
            }
            if json.len() > MAX_ELEMENT_LENGTH_BYTES {
                return Err(InputError::TooLong { line });
            }
            if !is_text && depth == 0 && matches!(byte, b'"' | b'}' | b']') {
                break;
            }
        }
        json.push(b'\n');
        Ok(Event { line, json })
    }

    fn invalid(&self, reason: &'static str) -> InputError {
        InputError::ArrayInvalid { line: self.line, reason }
    }

    fn skip_white_space(&mut self) -> io::Result<()> {
        while let Some(byte) = self.peek()?.filter(u8::is_ascii_whitespace) {
            self.line += u64::from(byte == b'\n');
            self.input.consume(1);
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// Returns lines and texts of all events, and the error that ends them.
    fn read(input: &[u8]) -> (Vec<(u64, String)>, Option<String>) {
        // A small buffer, so that every token crosses its end.
        let mut events = Events::new(BufReader::with_capacity(3, input));
        let mut found = Vec::new();
        loop {
            match events.next_event() {
                Ok(Some(event)) => {
                    let json = String::from_utf8(event.json).unwrap();
                    found.push((event.line, json.strip_suffix('\n').unwrap().to_owned()));
                }
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    fn texts(expected: &[(u64, &str)]) -> (Vec<(u64, String)>, Option<String>) {
        (expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect(), None)
    }

    #[test]
    fn lines_keep_their_numbers() {
        assert_eq!(read(b"{}\n\n {\"a\": 1}\r\n  \n{}"), texts(&[(1, "{}"), (3, " {\"a\": 1}\r"), (5, "{}")]));
        assert_eq!(read(b"\xEF\xBB\xBF\n{}"), texts(&[(2, "{}")]));
        for empty in [&b""[..], b"\n \n", b"[]", b" [ ] \n"] {
            assert_eq!(read(empty), texts(&[]));
        }
    }

    #[test]
    fn an_array_becomes_lines() {
        let array = b"\xEF\xBB\xBF [\n  {\n    \"a\": \"]},[{\\\"\\\\\"\n  },\n  {\"b\":[{}, 1]} ,7,\"x,\", null\n]\n";
        let expected = [(2, r#"{ "a": "]},[{\"\\" }"#), (5, r#"{"b":[{}, 1]}"#), (5, "7"), (5, r#""x,""#), (5, "null")];
        assert_eq!(read(array), texts(&expected));
        assert_eq!(read(b"[{\"a\":1 \n 2}]"), texts(&[(1, "{\"a\":1 2}")]), "not 12");
    }

    #[test]
    fn a_broken_array_ends_with_its_line() {
        for (array, line, reason) in [
            ("[", 1, "no closing bracket"),
            ("[{}\n", 2, "no closing bracket"),
            ("[{},\n]", 2, "an event is missing"),
            ("[,{}]", 1, "an event is missing"),
            ("[{}\n{}]", 2, "a comma is missing"),
            ("[{}]\n\n{}", 3, "something follows"),
        ] {
            let (_, error) = read(array.as_bytes());
            let error = error.unwrap();
            assert!(error.contains(reason) && error.starts_with(&format!("line {line}:")), "{array}: {error}");
        }
        // What is open at the end is no event, which its check finds.
        assert_eq!(read(b"[{\"a\":\"").0, texts(&[(1, "{\"a\":\"")]).0);
    }

    #[test]
    fn an_event_that_does_not_end_does_not_fill_the_memory() {
        for start in ["", "[{", "[\"", "[[ "] {
            let mut events = Events::new(BufReader::new(start.as_bytes().chain(io::repeat(b'x'))));
            assert!(matches!(events.next_event(), Err(InputError::TooLong { line: 1 })), "{start}");
        }
        let mut blank = Events::new(BufReader::new(b"[[".chain(io::repeat(b' ').take(2_000_000))));
        assert_eq!(blank.next_event().unwrap().unwrap().json, b"[ \n");
    }

    #[test]
    fn lines_follow_one_that_is_too_long() {
        let long = [vec![b'x'; MAX_LINE_LENGTH_BYTES + 5], b"\n{}\n".to_vec()].concat();
        let mut events = Events::new(long.as_slice());
        assert!(matches!(events.next_event(), Err(InputError::TooLong { line: 1 })));
        assert_eq!(events.next_event().unwrap().unwrap(), Event { line: 2, json: b"{}\n".to_vec() });
    }

    #[test]
    fn gzip_is_recognized_by_its_first_bytes() {
        let gzip = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        for input in [b"{}\n{}\n".to_vec(), gzip(b"{}\n{}\n"), [gzip(b"{}\n"), gzip(b"{}\n")].concat()] {
            let mut text = Vec::new();
            decompressed(Box::new(Cursor::new(input))).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(text, b"{}\n{}\n");
        }
        for short in [&b""[..], b"{", b"\x1F"] {
            let mut text = Vec::new();
            decompressed(Box::new(Cursor::new(short))).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(text, short);
        }
        let cut = gzip(b"{}\n");
        let mut reader = decompressed(Box::new(Cursor::new(cut[..cut.len() - 3].to_vec()))).unwrap();
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
    }
}
