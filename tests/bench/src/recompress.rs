//! The work of an exporter that can't join blocks: each is decompressed and checked, and all are compressed as a whole.

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use clap::Args;
use domain::{block::BlockId, tenant::TenantId, time::Timestamp};
use flate2::{Compression, write::GzEncoder};

use crate::corpus::{CorpusFile, TENANT};

/// The raw length that ends an object.
const OBJECT_LENGTH: u64 = 256 * 1024 * 1024;

#[derive(Args, Debug)]
pub struct Arguments {
    corpus: PathBuf,
    #[arg(long)]
    blocks: u64,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let file = CorpusFile::existing(arguments.corpus.clone());
    let tenant = TenantId::parse(TENANT)?;
    let encoder = || GzEncoder::new(Vec::new(), Compression::new(6));
    let mut current = encoder();
    let (mut raw_bytes, mut stored_bytes) = (0, 0);
    for block in file.blocks()?.take(usize::try_from(arguments.blocks)?) {
        let block = block?.stored(&tenant, BlockId::lowest_at(Timestamp::EPOCH))?;
        block.check(&tenant)?;
        let raw = block.inflate()?;
        raw_bytes += raw.len() as u64;
        current.write_all(&raw)?;
        if raw_bytes >= OBJECT_LENGTH {
            stored_bytes += std::mem::replace(&mut current, encoder()).finish()?.len();
            raw_bytes = 0;
        }
    }
    stored_bytes += current.finish()?.len();
    writeln!(std::io::stdout(), "{stored_bytes}")?;
    Ok(())
}
