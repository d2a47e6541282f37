//! The texts of a column that is optional or in a list, one after the other.

use std::{io, ops::Range};

use super::{
    damage::DamagedFile,
    footer::{Encoding, PageKind},
    hybrid::Hybrid,
    pages::Pages,
};

/// The most bytes of a page before compression: 400 KiB and two records with the longest line, in its fields and as a whole.
pub(super) const MAX_PAGE_LENGTH: usize = 2 * 1024 * 1024;

/// The most values of a page, absent ones included. A page has at most 20,000 rows, and a row at most one value for each two
/// bytes of its line.
const MAX_PAGE_VALUES: u64 = 1024 * 1024;

/// The bits of a repetition level: the lists are not nested.
const REPETITION_WIDTH: u32 = 1;

/// The levels of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    /// The definition level of a value that is there.
    pub(super) definition: u32,
    pub(super) is_repeated: bool,
}

/// A column of texts.
pub(super) struct TextColumn<'file> {
    pages: Pages<'file>,
    levels: Levels,
    /// The texts of the row group's dictionary, and where each of them is.
    dictionary: Vec<u8>,
    entries: Vec<Range<usize>>,
    page: Page,
}

/// What is not read yet of a page.
struct Page {
    left: u64,
    repetitions: Option<Hybrid>,
    /// The repetition level of the next value. `None`: it is not read yet.
    next_repetition: Option<u32>,
    definitions: Option<Hybrid>,
    texts: Texts,
}

enum Texts {
    /// The start of the next one.
    Plain(usize),
    Dictionary(Hybrid),
}

impl Page {
    const EMPTY: Self =
        Self { left: 0, repetitions: None, next_repetition: None, definitions: None, texts: Texts::Plain(0) };
}

/// A value, and whether it is the first of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'page> {
    pub(super) starts_row: bool,
    /// `None`: it is absent.
    pub(super) text: Option<&'page [u8]>,
}

impl<'file> TextColumn<'file> {
    pub(super) fn new(chunks: Vec<&'file [u8]>, levels: Levels) -> io::Result<Self> {
        let pages = Pages::new(chunks, MAX_PAGE_LENGTH)?;
        Ok(Self { pages, levels, dictionary: Vec::new(), entries: Vec::new(), page: Page::EMPTY })
    }

    /// Returns the next value. `None`: the column ends.
    pub(super) fn next(&mut self) -> Result<Option<Value<'_>>, DamagedFile> {
        while self.page.left == 0 {
            if !self.next_page()? {
                return Ok(None);
            }
        }
        self.take().map(Some).ok_or(DamagedFile::Page)
    }

    /// Returns whether the next value, if there is one, is that of another row. Pages end with rows.
    pub(super) fn is_at_end_of_row(&mut self) -> Result<bool, DamagedFile> {
        if self.page.left == 0 {
            return Ok(true);
        }
        Ok(self.repetition().ok_or(DamagedFile::Page)? == 0)
    }

    /// Reads the repetition level of the next value, unless it was read.
    fn repetition(&mut self) -> Option<u32> {
        let Page { repetitions, next_repetition, .. } = &mut self.page;
        if next_repetition.is_none() {
            *next_repetition = match repetitions {
                Some(repetitions) => Some(repetitions.next(self.pages.current())?),
                None => Some(0),
            };
        }
        *next_repetition
    }

    fn take(&mut self) -> Option<Value<'_>> {
        let starts_row = self.repetition()? == 0;
        let page = self.pages.current();
        self.page.next_repetition = None;
        self.page.left -= 1;
        if let Some(definitions) = &mut self.page.definitions
            && definitions.next(page)? != self.levels.definition
        {
            return Some(Value { starts_row, text: None });
        }
        let text = match &mut self.page.texts {
            Texts::Plain(start) => {
                let range = plain(page, *start)?;
                *start = range.end;
                page.get(range)?
            }
            Texts::Dictionary(indexes) => {
                let index = usize::try_from(indexes.next(page)?).ok()?;
                self.dictionary.get(self.entries.get(index)?.clone())?
            }
        };
        Some(Value { starts_row, text: Some(text) })
    }

    /// Reads pages up to one of values. False at the end of the column.
    fn next_page(&mut self) -> Result<bool, DamagedFile> {
        while let Some(header) = self.pages.next()? {
            if header.kind == PageKind::Dictionary {
                self.read_dictionary(header.values).ok_or(DamagedFile::Page)?;
                continue;
            }
            if header.values > MAX_PAGE_VALUES {
                return Err(DamagedFile::Page);
            }
            self.page = self.open(header.values, header.encoding).ok_or(DamagedFile::Page)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn read_dictionary(&mut self, count: u64) -> Option<()> {
        self.dictionary.clear();
        self.dictionary.extend_from_slice(self.pages.current());
        self.entries.clear();
        let mut start = 0;
        while start < self.dictionary.len() {
            let range = plain(&self.dictionary, start)?;
            start = range.end;
            self.entries.push(range);
        }
        (self.entries.len() as u64 == count).then_some(())
    }

    /// Returns the levels and texts of the current page.
    fn open(&self, left: u64, encoding: Encoding) -> Option<Page> {
        let page = self.pages.current();
        let mut start = 0;
        let mut part = |width| {
            let range = plain(page, start)?;
            start = range.end;
            Hybrid::new(width, range)
        };
        let repetitions = if self.levels.is_repeated { Some(part(REPETITION_WIDTH)?) } else { None };
        let definition_width = u32::BITS - self.levels.definition.leading_zeros();
        let definitions = if definition_width > 0 { Some(part(definition_width)?) } else { None };
        let texts = match encoding {
            Encoding::Plain => Texts::Plain(start),
            Encoding::Dictionary => {
                let width = *page.get(start)?;
                Texts::Dictionary(Hybrid::new(width.into(), start + 1..page.len())?)
            }
        };
        Some(Page { left, repetitions, next_repetition: None, definitions, texts })
    }
}

/// Returns the place of the bytes whose length stands at `start`.
fn plain(page: &[u8], start: usize) -> Option<Range<usize>> {
    let (length, rest) = page.get(start..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let begin = start + 4;
    (length <= rest.len()).then_some(begin..begin + length)
}
