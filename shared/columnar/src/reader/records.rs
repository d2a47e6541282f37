//! The lines in records of OCSF: the column `raw_data` or, where a version bounds texts and a line is longer, the entry `raw_data`
//! of the map `unmapped`.

use std::io;

use super::{
    column::{Levels, TextColumn, Value},
    damage::DamagedFile,
    footer::RecordChunks,
    lines::append_line,
};

/// The name of the entry.
const RAW_DATA: &[u8] = b"raw_data";

/// Lines are returned together until they have this length.
const LINES_LENGTH: usize = 64 * 1024;

/// The levels of the keys and values of a map that may be absent.
const OF_MAP: Levels = Levels { definition: 2, is_repeated: true };

pub(super) struct RecordLines<'file> {
    lines: TextColumn<'file>,
    keys: TextColumn<'file>,
    values: TextColumn<'file>,
    /// The rows of the map that are not read yet, because their lines are in the column.
    behind: u64,
}

impl<'file> RecordLines<'file> {
    pub(super) fn new(chunks: RecordChunks<'file>) -> io::Result<Self> {
        let of_lines = Levels { definition: chunks.is_optional.into(), is_repeated: false };
        Ok(Self {
            lines: TextColumn::new(chunks.lines, of_lines)?,
            keys: TextColumn::new(chunks.keys, OF_MAP)?,
            values: TextColumn::new(chunks.values, OF_MAP)?,
            behind: 0,
        })
    }

    /// Appends the next lines, and returns their number. `None`: the file ends.
    pub(super) fn next_lines(&mut self, lines: &mut Vec<u8>) -> Result<Option<u64>, DamagedFile> {
        let mut rows = 0;
        while lines.len() < LINES_LENGTH {
            let Some(Value { text, .. }) = self.lines.next()? else { break };
            rows += 1;
            if let Some(line) = text {
                append_line(line, lines).ok_or(DamagedFile::Page)?;
                self.behind += 1;
                continue;
            }
            for _ in 0..std::mem::take(&mut self.behind) {
                self.next_map(None)?;
            }
            self.next_map(Some(lines))?;
        }
        Ok((rows > 0).then_some(rows))
    }

    /// Reads the map of the next row. With `lines`, it has to have the line, which is appended.
    fn next_map(&mut self, mut lines: Option<&mut Vec<u8>>) -> Result<(), DamagedFile> {
        let mut is_first = true;
        let mut is_found = lines.is_none();
        loop {
            let (Some(key), Some(value)) = (self.keys.next()?, self.values.next()?) else {
                return Err(DamagedFile::RowCount);
            };
            let is_same = key.starts_row == value.starts_row && key.text.is_some() == value.text.is_some();
            if !is_same || key.starts_row != is_first {
                return Err(DamagedFile::Page);
            }
            is_first = false;
            if key.text == Some(RAW_DATA)
                && let (Some(lines), Some(line)) = (lines.take(), value.text)
            {
                append_line(line, lines).ok_or(DamagedFile::Page)?;
                is_found = true;
            }
            if self.keys.is_at_end_of_row()? != self.values.is_at_end_of_row()? {
                return Err(DamagedFile::Page);
            }
            if self.keys.is_at_end_of_row()? {
                return if is_found { Ok(()) } else { Err(DamagedFile::NoLines) };
            }
        }
    }
}
