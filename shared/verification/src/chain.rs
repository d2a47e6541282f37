//! First pass: the digests, backwards from the newest.

use domain::{
    allowance::MAX_DIGESTS_OF_TEN_YEARS,
    block::BlockId,
    configuration::ConfigurationId,
    digest::{DIGEST_FOLDER, Digest, DigestObject, DigestReference, Gap, Hex32, InvalidDigest},
    tenant::TenantId,
};
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest as _, Sha256};

use crate::{
    archive::{Archive, Entry, ReadError},
    breaks::{Break, BreakCode},
    names::{self, DigestName},
    objects::{self, Stranger},
    place::Place,
    report::{FoundBreaks, KeyUse, MAX_LISTED, Report},
    verifier::{MAX_CLOCK_SKEW, Options, Progress},
};

/// The most digests that are taken on: more than a century of an export every two hours. Each costs about 100 bytes.
pub(crate) const MAX_DIGESTS: usize = 1_000_000;

// A script that requests runs can't exhaust it: ten years of all manual runs that a configuration is allowed, and of the
// shortest schedule, make fewer digests. More come only with data: a window of more than `MAX_DIGEST_OBJECTS` objects, and
// one that an edit of the destination ends after an object of it was delivered.
const _: () = assert!(MAX_DIGESTS_OF_TEN_YEARS < MAX_DIGESTS as u64);

/// Bytes. A digest is kept as one item of `DynamoDB` before it is written, so none is longer than the 400 KB of that.
const MAX_DIGEST_LENGTH: u64 = 400 * 1024;

/// Bytes. A signature has 72 at most: two numbers of 33 with their heads (ASN.1 DER).
const MAX_SIGNATURE_LENGTH: u64 = 128;

/// What is wrong with any other file among the digests.
const STRANGER_DETAIL: &str = "its name is neither a digest's nor a signature's";

/// What to do about a file beside the chain.
const STRAY_ADVICE: &str = "the digest of this sequence is another file, which is proven: this one was not written by the \
                            service. Find out who wrote it, and who may write here, then remove it";

/// What is kept of a digest that is proven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProvenDigest {
    pub(crate) name: DigestName,
    pub(crate) sha256: Hex32,
    pub(crate) first_block: BlockId,
    pub(crate) end_block: BlockId,
    pub(crate) before: Before,
    /// Whether it can be the first one here after the destination was changed: the digest before it and its objects, if it
    /// has any, lie in one and the same place.
    pub(crate) names_one_place: bool,
}

/// What comes before a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// The digest before it in the list of the proven.
    Linked,
    /// Nothing: it is the first of its configuration.
    Nothing,
    /// Digests in another place, or broken ones.
    Unknown,
}

/// The proven digests, the oldest first, and what is known of the export by them.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) digests: Vec<ProvenDigest>,
    pub(crate) place: Option<Place>,
    /// References to this place: without any, the digests tell of another one.
    pub(crate) references_here: u64,
}

/// A name among the digests.
#[derive(Clone, Copy, Debug)]
struct Listed {
    name: DigestName,
    has_digest: bool,
    has_signature: bool,
}

/// A file of bounded length.
enum File {
    Read(Vec<u8>),
    Missing,
    TooLong,
}

struct Pair {
    listed: Listed,
    digest: File,
    signature: File,
}

/// A signature without a digest.
struct EarlySignature {
    name: DigestName,
    /// Whether the name is derived from these bytes.
    fits_name: bool,
}

/// The digest before another one, as that one names it.
#[derive(Clone, Debug)]
struct Link {
    reference: DigestReference,
    name: DigestName,
    is_here: bool,
}

/// The digest that was proven last: the next one to look at comes before it.
struct Upper {
    sequence: u64,
    first_block: BlockId,
    previous: Option<Link>,
}

pub(crate) struct Walk<'a, A: Archive + ?Sized> {
    archive: &'a A,
    options: &'a Options,
    progress: &'a dyn Fn(Progress<'_>),
    report: &'a mut Report,
    place: Option<Place>,
    configuration_id: Option<ConfigurationId>,
    tenant_id: Option<TenantId>,
    /// The newest first.
    digests: Vec<ProvenDigest>,
    references_here: u64,
    /// Signatures beyond the newest digest, which a run puts before their digests.
    early_signatures: Vec<EarlySignature>,
}

