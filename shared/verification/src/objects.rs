//! Second pass: the objects that the digests name, in order, against the list of what is there.

use std::{
    collections::VecDeque,
    io::{self, Write},
};

use domain::{
    block::BlockId,
    digest::{DIGEST_FOLDER, DigestObject, Hex32},
};
use flate2::{Crc, write::GzDecoder};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, LocalBoxStream, Stream},
};
use sha2::{Digest as _, Sha256};

use crate::{
    archive::{Archive, Entry, ReadError},
    breaks::{Break, BreakCode},
    chain::{self, Before, Chain, ProvenDigest},
    names::{self, SystemFile},
    report::{MAX_LISTED, Report},
    verifier::{MAX_CLOCK_SKEW, Options, Origin, Progress},
};

/// The most files of one export that are taken on.
const MAX_FILES: u64 = 1_000_000_000;

/// Bytes. A file that is longer than its digest says is read no further than this, to find out whose bytes it holds. No
/// object is longer: see [`domain::export_run::TARGET_STORED_LENGTH`].
const DIAGNOSIS_LENGTH: u64 = 64 * 1024 * 1024;

/// What is to be done next, in the order of the files' names.
enum Step {
    Check { name: String, object: DigestObject, sequence: u64 },
    Missing { name: String, object: DigestObject, sequence: u64 },
    Elsewhere(DigestObject),
    Unnamed(String),
}

/// What became of it.
enum Outcome {
    Intact {
        name: String,
        is_inflated: bool,
    },
    Broken(Break),
    /// The bytes are of the object with this hash, if there is one.
    OtherBytes {
        broken: Break,
        sha256: Hex32,
    },
    Elsewhere(DigestObject),
    Unnamed(String),
}

pub(crate) async fn check<A: Archive + ?Sized>(
    archive: &A,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    chain: &Chain,
    report: &mut Report,
) -> Result<(), ReadError> {
    progress(Progress::ObjectsCounted { count: report.objects.count, stored_bytes: report.objects.stored_bytes });
    let coverage = Coverage::of(&chain.digests);
    let mut others = Vec::new();
    {
        let mut outcomes = steps(archive, options, chain)
            .map(|step| async move { carry_out(archive, options, progress, step?).await })
            .buffered(options.concurrency())
            .boxed_local();
        while let Some(outcome) = outcomes.try_next().await? {
            match outcome {
                Outcome::Intact { name, is_inflated } => {
                    progress(Progress::ObjectProven { name: &name });
                    report.objects.intact += 1;
                    report.objects.inflated += u64::from(is_inflated);
                }
                Outcome::Broken(broken) => report.push(broken),
                Outcome::OtherBytes { broken, sha256 } => {
                    if report.breaks.len() < MAX_LISTED {
                        others.push((report.breaks.len(), sha256));
                    }
                    report.push(broken);
                }
                Outcome::Elsewhere(object) => {
                    report.elsewhere.objects.add(format!("s3://{}/{}", object.bucket.as_str(), object.key));
                }
                Outcome::Unnamed(name) => classify_unnamed(report, options, &coverage, name),
            }
        }
    }
    find_owners(archive, options, &chain.digests, report, &others).await
}

/// Says of a file that no digest names what it is by its time.
fn classify_unnamed(report: &mut Report, options: &Options, coverage: &Coverage, name: String) {
    let blocks = names::blocks_of(&name);
    // No run can have received a later event: whoever wrote it wants it to pass for pending.
    let latest = report.circumstances.verified_at.saturating_add(MAX_CLOCK_SKEW);
    if blocks.is_some_and(|(_, last)| last.timestamp() > latest) {
        let detail =
            format!("its name is of a later time than this machine's clock, {}", report.circumstances.verified_at);
        return report.push(extra(name, &detail));
    }
    match blocks.map(|(first, _)| coverage.of_block(first)) {
        Some(Covered::Later) => report.pending.add(name),
        Some(Covered::Unknown) => report.uncovered.add(name),
        Some(Covered::Proven) => {
            report.push(extra(name, "it was received inside of the verified period, but no digest names it"));
        }
        None => match classify_stranger(options, name, "its name is not one that an export gives") {
            Stranger::Harmless(name) => report.system_files.add(name),
            Stranger::Broken(broken) => report.push(broken),
        },
    }
}

/// A file whose name is none of an export's.
pub(crate) enum Stranger {
    Harmless(String),
    Broken(Break),
}

/// Says what such a file is. In a copy on disk, what a computer makes is no break, unless a reader of the export's files
/// would read it.
pub(crate) fn classify_stranger(options: &Options, name: String, detail: &str) -> Stranger {
    match SystemFile::of(&name) {
        Some(SystemFile::Harmless) if options.origin == Origin::Copy => Stranger::Harmless(name),
        Some(file) => Stranger::Broken(extra(name, file.advice())),
        None => Stranger::Broken(extra(name, detail)),
    }
}

fn extra(name: String, detail: &str) -> Break {
    Break { code: BreakCode::ExtraObject, file: Some(name), sequence: None, detail: detail.to_owned() }
}

