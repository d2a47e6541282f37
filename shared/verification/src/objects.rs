//! The second pass: compares the objects that the digests name with the files that exist.

use std::{collections::VecDeque, rc::Rc};

use domain::{
    digest::{DIGEST_FOLDER, Digest, DigestObject, Hex32},
    encoding::Encoding,
    event_filter::{EventFilter, FilterTag},
    export_format::ExportFormat,
    object_key::{data_object_name, lake_object_name},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, LocalBoxStream, Stream},
};
use sha2::{Digest as _, Sha256};

use crate::{
    breaks::{Break, BreakCode},
    chain::{Chain, ProvenDigest},
    content::Content,
    coverage::{Coverage, Position},
    export_files::{Entry, ExportFiles, ReadError},
    files::{check_order, is_folder_marker},
    names::{self, BESIDE},
    options::{MAX_VERIFIER_SKEW, Options, Progress},
    report::{MAX_LISTED, Report},
    unknown_file::{self, UnknownFile},
};

/// The most files of one export.
const MAX_FILES: u64 = 1_000_000_000;

/// The bytes that are read of a file that is longer than its digest says, to find out which object's bytes it holds. No
/// object is longer: one of Parquet, the longest, ends at 32 MiB and its last block.
const DIAGNOSIS_LENGTH: u64 = 64 * 1024 * 1024;

/// The objects of Parquet that are decoded at the same time: each is in memory as a whole.
const PARQUET_CONCURRENCY: usize = 2;

/// One step of the comparison, in the order of the files' names.
pub(crate) enum Step {
    Check { name: String, encoding: Rc<Encoding>, object: DigestObject, sequence: u64 },
    Missing { name: String, object: DigestObject, sequence: u64 },
    Elsewhere(DigestObject),
    Unnamed(String),
}

/// The outcome of a step.
pub(crate) enum Outcome {
    Intact {
        name: String,
        is_inflated: bool,
    },
    Broken(Break),
    /// The bytes may be those of another object with this SHA-256.
    OtherBytes {
        broken: Break,
        sha256: Hex32,
    },
    Elsewhere(DigestObject),
    Unnamed(String),
}

/// Checks the objects of all proven digests, and adds the outcome to the report.
pub(crate) async fn check<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    chain: &Chain,
    report: &mut Report,
) -> Result<(), ReadError> {
    progress(Progress::ObjectsCounted { count: report.objects.count, stored_bytes: report.objects.stored_bytes });
    let coverage = Coverage::of(&chain.digests);
    let mut others = Vec::new();
    {
        let mut outcomes = steps(export, options, chain)
            .map(|step| async move { carry_out(export, options, progress, step?).await })
            .buffered(concurrency(options, chain))
            .boxed_local();
        while let Some(outcome) = outcomes.try_next().await? {
            if let Outcome::Intact { name, .. } = &outcome {
                progress(Progress::ObjectProven { name });
            }
            others.extend(record(outcome, options, &coverage, report));
        }
    }
    find_owners(export, options, &chain.digests, report, &others).await
}

/// Returns how many objects are read at the same time.
fn concurrency(options: &Options, chain: &Chain) -> usize {
    let is_parquet = |format| matches!(format, Some(ExportFormat::Parquet | ExportFormat::OcsfParquet));
    let is_held = options.deep && chain.digests.iter().any(|digest| is_parquet(digest.format));
    if is_held { options.concurrency().min(PARQUET_CONCURRENCY) } else { options.concurrency() }
}

/// Adds an outcome to the report. Returns the index of its break, and the SHA-256 of the bytes, if these may be another
/// object's.
pub(crate) fn record(
    outcome: Outcome,
    options: &Options,
    coverage: &Coverage,
    report: &mut Report,
) -> Option<(usize, Hex32)> {
    match outcome {
        Outcome::Intact { is_inflated, .. } => {
            report.objects.intact += 1;
            report.objects.inflated += u64::from(is_inflated);
        }
        Outcome::Broken(broken) => report.push(broken),
        Outcome::OtherBytes { broken, sha256 } => {
            let index = report.breaks.len();
            report.push(broken);
            return (index < MAX_LISTED).then_some((index, sha256));
        }
        Outcome::Elsewhere(object) => {
            report.elsewhere.objects.add(format!("s3://{}/{}", object.bucket.as_str(), object.key));
        }
        Outcome::Unnamed(name) => classify_unnamed(report, options, coverage, name),
    }
    None
}