impl<'a, A: Archive + ?Sized> Walk<'a, A> {
    pub(crate) fn new(
        archive: &'a A,
        options: &'a Options,
        progress: &'a dyn Fn(Progress<'_>),
        report: &'a mut Report,
    ) -> Self {
        Self {
            archive,
            options,
            progress,
            report,
            place: options.place.clone(),
            configuration_id: options.place.as_ref().map(Place::configuration_id).or(options.configuration_id),
            tenant_id: None,
            digests: Vec::new(),
            references_here: 0,
            early_signatures: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self) -> Result<Chain, ReadError> {
        let (listed, strangers) = self.list().await?;
        let count = listed.iter().filter(|listed| listed.has_digest).count();
        (self.progress)(Progress::DigestsListed { count: count as u64 });
        if count == 0 {
            self.fail(BreakCode::NoDigests, None, "nothing was exported here yet, or the digests were removed");
        } else {
            self.walk(&listed).await?;
        }
        self.report.push_all(strangers);
        self.digests.reverse();
        self.report.tenant_id = self.tenant_id;
        self.report.configuration_id = self.configuration_id;
        self.report.place.clone_from(&self.place);
        Ok(Chain { digests: self.digests, place: self.place, references_here: self.references_here })
    }

    /// The names of digests and signatures in ascending order, and what is wrong with names that are neither.
    async fn list(&mut self) -> Result<(Vec<Listed>, FoundBreaks), ReadError> {
        let mut listed: Vec<Listed> = Vec::new();
        let mut strangers = FoundBreaks::default();
        let mut last_name = None;
        let mut entries = self.archive.list(DIGEST_FOLDER);
        while let Some(Entry { name: file, length }) = entries.try_next().await? {
            in_order(&mut last_name, &file)?;
            let (name, is_signature) = match (DigestName::parse(&file), DigestName::parse_signature(&file)) {
                (Some(name), _) => (name, false),
                (None, Some(name)) => (name, true),
                (None, None) => {
                    if !is_folder_marker(&file, length) {
                        match objects::classify_stranger(self.options, file, STRANGER_DETAIL) {
                            Stranger::Harmless(file) => self.report.system_files.add(file),
                            Stranger::Broken(broken) => strangers.add(broken),
                        }
                    }
                    continue;
                }
            };
            match listed.last_mut() {
                // A signature's name follows its digest's.
                Some(last) if last.name == name => last.has_signature |= is_signature,
                _ => listed.push(Listed { name, has_digest: !is_signature, has_signature: is_signature }),
            }
            if listed.len() > MAX_DIGESTS {
                return Err(ReadError::Unreadable(format!("there are more than {MAX_DIGESTS} digests")));
            }
        }
        Ok((listed, strangers))
    }

    async fn walk(&mut self, listed: &[Listed]) -> Result<(), ReadError> {
        let archive = self.archive;
        let mut pairs = stream::iter(listed.iter().rev().copied())
            .map(|listed| fetch(archive, listed))
            .buffered(self.options.concurrency());
        let mut upper: Option<Upper> = None;
        while let Some(pair) = pairs.try_next().await? {
            upper = self.step(upper, &pair);
            (self.progress)(Progress::DigestChecked);
            if self.reaches_back_far_enough() {
                upper = None;
                break;
            }
        }
        match upper.and_then(|upper| upper.previous) {
            Some(link) if link.is_here => self.missing(&link),
            Some(link) => self.goes_on_elsewhere(link),
            None => {}
        }
        self.judge_early_signatures();
        self.advise_on_strays();
        Ok(())
    }

    fn reaches_back_far_enough(&self) -> bool {
        let Some((since, oldest)) = self.options.since.zip(self.digests.last()) else { return false };
        oldest.first_block.timestamp() <= since
    }

    /// Looks at the next digest below `upper`; what is returned is the `upper` of the one after it.
    fn step(&mut self, upper: Option<Upper>, pair: &Pair) -> Option<Upper> {
        let name = pair.listed.name;
        let Some(upper) = upper else { return self.begin_stretch(pair) };
        match &upper.previous {
            Some(link) if link.name == name => {
                if matches!(pair.digest, File::Missing) {
                    self.missing(link);
                    return None;
                }
                let digest = match self.examine(pair, Some(&link.reference)) {
                    Ok(digest) => digest,
                    Err(broken) => {
                        self.report.push(broken);
                        return None;
                    }
                };
                self.compare_ends(name, &digest, &upper);
                self.link_above();
                Some(self.prove(name, &digest, link.reference.sha256))
            }
            // Below the first digest of all, or in a place of the chain that is another one's. Names that differ in the
            // tag alone come in no order that means anything.
            None => {
                self.stray(pair);
                Some(upper)
            }
            Some(link)
                if name.window() >= link.name.window() || (!link.is_here && name.sequence >= link.name.sequence) =>
            {
                self.stray(pair);
                Some(upper)
            }
            Some(link) if link.is_here => {
                self.missing(link);
                self.begin_stretch(pair)
            }
            Some(link) => {
                self.goes_on_elsewhere(link.clone());
                self.begin_stretch(pair)
            }
        }
    }

    /// A digest that none after it names: the newest of all, or the newest below something that is not here.
    fn begin_stretch(&mut self, pair: &Pair) -> Option<Upper> {
        if matches!(pair.digest, File::Missing) {
            if self.digests.is_empty() {
                let name = pair.listed.name;
                let fits_name = matches!(&pair.signature, File::Read(bytes) if name.fits_signature(sha256(bytes)));
                self.early_signatures.push(EarlySignature { name, fits_name });
            } else {
                self.stray(pair);
            }
            return None;
        }
        let digest = match self.examine(pair, None) {
            Ok(digest) => digest,
            Err(broken) => {
                self.report.push(broken);
                return None;
            }
        };
        if let Some(above) = self.digests.last()
            && digest.window.end_block > above.first_block
        {
            let detail =
                format!("it covers more than up to {}, where digest {} begins", above.first_block, above.name.sequence);
            self.fail_at(BreakCode::WindowGap, pair.listed.name, detail);
        }
        self.report.digests.stretches += 1;
        let File::Read(bytes) = &pair.digest else { return None };
        Some(self.prove(pair.listed.name, &digest, sha256(bytes)))
    }

    /// Takes a digest on whose signature, link and statement are good.
    fn prove(&mut self, name: DigestName, digest: &Digest, sha256: Hex32) -> Upper {
        if self.place.is_none() {
            self.place = inferred_place(digest);
        }
        self.configuration_id.get_or_insert(digest.configuration_id);
        self.tenant_id.get_or_insert_with(|| digest.tenant_id.clone());
        let previous = digest.previous.as_ref().and_then(|reference| {
            let (prefix, name) = DigestName::of_key(&reference.key)?;
            let is_here = self.place.as_ref().is_some_and(|place| place.is(&reference.bucket, prefix));
            Some(Link { reference: reference.clone(), name, is_here })
        });
        let objects_here = digest.objects.iter().filter(|object| is_here(self.place.as_ref(), object)).count();
        self.references_here += u64::from(previous.as_ref().is_some_and(|link| link.is_here)) + objects_here as u64;
        let before = if previous.is_some() { Before::Unknown } else { Before::Nothing };
        let (first_block, end_block) = (digest.window.first_block, digest.window.end_block);
        let names_one_place = names_one_place(digest);
        self.digests.push(ProvenDigest { name, sha256, first_block, end_block, before, names_one_place });
        self.count(digest, sha256);
        Upper { sequence: digest.sequence, first_block, previous }
    }

    /// The digest proven last is linked to the one that is about to be.
    fn link_above(&mut self) {
        if let Some(above) = self.digests.last_mut() {
            above.before = Before::Linked;
        }
    }

    /// Adds a digest to the report's sums.
    fn count(&mut self, digest: &Digest, sha256: Hex32) {
        let sequence = digest.sequence;
        let summary = &mut self.report.digests;
        summary.count += 1;
        summary.first_sequence = Some(sequence);
        summary.last_sequence.get_or_insert(sequence);
        summary.head_sha256.get_or_insert(sha256);
        let objects = &mut self.report.objects;
        for object in &digest.objects {
            objects.count += 1;
            objects.events = objects.events.saturating_add(object.events);
            objects.raw_bytes = objects.raw_bytes.saturating_add(object.raw_length);
            objects.stored_bytes = objects.stored_bytes.saturating_add(object.stored_length);
            objects.oldest_event =
                Some(objects.oldest_event.map_or(object.oldest_event, |at| at.min(object.oldest_event)));
            objects.newest_event = objects.newest_event.max(Some(object.newest_event));
        }
        self.report.gap_count += digest.gaps.len() as u64;
        let room = MAX_LISTED.saturating_sub(self.report.gaps.len());
        self.report.gaps.extend(digest.gaps.iter().rev().take(room));
        let keys = &mut self.report.signing_keys;
        match keys.iter_mut().find(|key| key.fingerprint == digest.signing_key) {
            Some(key) => {
                key.digests += 1;
                key.first_sequence = sequence;
            }
            // As many as public keys were given at most.
            None => keys.push(KeyUse {
                fingerprint: digest.signing_key,
                digests: 1,
                first_sequence: sequence,
                last_sequence: sequence,
            }),
        }
    }

    /// Two linked digests have to meet.
    fn compare_ends(&mut self, name: DigestName, digest: &Digest, upper: &Upper) {
        if digest.sequence.checked_add(1) != Some(upper.sequence) {
            let detail = format!("digest {} names it as the one before", upper.sequence);
            self.fail_at(BreakCode::WindowGap, name, detail);
        } else if digest.window.end_block != upper.first_block {
            let detail = format!(
                "it ends before block {}, and digest {} begins with block {}",
                digest.window.end_block, upper.sequence, upper.first_block
            );
            self.fail_at(BreakCode::WindowGap, name, detail);
        }
    }

    /// Reports a digest that nothing in the chain names, for what it is.
    fn stray(&mut self, pair: &Pair) {
        let broken = if matches!(pair.digest, File::Missing) {
            broken(BreakCode::MissingDigest, pair.listed.name, "only its signature is there")
        } else {
            match self.examine(pair, None) {
                Err(broken) => broken,
                Ok(_) => broken(BreakCode::ForkedChain, pair.listed.name, "no digest of the chain names it"),
            }
        };
        self.report.push(broken);
    }

    fn missing(&mut self, link: &Link) {
        let detail = format!("its SHA-256 is {}, says the digest after it", link.reference.sha256);
        self.fail_at(BreakCode::MissingDigest, link.name, detail);
    }

    fn goes_on_elsewhere(&mut self, link: Link) {
        let elsewhere = &mut self.report.elsewhere;
        elsewhere.digest_count += 1;
        if elsewhere.digests.len() < MAX_LISTED {
            elsewhere.digests.push(link.reference);
        }
    }

    /// A signature is put before its digest: the one that follows the newest digest may be of a run under way. A digest
    /// is signed once, so of several at most one is.
    fn judge_early_signatures(&mut self) {
        let next = self.digests.first().and_then(|newest| newest.name.sequence.checked_add(1));
        let signatures = std::mem::take(&mut self.early_signatures);
        let candidates = signatures.iter().filter(|signature| Some(signature.name.sequence) == next).count();
        let latest = self.report.circumstances.verified_at.saturating_add(MAX_CLOCK_SKEW);
        for EarlySignature { name, fits_name } in signatures {
            if Some(name.sequence) != next {
                self.fail_at(BreakCode::MissingDigest, name, "only its signature is there");
            } else if name.to > latest {
                let detail = "only its signature is there, of a later time than this machine's clock";
                self.fail_at(BreakCode::MissingDigest, name, detail);
            } else if !fits_name {
                self.fail_at(BreakCode::BadSignature, name, "its name is not the one that this signature gives it");
            } else if candidates > 1 {
                let detail = format!("only its signature is there, and there are {candidates} of this sequence");
                self.fail_at(BreakCode::MissingDigest, name, detail);
            } else {
                self.report.pending.add(name.signature_file());
            }
        }
    }

    /// Adds what to do to the breaks of files beside a proven digest of the same sequence.
    fn advise_on_strays(&mut self) {
        for broken in &mut self.report.breaks {
            let (Some(sequence), Some(file)) = (broken.sequence, &broken.file) else { continue };
            let proven = self.digests.iter().find(|digest| digest.name.sequence == sequence);
            if proven.is_some_and(|digest| digest.name.file() != *file) {
                broken.detail = format!("{}; {STRAY_ADVICE}", broken.detail);
            }
        }
    }

    /// Checks one digest by itself and against the reference of the one after it.
    fn examine(&self, pair: &Pair, expected: Option<&DigestReference>) -> Result<Digest, Break> {
        let name = pair.listed.name;
        let fail = |code, detail: &str| Err(broken(code, name, detail));
        let bytes = match &pair.digest {
            File::Read(bytes) => bytes,
            File::Missing => return fail(BreakCode::MissingDigest, "only its signature is there"),
            File::TooLong => return fail(BreakCode::AlteredDigest, "it is longer than any digest"),
        };
        let signature = match &pair.signature {
            File::Read(bytes) => bytes.as_slice(),
            File::Missing => return fail(BreakCode::MissingSignature, "it may be of a run under way: try again"),
            File::TooLong => return fail(BreakCode::BadSignature, "the signature is longer than any"),
        };
        let actual = sha256(bytes);
        let parsed = Digest::from_bytes(bytes);
        let keys = &self.options.keys;
        let signed = match &parsed {
            Ok(digest) => keys.verify(digest.signing_key, bytes, signature).ok_or(digest.signing_key),
            Err(_) => Ok(keys.any_verifies(bytes, signature)),
        };
        let is_expected = expected.is_none_or(|expected| expected.sha256 == actual);
        let differs = || format!("its SHA-256 is {actual}");
        match signed {
            Err(key) if is_expected => return fail(BreakCode::WrongKey, &format!("it names key {key}")),
            Err(key) => {
                let detail = format!("it names key {key}, and is not the digest that the one after it names");
                return fail(BreakCode::WrongKey, &detail);
            }
            Ok(false) if is_expected => return fail(BreakCode::BadSignature, "the signature is not of these bytes"),
            Ok(false) => return fail(BreakCode::AlteredDigest, &differs()),
            Ok(true) => {}
        }
        let digest = match parsed {
            Ok(digest) => digest,
            Err(error @ InvalidDigest::UnknownVersion(_)) => {
                return fail(BreakCode::UnknownVersion, &error.to_string());
            }
            Err(error) => return fail(BreakCode::InvalidDigest, &error.to_string()),
        };
        self.check_identity(&digest, name)?;
        if !is_expected {
            return fail(BreakCode::ForkedChain, &format!("{}, and the digest after it names another", differs()));
        }
        if expected.is_some_and(|expected| expected.signature_sha256 != sha256(signature)) {
            return fail(BreakCode::BadSignature, "it is another signature than the digest after it names");
        }
        if !name.fits_signature(sha256(signature)) {
            return fail(BreakCode::ReplayedDigest, "the end of its name is not the one that its signature gives it");
        }
        if digest.to_bytes().ok().as_ref() != Some(bytes) {
            return fail(BreakCode::InvalidDigest, "its bytes are not in the one form that a digest has");
        }
        match contradiction(&digest) {
            Some((code, detail)) => fail(code, &detail),
            None => Ok(digest),
        }
    }

    /// Whose digest it is, and which.
    fn check_identity(&self, digest: &Digest, name: DigestName) -> Result<(), Break> {
        let fail = |code, detail: String| Err(broken(code, name, detail));
        if self.configuration_id.is_some_and(|expected| expected != digest.configuration_id) {
            return fail(BreakCode::SplicedChain, format!("it is of configuration {}", digest.configuration_id));
        }
        if self.tenant_id.as_ref().is_some_and(|expected| *expected != digest.tenant_id) {
            return fail(BreakCode::SplicedChain, format!("it is of tenant {}", digest.tenant_id));
        }
        if (digest.sequence, digest.window.to) != (name.sequence, name.to) {
            let detail = format!("it is digest {} through {}", digest.sequence, digest.window.to);
            return fail(BreakCode::ReplayedDigest, detail);
        }
        Ok(())
    }

    fn fail(&mut self, code: BreakCode, file: Option<String>, detail: impl Into<String>) {
        self.report.push(Break { code, file, sequence: None, detail: detail.into() });
    }

    fn fail_at(&mut self, code: BreakCode, name: DigestName, detail: impl Into<String>) {
        self.report.push(broken(code, name, detail));
    }
}

