//! One column of the file: collects values into pages, compresses each page, and joins them into a chunk.

use crate::{
    bounds::Bounds,
    compressor::{Compressor, Content, ZSTD_LEVEL},
    dictionary::Dictionary,
    error::EncodeError,
    levels::{self, Levels},
    plain::PlainValues,
    schema::Layout,
};
use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    bloom_filter::Sbbf,
    column::{
        page::{CompressedPage, Page, PageWriter},
        writer::ColumnCloseResult,
    },
    data_type::ByteArray,
    file::{
        metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder},
        statistics::{Statistics, ValueStatistics},
        writer::{SerializedPageWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};

/// A page ends after it has reached this size before compression. The rows until that is noticed are at most 272 KiB, so a page
/// has at most 1 MiB.
const PAGE_LENGTH: usize = 512 * 1024;

/// A page ends after it has reached this number of rows, however short they are: readers skip pages by their bounds.
const PAGE_ROWS: usize = 20_000;

/// The length of a page's header is mostly below this.
const HEADER_LENGTH: usize = 64;

/// The share of wrong answers of a Bloom filter.
const BLOOM_FILTER_ERRORS: f64 = 0.01;

/// The size of a Bloom filter, in distinct values, while it is filled without a dictionary. It is reduced at the end.
const BLOOM_FILTER_VALUES: u64 = 1 << 20;

/// A column that is being filled.
pub(crate) struct Column {
    descriptor: ColumnDescPtr,
    layout: Layout,
    page: OpenPage,
    /// `None` if the column has none or has given it up.
    dictionary: Option<Dictionary>,
    /// `None` while there is a dictionary, which has all values.
    bloom_filter: Option<Sbbf>,
    chunk: Chunk,
}

/// The values since the last page.
struct OpenPage {
    repetitions: Levels,
    definitions: Levels,
    /// With nulls.
    values: usize,
    nulls: usize,
    rows: usize,
    /// The values that are not null, if there is a dictionary.
    indexes: Vec<u32>,
    /// The values that are not null, if there is none, after a space for levels.
    plain: PlainValues,
    bounds: Bounds,
}

/// The finished pages.
#[derive(Default)]
struct Chunk {
    /// With its header.
    dictionary_page: Vec<u8>,
    /// With their headers. Each has its own memory, because what grows is copied, and takes new memory for each copy.
    data_pages: Vec<Vec<u8>>,
    /// That of `data_pages`.
    length: usize,
    pages: Vec<PageSummary>,
    uncompressed_length: usize,
    values: usize,
    rows: usize,
    has_plain_pages: bool,
}

struct PageSummary {
    length: usize,
    rows: usize,
    nulls: usize,
    is_all_null: bool,
    bounds: Bounds,
}

impl Column {
    pub(crate) fn new(descriptor: ColumnDescPtr, layout: Layout) -> Self {
        Self {
            descriptor,
            layout,
            page: OpenPage::new(layout),
            dictionary: layout.has_dictionary.then(Dictionary::default),
            bloom_filter: None,
            chunk: Chunk::default(),
        }
    }

    /// Appends a text. `repetition` is 1 if the row has an element of the list before it, else 0.
    #[inline]
    pub(crate) fn push_text(&mut self, repetition: u8, text: &[u8]) {
        self.push_levels(repetition, self.layout.max_definition);
        if let Some(dictionary) = &mut self.dictionary {
            self.page.indexes.push(dictionary.index_of(text));
            return;
        }
        if let Some(bloom_filter) = &mut self.bloom_filter {
            bloom_filter.insert(text);
        }
        if self.layout.has_bounds {
            self.page.bounds.include_text(text);
        }
        self.page.plain.push_text(text);
    }

    /// Appends a number of microseconds.
    #[inline]
    pub(crate) fn push_time(&mut self, micros: i64) {
        self.push_levels(0, self.layout.max_definition);
        self.page.bounds.include_time(micros);
        self.page.plain.push_number(micros);
    }

    /// Appends a missing value. `definition` counts what is there of the path to it.
    #[inline]
    pub(crate) fn push_null(&mut self, repetition: u8, definition: u8) {
        self.push_levels(repetition, definition);
        self.page.nulls += 1;
    }

    #[inline]
    fn push_levels(&mut self, repetition: u8, definition: u8) {
        let page = &mut self.page;
        if self.layout.max_definition > 0 {
            page.definitions.push(definition);
        }
        if self.layout.is_in_list {
            page.repetitions.push(repetition);
        }
        page.values += 1;
        page.rows += usize::from(repetition == 0);
    }

    /// Ends a page that is large enough. Called between rows, because a page holds whole rows.
    pub(crate) fn end_row(&mut self, compressor: &mut Compressor) -> Result<(), EncodeError> {
        let is_full = self.dictionary.as_ref().is_some_and(Dictionary::is_full);
        if self.page.rows < PAGE_ROWS && self.page.length(self.layout) < PAGE_LENGTH && !is_full {
            return Ok(());
        }
        self.end_page(compressor)?;
        if let Some(dictionary) = self.dictionary.take_if(|dictionary| is_full || !dictionary.pays()) {
            self.end_dictionary(&dictionary, false, compressor)?;
        }
        Ok(())
    }

