//! The export of blocks that are read from the archive, beside that of the same blocks from the table; and the function that
//! archives them.

use std::sync::Arc;

use anyhow::Result;

use super::{
    archiver,
    export::{add, export, export_archived, first_day},
};
use crate::{
    archive::Archive,
    bench::{Bench, QUICK_EVENTS},
    corpus::{Corpus, CorpusFile, WRITE_SHARDS},
    report::{Report, grouped},
    stub::Stub,
};

const SUITE: &str = "archive";
const TABLE: &str = "table";

/// The events of a block of a busy producer.
const BLOCK_EVENTS: u64 = 100;

const EVENTS: u64 = 2_000_000;

/// The age of the blocks. Younger ones are read from the table, archived or not.
const DAYS: u64 = 8;

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let file = CorpusFile::prepare(&bench.directory, bench.size(EVENTS, QUICK_EVENTS), BLOCK_EVENTS)?;
    let day = first_day(DAYS);
    let window = Arc::new(Corpus::load(&file, day, WRITE_SHARDS)?).window(u64::MAX);
    let archive = Arc::new(Archive::of(&file, day)?);
    let stub = Stub::start(&bench.runtime)?;
    let (mut of_table, mut of_archive) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        // In turns, so that other load on the machine affects both.
        of_table.push(export(bench, &stub, &window)?);
        of_archive.push(export_archived(bench, &stub, &window, &archive)?);
    }
    for (place, passes) in [("the table", &of_table), ("the archive", &of_archive)] {
        let subject = format!("from {place}, {} events", grouped(window.totals().events));
        add(report, SUITE, &subject, passes, (TABLE, &of_table));
    }
    archiver::run(bench, report)
}