fn broken(code: BreakCode, name: DigestName, detail: impl Into<String>) -> Break {
    Break { code, file: Some(name.file()), sequence: Some(name.sequence), detail: detail.into() }
}

/// What a copy says of its origin. Whoever changed the copy chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedOrigin {
    pub configuration_id: ConfigurationId,
    /// `None`: the newest digest names no place.
    pub place: Option<Place>,
}

/// Returns what the newest digest says, before anything is proven. `None`: there is no digest, or it can't be read as one.
///
/// # Errors
/// [`ReadError`] if files can't be read.
pub async fn claimed_origin_of<A: Archive + ?Sized>(archive: &A) -> Result<Option<ClaimedOrigin>, ReadError> {
    let mut newest = None;
    let mut entries = archive.list(DIGEST_FOLDER);
    while let Some(Entry { name, .. }) = entries.try_next().await? {
        newest = DigestName::parse(&name).or(newest);
    }
    let Some(newest) = newest else { return Ok(None) };
    Ok(match read_bounded(archive, &newest.file(), MAX_DIGEST_LENGTH).await? {
        File::Read(bytes) => Digest::from_bytes(&bytes)
            .ok()
            .map(|digest| ClaimedOrigin { configuration_id: digest.configuration_id, place: inferred_place(&digest) }),
        File::Missing | File::TooLong => None,
    })
}