    /// Returns about how many bytes the column will have in the file.
    pub(crate) fn stored_length(&self) -> usize {
        let open =
            self.page.length(self.layout) + self.dictionary.as_ref().map_or(0, |dictionary| dictionary.plain().len());
        // Most pages are compressed to less than a quarter.
        self.chunk.dictionary_page.len() + self.chunk.length + open / 4
    }

    fn end_page(&mut self, compressor: &mut Compressor) -> Result<(), EncodeError> {
        let Self { layout, page, dictionary, chunk, .. } = self;
        // A page of a dictionary is all in the body, and has no plain values.
        let body = compressor.empty_body();
        if layout.is_in_list {
            push_levels(body, &mut page.repetitions)?;
        }
        if layout.max_definition > 0 {
            push_levels(body, &mut page.definitions)?;
        }
        let (encoding, content) = if let Some(dictionary) = dictionary {
            let bit_width = levels::bit_width(dictionary.largest_index());
            body.push(bit_width);
            levels::encode(&page.indexes, bit_width, body);
            if layout.has_bounds {
                dictionary.bound(&page.indexes, &mut page.bounds);
            }
            (Encoding::RLE_DICTIONARY, Content::Values)
        } else {
            chunk.has_plain_pages = true;
            (Encoding::PLAIN, layout.content)
        };
        let (compressed, body_length) = compressor.compressed_body(&mut page.plain, content)?;
        let mut written = Vec::with_capacity(compressed.len() + HEADER_LENGTH);
        let data = Page::DataPage {
            buf: compressed.clone(),
            num_values: narrowed(page.values)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        chunk.uncompressed_length += write_page(&mut written, data, body_length)?;
        compressor.reuse(compressed);
        chunk.length += written.len();
        chunk.pages.push(PageSummary {
            length: written.len(),
            rows: page.rows,
            nulls: page.nulls,
            is_all_null: page.nulls == page.values,
            bounds: std::mem::take(&mut page.bounds),
        });
        chunk.data_pages.push(written);
        chunk.values += page.values;
        chunk.rows += page.rows;
        page.clear();
        Ok(())
    }

    /// Makes the page of the dictionary, and the Bloom filter of its values. A complete one has all values of the column.
    fn end_dictionary(
        &mut self,
        dictionary: &Dictionary,
        is_complete: bool,
        compressor: &mut Compressor,
    ) -> Result<(), EncodeError> {
        if self.layout.has_bloom_filter {
            let values = if is_complete { dictionary.len().max(1) as u64 } else { BLOOM_FILTER_VALUES };
            let mut bloom_filter = Sbbf::new_with_ndv_fpp(values, BLOOM_FILTER_ERRORS)?;
            for text in dictionary.texts() {
                bloom_filter.insert(text);
            }
            self.bloom_filter = Some(bloom_filter);
        }
        let compressed = compressor.compressed_dictionary(dictionary.plain())?;
        let page = Page::DictionaryPage {
            buf: compressed.clone(),
            num_values: narrowed(dictionary.len())?,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let chunk = &mut self.chunk;
        chunk.uncompressed_length += write_page(&mut chunk.dictionary_page, page, dictionary.plain().len())?;
        compressor.reuse(compressed);
        Ok(())
    }

    /// Returns the bytes of the column, and their description with offsets from their start.
    pub(crate) fn finish(mut self, compressor: &mut Compressor) -> Result<(Bytes, ColumnCloseResult), EncodeError> {
        if self.page.values > 0 || self.chunk.pages.is_empty() {
            self.end_page(compressor)?;
        }
        if let Some(dictionary) = self.dictionary.take() {
            self.end_dictionary(&dictionary, true, compressor)?;
        }
        let Self { descriptor, layout, bloom_filter, chunk, .. } = self;
        let dictionary_length = chunk.dictionary_page.len();

        let mut column_index = ColumnIndexBuilder::new(descriptor.physical_type());
        let mut offset_index = OffsetIndexBuilder::new();
        let mut bounds = Bounds::default();
        let (mut offset, mut nulls) = (dictionary_length, 0);
        for page in chunk.pages {
            offset_index.append_row_count(signed(page.rows)?);
            offset_index.append_offset_and_size(signed(offset)?, narrowed(page.length)?);
            let (min, max) = page.bounds.truncated();
            if let Some(max) = max {
                column_index.append(page.is_all_null, min, max, signed(page.nulls)?, None);
            } else {
                // An index has a maximum of every page.
                column_index.to_invalid();
            }
            offset += page.length;
            nulls += page.nulls;
            bounds.include(page.bounds);
        }
        let mut encodings = vec![Encoding::RLE];
        if dictionary_length > 0 {
            encodings.push(Encoding::RLE_DICTIONARY);
        }
        // The dictionary itself is plain.
        if dictionary_length > 0 || chunk.has_plain_pages {
            encodings.push(Encoding::PLAIN);
        }
        let mut metadata = ColumnChunkMetaData::builder(descriptor)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings(encodings)
            .set_num_values(signed(chunk.values)?)
            .set_total_compressed_size(signed(offset)?)
            .set_total_uncompressed_size(signed(chunk.uncompressed_length)?)
            .set_dictionary_page_offset((dictionary_length > 0).then_some(0))
            .set_data_page_offset(signed(dictionary_length)?);
        if layout.has_bounds {
            metadata = metadata.set_statistics(statistics(&bounds, nulls as u64));
        }
        let bloom_filter = bloom_filter.map(|mut filter| {
            filter.fold_to_target_fpp(BLOOM_FILTER_ERRORS);
            filter
        });
        let bytes = std::iter::once(chunk.dictionary_page).chain(chunk.data_pages).collect::<Vec<_>>().concat();
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: chunk.rows as u64,
            metadata: metadata.build()?,
            bloom_filter,
            column_index: (layout.has_bounds && column_index.valid()).then(|| column_index.build()).transpose()?,
            offset_index: Some(offset_index.build()),
        };
        Ok((bytes.into(), close))
    }
}

impl OpenPage {
    fn new(layout: Layout) -> Self {
        Self {
            repetitions: Levels::new(1),
            definitions: Levels::new(layout.max_definition),
            values: 0,
            nulls: 0,
            rows: 0,
            indexes: Vec::new(),
            plain: PlainValues::default(),
            bounds: Bounds::default(),
        }
    }