/// Classifies a file that no digest names, by the time in its name.
fn classify_unnamed(report: &mut Report, options: &Options, coverage: &Coverage, name: String) {
    let blocks = names::blocks_of(&name);
    // No run can have received a later event: the name was chosen so that the file passes for pending.
    let latest = report.circumstances.verified_at.saturating_add(MAX_VERIFIER_SKEW);
    if blocks.is_some_and(|(_, last)| last.timestamp() > latest) {
        let detail =
            format!("the time in its name is after this machine's clock, {}", report.circumstances.verified_at);
        return report.push(unknown_file::extra(name, &detail));
    }
    match blocks.map(|(first, _)| coverage.position_of(first)) {
        Some(Position::Later) => report.pending.add(name),
        Some(Position::Uncovered) => report.uncovered.add(name),
        Some(Position::Covered) => {
            report.push(unknown_file::extra(name, "it was received in the verified period, but no digest names it"));
        }
        None => match unknown_file::classify(options, name, "its name is not one that an export writes") {
            UnknownFile::Harmless(name) => report.system_files.add(name),
            UnknownFile::Broken(broken) => report.push(broken),
        },
    }
}

/// The files that one merge compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// Those in the folder of the export.
    OfFolder,
    /// Those of the export in the layout of Security Lake.
    OfLake,
}

/// The merge of the digests' objects with the list of files: both are in the order of the blocks.
struct Merge<'a> {
    compared: Files,
    chain: &'a Chain,
    digests: LocalBoxStream<'a, Result<Digest, ReadError>>,
    sequence: u64,
    encoding: Rc<Encoding>,
    filter_tag: Option<FilterTag>,
    tag: String,
    objects: VecDeque<DigestObject>,
    files: LocalBoxStream<'a, Result<Entry, ReadError>>,
    next_file: Option<String>,
    last_file: Option<String>,
    file_count: u64,
}

pub(crate) fn steps<'a, F: ExportFiles + ?Sized>(
    export: &'a F,
    options: &Options,
    chain: &'a Chain,
) -> impl Stream<Item = Result<Step, ReadError>> + 'a {
    let of_lake = chain.has_classes.then(|| merged(export, options, chain, Files::OfLake));
    merged(export, options, chain, Files::OfFolder).chain(stream::iter(of_lake).flatten())
}