/// Where the files lie if nobody said so: where the newest digest's objects or, without any, the digest before it are.
fn inferred_place(digest: &Digest) -> Option<Place> {
    let by_object = digest.objects.last().and_then(|object| {
        let (prefix, _) = names::split_data_key(&object.key, object.first_block, object.last_block)?;
        Place::new(object.bucket.clone(), prefix)
    });
    by_object.or_else(|| {
        let reference = digest.previous.as_ref()?;
        Place::new(reference.bucket.clone(), DigestName::of_key(&reference.key)?.0)
    })
}

/// Whether a digest's objects, if it has any, lie where the digest before it does.
fn names_one_place(digest: &Digest) -> bool {
    let previous = digest.previous.as_ref().and_then(|reference| {
        let (prefix, _) = DigestName::of_key(&reference.key)?;
        Place::new(reference.bucket.clone(), prefix)
    });
    previous.is_some_and(|place| digest.objects.iter().all(|object| is_here(Some(&place), object)))
}

/// Whether a digest says of an object that it lies in `place`.
pub(crate) fn is_here(place: Option<&Place>, object: &DigestObject) -> bool {
    place
        .zip(names::split_data_key(&object.key, object.first_block, object.last_block))
        .is_some_and(|(place, (prefix, _))| place.is(&object.bucket, prefix))
}