    /// About the length before compression.
    #[inline]
    fn length(&self, layout: Layout) -> usize {
        let levels = usize::from(layout.max_definition > 0) + usize::from(layout.is_in_list);
        // Indexes are packed, and levels even more.
        self.values / 2 * levels + self.indexes.len() * 2 + self.plain.len()
    }

    /// Keeps the memory for the next page. The levels are moved to their page.
    fn clear(&mut self) {
        self.indexes.clear();
        self.plain.clear();
        (self.values, self.nulls, self.rows) = (0, 0, 0);
    }
}

/// Appends levels with their length.
fn push_levels(output: &mut Vec<u8>, levels: &mut Levels) -> Result<(), EncodeError> {
    let start = output.len();
    output.extend_from_slice(&[0; 4]);
    levels.take(output);
    let length: u32 = narrowed(output.len() - start - 4)?;
    if let Some(place) = output.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// Appends a page with its header, and returns the length before compression.
fn write_page(output: &mut Vec<u8>, page: Page, length: usize) -> Result<usize, EncodeError> {
    let mut sink = TrackedWrite::new(output);
    let specification = SerializedPageWriter::new(&mut sink).write_page(CompressedPage::new(page, length))?;
    sink.into_inner()?;
    Ok(specification.uncompressed_size)
}

fn statistics(bounds: &Bounds, nulls: u64) -> Statistics {
    match bounds {
        Bounds::Times { min, max } => {
            ValueStatistics::<i64>::new(Some(*min), Some(*max), None, Some(nulls), false).into()
        }
        Bounds::Texts { min, max } => {
            let are_exact = (Bounds::is_short(min), Bounds::is_short(max));
            let (min, max) = bounds.truncated();
            ValueStatistics::new(Some(ByteArray::from(min)), max.map(ByteArray::from), None, Some(nulls), false)
                .with_min_is_exact(are_exact.0)
                .with_max_is_exact(are_exact.1)
                .into()
        }
        Bounds::None => ValueStatistics::<ByteArray>::new(None, None, None, Some(nulls), false).into(),
    }
}

fn narrowed<T: TryFrom<usize>>(number: usize) -> Result<T, EncodeError> {
    T::try_from(number).map_err(|_| EncodeError::TooLong)
}

fn signed(number: usize) -> Result<i64, EncodeError> {
    narrowed(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn bounds_of_long_texts_take_little_memory() {
        let schema = schema::descriptor(schema::SCHEMA).unwrap();
        let descriptor = schema.column(schema::place::ACTION);
        let layout = Layout::of(&descriptor);
        let mut column = Column::new(descriptor, layout);
        let mut compressor = Compressor::new().unwrap();
        // As many as a file may have.
        for number in 0..240 {
            column.push_text(0, format!("{number:03}{}", "x".repeat(250_000)).as_bytes());
            column.end_row(&mut compressor).unwrap();
        }
        let pages = &column.chunk.pages;
        assert!(pages.len() > 70, "{}", pages.len());
        let held: usize = pages.iter().map(|page| page.bounds.held_length()).sum();
        assert!(held <= pages.len() * 512, "{held} bytes of {} pages", pages.len());
        let statistics = column.finish(&mut compressor).unwrap().1.metadata.statistics().unwrap().clone();
        assert_eq!(statistics.min_bytes_opt().unwrap(), format!("000{}", "x".repeat(61)).as_bytes());
        assert_eq!(statistics.max_bytes_opt().unwrap(), format!("239{}y", "x".repeat(60)).as_bytes());
        assert!(!statistics.min_is_exact() && !statistics.max_is_exact());
    }
}