/// Where a block lies against the proven digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Covered {
    /// A proven digest answers for it, or it is older than the first digest of all.
    Proven,
    /// No proven digest answers for it, though there are newer ones.
    Unknown,
    /// After the newest.
    Later,
}

/// The stretches of blocks that the proven digests cover, the oldest first.
struct Coverage {
    stretches: Vec<(BlockId, BlockId)>,
    begins_with_first: bool,
}

impl Coverage {
    fn of(digests: &[ProvenDigest]) -> Self {
        let mut stretches: Vec<(BlockId, BlockId)> = Vec::new();
        for digest in digests {
            match stretches.last_mut() {
                Some((_, end)) if digest.before == Before::Linked => *end = digest.end_block,
                _ => stretches.push((digest.first_block, digest.end_block)),
            }
        }
        let begins_with_first = digests.first().is_some_and(|digest| digest.before == Before::Nothing);
        Self { stretches, begins_with_first }
    }

    fn of_block(&self, block: BlockId) -> Covered {
        let index = self.stretches.partition_point(|(first, _)| *first <= block);
        let Some((_, end)) = index.checked_sub(1).and_then(|index| self.stretches.get(index)) else {
            return if self.begins_with_first { Covered::Proven } else { Covered::Unknown };
        };
        if block < *end {
            Covered::Proven
        } else if index == self.stretches.len() {
            Covered::Later
        } else {
            Covered::Unknown
        }
    }
}

/// Merges the digests' objects and the list of files: both are in the order of the blocks.
struct Merge<'a> {
    chain: &'a Chain,
    digests: LocalBoxStream<'a, Result<domain::digest::Digest, ReadError>>,
    sequence: u64,
    objects: VecDeque<DigestObject>,
    files: LocalBoxStream<'a, Result<Entry, ReadError>>,
    next_file: Option<String>,
    last_file: Option<String>,
    file_count: u64,
}

fn steps<'a, A: Archive + ?Sized>(
    archive: &'a A,
    options: &Options,
    chain: &'a Chain,
) -> impl Stream<Item = Result<Step, ReadError>> + 'a {
    let digests = stream::iter(chain.digests.iter().copied())
        .map(move |digest| chain::read_again(archive, digest))
        .buffered(options.concurrency())
        .boxed_local();
    let merge = Merge {
        chain,
        digests,
        sequence: 0,
        objects: VecDeque::new(),
        files: archive.list(""),
        next_file: None,
        last_file: None,
        file_count: 0,
    };
    stream::try_unfold(merge, |mut merge| async move { Ok(merge.next().await?.map(|step| (step, merge))) })
}