/// What makes no sense in a digest by itself.
fn contradiction(digest: &Digest) -> Option<(BreakCode, String)> {
    let invalid = |detail: String| Some((BreakCode::InvalidDigest, detail));
    let window = digest.window;
    if window.first_block > window.end_block {
        return invalid("its window ends before it begins".to_owned());
    }
    if window.from != window.first_block.timestamp() || window.to != window.end_block.timestamp() {
        return invalid("the times of its window are not those of its blocks".to_owned());
    }
    match &digest.previous {
        None if digest.sequence > 0 => return invalid("it names no digest before it, but is not the first".to_owned()),
        Some(_) if digest.sequence == 0 => return invalid("it is the first, but names a digest before it".to_owned()),
        Some(reference) => match DigestName::of_key(&reference.key) {
            None => return invalid(format!("what it names as the digest before it is none: {}", reference.key)),
            Some((_, name)) if !name.fits_signature(reference.signature_sha256) => {
                return invalid(format!(
                    "it names the digest before it with another signature's name: {}",
                    reference.key
                ));
            }
            Some(_) => {}
        },
        None => {}
    }
    if let Some(detail) = gap_contradiction(digest) {
        return invalid(detail);
    }
    let mut free_from = window.first_block;
    for object in &digest.objects {
        let key = &object.key;
        if object.first_block > object.last_block {
            return invalid(format!("an object ends before it begins: {key}"));
        }
        if object.first_block < window.first_block || object.last_block >= window.end_block {
            return invalid(format!("an object is not inside of its window: {key}"));
        }
        if object.first_block < free_from {
            return Some((BreakCode::Reordered, format!("an object overlaps the one before it or precedes it: {key}")));
        }
        let belongs = names::split_data_key(key, object.first_block, object.last_block)
            .and_then(|(prefix, _)| Place::new(object.bucket.clone(), prefix))
            .is_some_and(|place| place.configuration_id() == digest.configuration_id);
        if !belongs {
            return invalid(format!("an object's key is not the one of its blocks: {key}"));
        }
        if object.events == 0 || object.raw_length == 0 || object.stored_length == 0 {
            return invalid(format!("an object holds nothing: {key}"));
        }
        if object.oldest_event > object.newest_event {
            return invalid(format!("an object's oldest event is newer than its newest: {key}"));
        }
        // A skipped block may lie between the first and the last, but is neither.
        if digest.gaps.iter().any(|gap| gap.holds(object.first_block) || gap.holds(object.last_block)) {
            return invalid(format!("an object lies in a gap: {key}"));
        }
        free_from = object.last_block.next();
    }
    None
}

