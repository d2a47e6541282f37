//! Reads an export: gives out the bytes of objects that their digests prove, and nothing else.

use std::ops::ControlFlow;

use domain::digest::{DigestObject, Hex32};
use futures::{StreamExt, TryStreamExt};

use crate::{
    breaks::{Break, BreakCode},
    chain::Chain,
    coverage::Coverage,
    export_files::{ExportFiles, ReadError},
    objects::{self, Outcome, Step},
    options::{Options, Progress},
    report::{Circumstances, Report},
    verifier,
};

/// The objects that are read ahead of the one that is given out. Each is in memory as a whole: its bytes are proven only
/// when the last one is read.
const OBJECTS_AHEAD: usize = 2;

/// An object whose bytes are those that its digest names.
#[derive(Clone, Debug)]
pub struct ProvenObject {
    /// Relative to the export's prefix.
    pub name: String,
    pub object: DigestObject,
    /// The bytes as stored.
    pub bytes: Vec<u8>,
}

/// The result of a step.
enum Fetched {
    Proven(ProvenObject),
    /// An object that nobody wants.
    Skipped,
    Other(Outcome),
}

/// Proves all digests like [`crate::verify`], then reads the objects that are `wanted`, in the order of their receipt, and
/// gives each to `take`, until that breaks. Nothing more is read after the first break of the export.
///
/// The outcome of the report is that of the digests and of the objects that were read.
///
/// # Errors
/// Those of [`crate::verify`].
pub async fn read_proven<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    circumstances: Circumstances,
    progress: &dyn Fn(Progress<'_>),
    wanted: &dyn Fn(&DigestObject) -> bool,
    take: &mut dyn FnMut(ProvenObject) -> ControlFlow<()>,
) -> Result<Report, ReadError> {
    let (chain, mut report) = verifier::prove_digests(export, options, circumstances, progress).await?;
    if !is_broken(&report) {
        read_objects(export, options, progress, &chain, &mut report, wanted, take).await?;
        verifier::check_place(&chain, &mut report);
        verifier::advise_on_place(&chain, options, &mut report);
    }
    verifier::conclude(&mut report, false);
    Ok(report)
}

/// Returns whether something is wrong with the export. An outdated copy is intact.
fn is_broken(report: &Report) -> bool {
    report.breaks.iter().any(|broken: &Break| broken.code != BreakCode::OutdatedCopy)
}

async fn read_objects<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    chain: &Chain,
    report: &mut Report,
    wanted: &dyn Fn(&DigestObject) -> bool,
    take: &mut dyn FnMut(ProvenObject) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    progress(Progress::ObjectsCounted { count: report.objects.count, stored_bytes: report.objects.stored_bytes });
    let coverage = Coverage::of(&chain.digests);
    let mut steps = objects::steps(export, options, chain)
        .map(|step| async move { fetch(export, options, progress, wanted, step?).await })
        .buffered(OBJECTS_AHEAD.min(options.concurrency()))
        .boxed_local();
    while let Some(fetched) = steps.try_next().await? {
        match fetched {
            Fetched::Proven(proven) => {
                report.objects.intact += 1;
                if take(proven).is_break() {
                    return Ok(());
                }
            }
            Fetched::Skipped => {}
            Fetched::Other(outcome) => {
                let other = objects::record(outcome, options, &coverage, report);
                let others: Vec<(usize, Hex32)> = other.into_iter().collect();
                objects::find_owners(export, options, &chain.digests, report, &others).await?;
            }
        }
        if is_broken(report) {
            return Ok(());
        }
    }
    Ok(())
}

async fn fetch<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    wanted: &dyn Fn(&DigestObject) -> bool,
    step: Step,
) -> Result<Fetched, ReadError> {
    match step {
        Step::Check { object, .. } | Step::Missing { object, .. } if !wanted(&object) => {
            progress(Progress::BytesRead { count: object.stored_length });
            Ok(Fetched::Skipped)
        }
        Step::Check { name, encoding, object, sequence } => {
            if let Some(bytes) = read_exactly(export, progress, &name, &object).await? {
                return Ok(Fetched::Proven(ProvenObject { name, object, bytes }));
            }
            // Reads it again, to tell how it differs.
            match objects::check_object(export, options, &|_| {}, &name, &encoding, &object, sequence).await? {
                Outcome::Intact { .. } => Err(ReadError::Unreadable(format!("{name} changed while it was being read"))),
                outcome => Ok(Fetched::Other(outcome)),
            }
        }
        step => objects::carry_out(export, options, progress, step).await.map(Fetched::Other),
    }
}

/// Reads an object. `None` unless its bytes are those that its digest names.
async fn read_exactly<F: ExportFiles + ?Sized>(
    export: &F,
    progress: &dyn Fn(Progress<'_>),
    name: &str,
    object: &DigestObject,
) -> Result<Option<Vec<u8>>, ReadError> {
    let mut pieces = export.read(name);
    let mut bytes = Vec::new();
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => {
                progress(Progress::BytesRead { count: piece.len() as u64 });
                bytes.extend_from_slice(&piece);
            }
            Ok(None) => break,
            Err(ReadError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        }
        if bytes.len() as u64 > object.stored_length {
            return Ok(None);
        }
    }
    let is_proven = bytes.len() as u64 == object.stored_length && object.sha256 == Hex32::sha256_of(&bytes);
    Ok(is_proven.then_some(bytes))
}