impl Merge<'_> {
    async fn next(&mut self) -> Result<Option<Step>, ReadError> {
        if self.next_file.is_none() {
            self.next_file = self.list_next().await?;
        }
        while self.objects.is_empty() {
            let Some(digest) = self.digests.try_next().await? else {
                return Ok(self.next_file.take().map(Step::Unnamed));
            };
            self.sequence = digest.sequence;
            self.objects = digest.objects.into();
        }
        let Some(object) = self.objects.front() else { return Ok(None) };
        let name = domain::object_key::data_object_name(object.first_block, object.last_block);
        if let Some(file) = self.next_file.take_if(|file| *file < name) {
            return Ok(Some(Step::Unnamed(file)));
        }
        let found = self.next_file.take_if(|file| *file == name).is_some();
        let Some(object) = self.objects.pop_front() else { return Ok(None) };
        let named_here = chain::is_here(self.chain.place.as_ref(), &object);
        Ok(Some(match (found, named_here) {
            (true, _) => Step::Check { name, object, sequence: self.sequence },
            (false, true) => Step::Missing { name, object, sequence: self.sequence },
            (false, false) => Step::Elsewhere(object),
        }))
    }

    /// The next file that is not among the digests, which were looked at before.
    async fn list_next(&mut self) -> Result<Option<String>, ReadError> {
        while let Some(Entry { name, length }) = self.files.try_next().await? {
            chain::in_order(&mut self.last_file, &name)?;
            self.file_count += 1;
            if self.file_count > MAX_FILES {
                return Err(ReadError::Unreadable(format!("there are more than {MAX_FILES} files")));
            }
            if !name.starts_with(DIGEST_FOLDER) && !chain::is_folder_marker(&name, length) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

async fn carry_out<A: Archive + ?Sized>(
    archive: &A,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    step: Step,
) -> Result<Outcome, ReadError> {
    Ok(match step {
        Step::Check { name, object, sequence } => {
            let outcome = check_object(archive, options, progress, &name, &object, sequence).await?;
            progress(Progress::ObjectChecked);
            outcome
        }
        Step::Missing { name, object, sequence } => {
            let detail = format!(
                "digest {sequence} names it: {} events in {} bytes with SHA-256 {}",
                object.events, object.stored_length, object.sha256
            );
            Outcome::Broken(broken(BreakCode::MissingObject, name, sequence, detail))
        }
        Step::Elsewhere(object) => Outcome::Elsewhere(object),
        Step::Unnamed(name) => Outcome::Unnamed(name),
    })
}

fn broken(code: BreakCode, name: String, sequence: u64, detail: String) -> Break {
    Break { code, file: Some(name), sequence: Some(sequence), detail }
}

async fn check_object<A: Archive + ?Sized>(
    archive: &A,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    name: &str,
    object: &DigestObject,
    sequence: u64,
) -> Result<Outcome, ReadError> {
    let mut pieces = archive.read(name);
    let mut hash = Sha256::new();
    let mut length = 0;
    let mut content = options.deep.then(|| Content::new(object.raw_length));
    loop {
        let piece = match pieces.try_next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(ReadError::NotFound) => {
                let detail = "it went away while this was running".to_owned();
                return Ok(Outcome::Broken(broken(BreakCode::MissingObject, name.to_owned(), sequence, detail)));
            }
            Err(error) => return Err(error),
        };
        length += piece.len() as u64;
        progress(Progress::BytesRead { count: piece.len() as u64 });
        if length > object.stored_length.max(DIAGNOSIS_LENGTH) {
            let detail = format!("it has more than the {} bytes that its digest names", object.stored_length);
            return Ok(Outcome::Broken(broken(BreakCode::AlteredObject, name.to_owned(), sequence, detail)));
        }
        hash.update(&piece);
        if let Some(content) = &mut content {
            content.push(&piece);
        }
    }
    let actual = Hex32(hash.finalize().into());
    if length != object.stored_length || actual != object.sha256 {
        let detail = format!(
            "it has {length} bytes with SHA-256 {actual}, but its digest names {} bytes with {}",
            object.stored_length, object.sha256
        );
        let broken = broken(BreakCode::AlteredObject, name.to_owned(), sequence, detail);
        return Ok(Outcome::OtherBytes { broken, sha256: actual });
    }
    Ok(match content.map(|content| content.compare(object)) {
        Some(Err(detail)) => Outcome::Broken(broken(BreakCode::ContentMismatch, name.to_owned(), sequence, detail)),
        compared => Outcome::Intact { name: name.to_owned(), is_inflated: compared.is_some() },
    })
}

/// What is inside of an object, as its bytes come along.
struct Content {
    decoder: GzDecoder<Counter>,
    failure: Option<io::Error>,
}

/// Counts what is inflated and keeps nothing of it.
struct Counter {
    limit: u64,
    crc: Crc,
    length: u64,
    lines: u64,
    ends_with_line: bool,
}

impl Write for Counter {
    fn write(&mut self, raw: &[u8]) -> io::Result<usize> {
        self.length += raw.len() as u64;
        if self.length > self.limit {
            return Err(io::Error::other("it inflates to more than its digest says"));
        }
        self.crc.update(raw);
        #[expect(clippy::naive_bytecount, reason = "as fast as the dependency it asks for: it becomes vector code")]
        let lines = raw.iter().filter(|byte| **byte == b'\n').count();
        self.lines += lines as u64;
        if let Some(last) = raw.last() {
            self.ends_with_line = *last == b'\n';
        }
        Ok(raw.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Content {
    /// Inflates no more than `limit` bytes.
    fn new(limit: u64) -> Self {
        let counter = Counter { limit, crc: Crc::new(), length: 0, lines: 0, ends_with_line: false };
        Self { decoder: GzDecoder::new(counter), failure: None }
    }

    fn push(&mut self, piece: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.decoder.write_all(piece).err();
        }
    }

    /// # Errors
    /// What differs, in words.
    fn compare(self, object: &DigestObject) -> Result<(), String> {
        let counter = match self.failure {
            Some(failure) => Err(failure),
            None => self.decoder.finish(),
        }
        .map_err(|error| format!("it can't be inflated: {error}"))?;
        let crc32 = counter.crc.sum();
        if counter.length != object.raw_length {
            return Err(format!("it inflates to {} bytes, its digest says {}", counter.length, object.raw_length));
        }
        if crc32 != object.crc32 {
            return Err(format!("its events have CRC-32 {crc32:08x}, its digest says {:08x}", object.crc32));
        }
        if counter.lines != object.events || !counter.ends_with_line {
            return Err(format!("it holds {} whole lines, its digest says {} events", counter.lines, object.events));
        }
        Ok(())
    }
}

/// Bytes that are not the named ones may be another object's: then that is what happened.
async fn find_owners<A: Archive + ?Sized>(
    archive: &A,
    options: &Options,
    digests: &[ProvenDigest],
    report: &mut Report,
    others: &[(usize, Hex32)],
) -> Result<(), ReadError> {
    if others.is_empty() {
        return Ok(());
    }
    let mut digests = stream::iter(digests.iter().copied())
        .map(|digest| chain::read_again(archive, digest))
        .buffered(options.concurrency());
    while let Some(digest) = digests.try_next().await? {
        for object in &digest.objects {
            for (index, _) in others.iter().filter(|(_, sha256)| *sha256 == object.sha256) {
                if let Some(broken) = report.breaks.get_mut(*index) {
                    broken.code = BreakCode::Reordered;
                    broken.detail = format!("it holds the bytes of {}", object.key);
                }
            }
        }
    }
    Ok(())
}