/// What makes no sense in a digest's gaps: they have to be in order, apart and inside of its window.
fn gap_contradiction(digest: &Digest) -> Option<String> {
    let window = digest.window;
    let mut free_from = BlockId::lowest_at(window.from);
    for Gap { from, to, block, .. } in &digest.gaps {
        if let Some(block) = *block {
            if block < window.first_block.max(free_from) || block >= window.end_block {
                return Some(format!("its skipped block {block} is not inside of its window, or lies in another gap"));
            }
            free_from = block.next();
        } else {
            if BlockId::lowest_at(*from) < free_from || to < from || *to > window.to {
                return Some(format!("its gap from {from} to {to} is not inside of its window, or overlaps another"));
            }
            free_from = BlockId::lowest_at(*to);
        }
    }
    None
}

async fn fetch<A: Archive + ?Sized>(archive: &A, listed: Listed) -> Result<Pair, ReadError> {
    let digest = if listed.has_digest {
        read_bounded(archive, &listed.name.file(), MAX_DIGEST_LENGTH).await?
    } else {
        File::Missing
    };
    let signature = if listed.has_signature {
        read_bounded(archive, &listed.name.signature_file(), MAX_SIGNATURE_LENGTH).await?
    } else {
        File::Missing
    };
    Ok(Pair { listed, digest, signature })
}