/// Returns the steps of one merge.
fn merged<'a, F: ExportFiles + ?Sized>(
    export: &'a F,
    options: &Options,
    chain: &'a Chain,
    compared: Files,
) -> impl Stream<Item = Result<Step, ReadError>> + 'a {
    let files = match (compared, &chain.lake) {
        (Files::OfFolder, _) => export.list(""),
        (Files::OfLake, Some(lake)) => export.list(&lake.folder),
        (Files::OfLake, None) => stream::empty().boxed_local(),
    };
    let digests = stream::iter(chain.digests.iter().copied())
        .map(move |digest| digest.read(export))
        .buffered(options.concurrency())
        .boxed_local();
    let merge = Merge {
        compared,
        chain,
        digests,
        sequence: 0,
        encoding: Rc::default(),
        filter_tag: None,
        tag: String::new(),
        objects: VecDeque::new(),
        files,
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
            self.filter_tag = digest.filter.as_ref().map(EventFilter::tag);
            self.encoding = Rc::new(digest.encoding());
            self.tag = self.encoding.tag();
            let is_compared = |object: &DigestObject| object.class.is_some() == (self.compared == Files::OfLake);
            self.objects = digest.objects.into_iter().filter(is_compared).collect();
        }
        let Some(object) = self.objects.front() else { return Ok(None) };
        let name = self.name_of(object);
        if let Some(file) = self.next_file.take_if(|file| *file < name) {
            return Ok(Some(Step::Unnamed(file)));
        }
        let found = self.next_file.take_if(|file| *file == name).is_some();
        let Some(object) = self.objects.pop_front() else { return Ok(None) };
        let place = self.chain.place.as_ref().filter(|place| place.holds_object(&object));
        let name_here = place.and_then(|place| place.name_of(&object.key));
        let (encoding, sequence) = (Rc::clone(&self.encoding), self.sequence);
        Ok(Some(match name_here {
            _ if found => Step::Check { name, encoding, object, sequence },
            // It is in the folder of another Region than the one that is listed.
            Some(other) if object.class.is_some() && other != name => {
                Step::Check { name: other, encoding, object, sequence }
            }
            Some(_) => Step::Missing { name, object, sequence },
            None => Step::Elsewhere(object),
        }))
    }

    /// Returns the name that an object has here.
    fn name_of(&self, object: &DigestObject) -> String {
        let (blocks, place) = ((object.first_block, object.last_block), self.chain.place.as_ref());
        match (object.class, &self.chain.lake, place) {
            (Some(class), Some(lake), Some(place)) => {
                let name = lake_object_name(&lake.region, place.configuration_id(), blocks, class, &self.tag);
                format!("{BESIDE}{name}")
            }
            // None of them is here.
            (Some(_), ..) => format!("{BESIDE}{}", object.key),
            (None, ..) => {
                data_object_name(self.encoding.format, self.filter_tag, object.first_block, object.last_block)
            }
        }
    }

    /// Returns whether a file of the list may be one of the export. Exports share the folders of Security Lake.
    fn is_of_export(&self, name: &str) -> bool {
        match (self.compared, &self.chain.place) {
            (Files::OfFolder, _) => !name.starts_with(DIGEST_FOLDER),
            (Files::OfLake, Some(place)) => {
                let file = name.rsplit('/').next().unwrap_or_default();
                file.starts_with(&place.configuration_id().to_string())
            }
            (Files::OfLake, None) => false,
        }
    }

    /// Returns the next file that is not among the digests, which were checked before.
    async fn list_next(&mut self) -> Result<Option<String>, ReadError> {
        while let Some(Entry { name, length }) = self.files.try_next().await? {
            check_order(&mut self.last_file, &name)?;
            self.file_count += 1;
            if self.file_count > MAX_FILES {
                return Err(ReadError::Unreadable(format!("there are more than {MAX_FILES} files")));
            }
            if self.is_of_export(&name) && !is_folder_marker(&name, length) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

pub(crate) async fn carry_out<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    step: Step,
) -> Result<Outcome, ReadError> {
    Ok(match step {
        Step::Check { name, encoding, object, sequence } => {
            let outcome = check_object(export, options, progress, &name, &encoding, &object, sequence).await?;
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

pub(crate) async fn check_object<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
    name: &str,
    encoding: &Encoding,
    object: &DigestObject,
    sequence: u64,
) -> Result<Outcome, ReadError> {
    let mut pieces = export.read(name);
    let mut hash = Sha256::new();
    let mut length = 0;
    let mut content = options.deep.then(|| Content::new(encoding, object.raw_length)).transpose()?;
    loop {
        let piece = match pieces.try_next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(ReadError::NotFound) => {
                let detail = "it was removed during the verification".to_owned();
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
        Some(Err((code, detail))) => Outcome::Broken(broken(code, name.to_owned(), sequence, detail)),
        compared => Outcome::Intact { name: name.to_owned(), is_inflated: compared.is_some() },
    })
}

/// Finds the objects to which altered bytes belong, and reports these breaks as reordered objects.
pub(crate) async fn find_owners<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    digests: &[ProvenDigest],
    report: &mut Report,
    others: &[(usize, Hex32)],
) -> Result<(), ReadError> {
    if others.is_empty() {
        return Ok(());
    }
    let mut digests =
        stream::iter(digests.iter().copied()).map(|digest| digest.read(export)).buffered(options.concurrency());
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
