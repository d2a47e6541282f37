//! Stored blocks or an exported file as Parquet, as an exporter would make it: started by the bench.

use std::{
    fs::File,
    io::{BufReader, Read, Write},
    path::PathBuf,
};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use columnar::{ENCODER_VERSION, PARQUET_RAW_LENGTH, PARQUET_STORED_LENGTH, ParquetEncoder};
use domain::{
    block::{BlockDecoder, BlockId},
    tenant::TenantId,
    time::Timestamp,
};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::{
    corpus::{CorpusFile, TENANT},
    process::{own_cpu, own_peak_memory},
};

/// The bytes that are read from an exported file at once: about a block, so that they are still in the processor's cache.
const READ_LENGTH: usize = 64 * 1024;

/// The length of the buffer, which holds a line and what was read behind it.
const BUFFER_LENGTH: usize = 1024 * 1024;

#[derive(Args, Debug)]
pub struct Arguments {
    source: PathBuf,
    #[arg(long)]
    form: Form,
    #[arg(long)]
    columns: Columns,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Blocks,
    Gzip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Columns {
    /// Without the column `event`.
    Typed,
    Event,
}

/// What the work took. Peers print the same.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    pub cpu_seconds: f64,
    pub peak_memory_bytes: u64,
    pub stored_bytes: u64,
    pub row_groups: u64,
    pub rows: u64,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let started = own_cpu()?;
    let mut files =
        Files { columns: arguments.columns, encoder: encoder(arguments.columns)?, totals: Totals::default() };
    match arguments.form {
        Form::Blocks => files.push_blocks(arguments)?,
        Form::Gzip => files.push_gzip(arguments)?,
    }
    files.end_file()?;
    let Totals { stored_bytes, row_groups, rows } = files.totals;
    let work = Work {
        cpu_seconds: own_cpu()?.saturating_sub(started).as_secs_f64(),
        peak_memory_bytes: own_peak_memory()?,
        stored_bytes,
        row_groups,
        rows,
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&work)?)?;
    Ok(())
}

fn encoder(columns: Columns) -> Result<ParquetEncoder> {
    Ok(match columns {
        Columns::Typed => ParquetEncoder::without_event()?,
        Columns::Event => ParquetEncoder::new(ENCODER_VERSION)?,
    })
}

struct Files {
    columns: Columns,
    encoder: ParquetEncoder,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    stored_bytes: u64,
    row_groups: u64,
    rows: u64,
}

impl Files {
    fn push_blocks(&mut self, arguments: &Arguments) -> Result<()> {
        let file = CorpusFile::existing(arguments.source.clone());
        let tenant = TenantId::parse(TENANT)?;
        // Kept from block to block, as the converter keeps them.
        let (mut decoder, mut lines) = (BlockDecoder::default(), Vec::new());
        for block in file.blocks()? {
            let block = block?.stored(&tenant, BlockId::lowest_at(Timestamp::EPOCH))?;
            block.check(&tenant)?;
            lines.clear();
            decoder.append(&block, &mut lines)?;
            self.push(&lines)?;
        }
        Ok(())
    }

    fn push_gzip(&mut self, arguments: &Arguments) -> Result<()> {
        let mut input = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_LENGTH, File::open(&arguments.source)?));
        let mut buffer = vec![0; BUFFER_LENGTH];
        let mut length = 0;
        loop {
            let end = buffer.len().min(length + READ_LENGTH);
            let free = buffer.get_mut(length..end).unwrap_or_default();
            ensure!(!free.is_empty(), "a line is longer than the buffer");
            let read = input.read(free)?;
            if read == 0 {
                ensure!(length == 0, "the last line has no line feed");
                return Ok(());
            }
            length += read;
            let filled = buffer.get(..length).unwrap_or_default();
            let end = filled.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
            self.push(filled.get(..end).unwrap_or_default())?;
            buffer.copy_within(end..length, 0);
            length -= end;
        }
    }

    fn push(&mut self, lines: &[u8]) -> Result<()> {
        self.encoder.push_lines(lines)?;
        let is_full =
            self.encoder.raw_length() >= PARQUET_RAW_LENGTH || self.encoder.stored_length() >= PARQUET_STORED_LENGTH;
        if is_full { self.end_file() } else { Ok(()) }
    }

    fn end_file(&mut self) -> Result<()> {
        let encoder = std::mem::replace(&mut self.encoder, encoder(self.columns)?);
        let rows = encoder.rows();
        if rows > 0 {
            self.totals.rows += rows;
            self.totals.row_groups += 1;
            self.totals.stored_bytes += encoder.finish()?.len() as u64;
        }
        Ok(())
    }
}