/// Reads a digest again that was proven before.
pub(crate) async fn read_again<A: Archive + ?Sized>(archive: &A, proven: ProvenDigest) -> Result<Digest, ReadError> {
    let name = proven.name.file();
    match read_bounded(archive, &name, MAX_DIGEST_LENGTH).await? {
        File::Read(bytes) if sha256(&bytes) == proven.sha256 => Digest::from_bytes(&bytes).ok(),
        _ => None,
    }
    .ok_or_else(|| ReadError::Unreadable(format!("{name} changed while it was being verified")))
}

async fn read_bounded<A: Archive + ?Sized>(archive: &A, name: &str, limit: u64) -> Result<File, ReadError> {
    let mut pieces = archive.read(name);
    let mut bytes = Vec::new();
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) if (bytes.len() + piece.len()) as u64 > limit => return Ok(File::TooLong),
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return Ok(File::Read(bytes)),
            Err(ReadError::NotFound) => return Ok(File::Missing),
            Err(error) => return Err(error),
        }
    }
}

/// What the S3 console makes for an empty folder; copies on disk don't have it.
pub(crate) fn is_folder_marker(name: &str, length: u64) -> bool {
    length == 0 && (name.is_empty() || name.ends_with('/'))
}

/// A list that is not in order would never end, or hide a file.
pub(crate) fn in_order(last: &mut Option<String>, name: &str) -> Result<(), ReadError> {
    if last.as_deref().is_some_and(|last| last >= name) {
        return Err(ReadError::Unreadable(format!("the list of files is not in order at {name}")));
    }
    *last = Some(name.to_owned());
    Ok(())
}

fn sha256(bytes: &[u8]) -> Hex32 {
    Hex32(Sha256::digest(bytes).into())
}
