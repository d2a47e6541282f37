//! The first pass: walks the digests backwards from the newest, and proves each.

use domain::{
    block::BlockId,
    digest::{DIGEST_FOLDER, Digest, DigestReference, Hex32},
    export_format::ExportFormat,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    breaks::{Break, BreakCode},
    chain::{Before, Chain, Lake, MAX_DIGESTS, ProvenDigest},
    examine::{Identity, examine},
    export_files::{Entry, ExportFiles, ReadError},
    files::{BoundedFile, check_order, is_folder_marker},
    names::{DigestName, LakeName},
    options::{MAX_VERIFIER_SKEW, Options, Progress},
    pair::{Listed, Pair},
    place::Place,
    report::{FilterUse, FoundBreaks, KeyUse, MAX_LISTED, Report},
    unknown_file::{self, UnknownFile},
};

/// The detail of the break of a file among the digests that is neither a digest nor a signature.
const UNKNOWN_NAME_DETAIL: &str = "its name is neither a digest's nor a signature's";

/// The advice on a digest or signature outside of the chain.
const STRAY_ADVICE: &str = "another file is the proven digest of this sequence: this one was not written by the service. \
                            Find out who wrote it, and who may write here, then remove it";

/// A signature without a digest.
struct EarlySignature {
    name: DigestName,
    /// True if the name is derived from these bytes.
    fits_name: bool,
}

/// The previous digest, as the one after it names it.
#[derive(Clone, Debug)]
struct Link {
    reference: DigestReference,
    name: DigestName,
    is_here: bool,
}

/// The digest that was proven last. The walk continues with the one before it.
struct Upper {
    sequence: u64,
    first_block: BlockId,
    previous: Option<Link>,
}

/// The walk along the digests.
pub(crate) struct Walk<'a, F: ExportFiles + ?Sized> {
    export: &'a F,
    options: &'a Options,
    progress: &'a dyn Fn(Progress<'_>),
    report: &'a mut Report,
    place: Option<Place>,
    identity: Identity,
    /// The newest first.
    digests: Vec<ProvenDigest>,
    references_here: u64,
    has_classes: bool,
    lake: Option<Lake>,
    /// Signatures after the newest digest: a run writes a signature before its digest.
    early_signatures: Vec<EarlySignature>,
}

impl<'a, F: ExportFiles + ?Sized> Walk<'a, F> {
    pub(crate) fn new(
        export: &'a F,
        options: &'a Options,
        progress: &'a dyn Fn(Progress<'_>),
        report: &'a mut Report,
    ) -> Self {
        Self {
            export,
            options,
            progress,
            report,
            place: options.place.clone(),
            identity: Identity {
                configuration_id: options.place.as_ref().map(Place::configuration_id).or(options.configuration_id),
                tenant_id: None,
            },
            digests: Vec::new(),
            references_here: 0,
            has_classes: false,
            lake: None,
            early_signatures: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self) -> Result<Chain, ReadError> {
        let (listed, unknown) = self.list().await?;
        let count = listed.iter().filter(|listed| listed.has_digest).count();
        (self.progress)(Progress::DigestsListed { count: count as u64 });
        if count == 0 {
            let detail = "nothing was exported here yet, or the digests were removed";
            self.report.push(Break::of_export(BreakCode::NoDigests, detail));
        } else {
            self.walk(&listed).await?;
        }
        self.report.push_all(unknown);
        self.digests.reverse();
        self.report.tenant_id = self.identity.tenant_id;
        self.report.configuration_id = self.identity.configuration_id;
        self.report.place.clone_from(&self.place);
        Ok(Chain {
            digests: self.digests,
            place: self.place,
            has_classes: self.has_classes,
            lake: self.lake,
            references_here: self.references_here,
        })
    }

    /// Lists the names of digests and signatures in ascending order, and the breaks of names that are neither.
    async fn list(&mut self) -> Result<(Vec<Listed>, FoundBreaks), ReadError> {
        let mut listed: Vec<Listed> = Vec::new();
        let mut unknown = FoundBreaks::default();
        let mut last_name = None;
        let mut entries = self.export.list(DIGEST_FOLDER);
        while let Some(Entry { name: file, length }) = entries.try_next().await? {
            check_order(&mut last_name, &file)?;
            let (name, is_signature) = match (DigestName::parse(&file), DigestName::parse_signature(&file)) {
                (Some(name), _) => (name, false),
                (None, Some(name)) => (name, true),
                (None, None) => {
                    if !is_folder_marker(&file, length) {
                        match unknown_file::classify(self.options, file, UNKNOWN_NAME_DETAIL) {
                            UnknownFile::Harmless(file) => self.report.system_files.add(file),
                            UnknownFile::Broken(broken) => unknown.add(broken),
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
        Ok((listed, unknown))
    }

    async fn walk(&mut self, listed: &[Listed]) -> Result<(), ReadError> {
        let export = self.export;
        let mut pairs = stream::iter(listed.iter().rev().copied())
            .map(|listed| Pair::read(export, listed))
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
            Some(link) if link.is_here => self.report_missing(&link),
            Some(link) => self.report_elsewhere(link),
            None => {}
        }
        self.classify_early_signatures();
        self.advise_on_strays();
        Ok(())
    }

    fn examine(&self, pair: &Pair, expected: Option<&DigestReference>) -> Result<Digest, Break> {
        examine(pair, expected, &self.options.keys, &self.identity)
    }

    fn reaches_back_far_enough(&self) -> bool {
        let Some((since, oldest)) = self.options.since.zip(self.digests.last()) else { return false };
        oldest.first_block.timestamp() <= since
    }

    /// Examines the next digest below `upper`. Returns the `upper` of the digest after that.
    fn step(&mut self, upper: Option<Upper>, pair: &Pair) -> Option<Upper> {
        let name = pair.name;
        let Some(upper) = upper else { return self.begin_stretch(pair) };
        match &upper.previous {
            Some(link) if link.name == name => {
                if matches!(pair.digest, BoundedFile::Missing) {
                    self.report_missing(link);
                    return None;
                }
                let digest = match self.examine(pair, Some(&link.reference)) {
                    Ok(digest) => digest,
                    Err(broken) => {
                        self.report.push(broken);
                        return None;
                    }
                };
                self.check_junction(name, &digest, &upper);
                self.link_above();
                Some(self.prove(name, &digest, link.reference.sha256))
            }
            // Before the first digest of the configuration, or at a place of the chain that belongs to another digest. The
            // order of names that differ in the tag alone means nothing.
            None => {
                self.report_stray(pair);
                Some(upper)
            }
            Some(link)
                if name.window() >= link.name.window() || (!link.is_here && name.sequence >= link.name.sequence) =>
            {
                self.report_stray(pair);
                Some(upper)
            }
            Some(link) if link.is_here => {
                self.report_missing(link);
                self.begin_stretch(pair)
            }
            Some(link) => {
                self.report_elsewhere(link.clone());
                self.begin_stretch(pair)
            }
        }
    }

    /// Examines a digest to which no later one links: the newest of all, or the newest below a missing one.
    fn begin_stretch(&mut self, pair: &Pair) -> Option<Upper> {
        if matches!(pair.digest, BoundedFile::Missing) {
            if self.digests.is_empty() {
                let name = pair.name;
                let fits_name =
                    matches!(&pair.signature, BoundedFile::Read(bytes) if name.fits_signature(Hex32::sha256_of(bytes)));
                self.early_signatures.push(EarlySignature { name, fits_name });
            } else {
                self.report_stray(pair);
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
            let detail = format!(
                "its window ends after block {}, where digest {} begins",
                above.first_block, above.name.sequence
            );
            self.report.push(Break::of_digest(BreakCode::WindowGap, pair.name, detail));
        }
        self.report.digests.stretches += 1;
        let BoundedFile::Read(bytes) = &pair.digest else { return None };
        Some(self.prove(pair.name, &digest, Hex32::sha256_of(bytes)))
    }

    /// Adds a digest whose signature, link and statement are valid.
    fn prove(&mut self, name: DigestName, digest: &Digest, sha256: Hex32) -> Upper {
        if self.place.is_none() {
            self.place = Place::inferred_from(digest);
        }
        self.identity.configuration_id.get_or_insert(digest.configuration_id);
        self.identity.tenant_id.get_or_insert_with(|| digest.tenant_id.clone());
        let place = self.place.as_ref();
        let previous = digest.previous.as_ref().and_then(|reference| {
            let (_, name) = DigestName::of_key(&reference.key)?;
            let is_here = Place::of_reference(reference).is_some_and(|named| place == Some(&named));
            Some(Link { reference: reference.clone(), name, is_here })
        });
        let objects_here =
            digest.objects.iter().filter(|object| place.is_some_and(|place| place.holds_object(object))).count();
        let lake = || {
            let object = digest.objects.iter().find(|object| place.is_some_and(|place| place.holds_object(object)))?;
            LakeName::of_key(&object.key).map(|(_, name)| Lake::of(name))
        };
        self.has_classes |= digest.format() == ExportFormat::OcsfParquet;
        if self.lake.is_none() && digest.format() == ExportFormat::OcsfParquet {
            self.lake = lake();
        }
        self.references_here += u64::from(previous.as_ref().is_some_and(|link| link.is_here)) + objects_here as u64;
        let before = if previous.is_some() { Before::Unknown } else { Before::Nothing };
        let (first_block, end_block) = (digest.window.first_block, digest.window.end_block);
        let names_one_place = names_one_place(digest);
        let format = (objects_here > 0).then(|| digest.format());
        self.digests.push(ProvenDigest { name, sha256, first_block, end_block, before, names_one_place, format });
        self.count(digest, sha256);
        Upper { sequence: digest.sequence, first_block, previous }
    }

    /// Links the digest that was proven last to the one that is about to be.
    fn link_above(&mut self) {
        if let Some(above) = self.digests.last_mut() {
            above.before = Before::Linked;
        }
    }

    /// Adds a digest to the sums of the report.
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
        self.count_filter(digest);
        let keys = &mut self.report.signing_keys;
        match keys.iter_mut().find(|key| key.fingerprint == digest.signing_key) {
            Some(key) => {
                key.digests += 1;
                key.first_sequence = sequence;
            }
            // Bounded by the number of public keys that were given.
            None => keys.push(KeyUse {
                fingerprint: digest.signing_key,
                digests: 1,
                first_sequence: sequence,
                last_sequence: sequence,
            }),
        }
    }

    fn count_filter(&mut self, digest: &Digest) {
        let (Some(filter), Some(sha256), Some(left_out)) = (&digest.filter, digest.filter_sha256, digest.left_out)
        else {
            return;
        };
        let summary = &mut self.report.digests;
        summary.left_out = summary.left_out.saturating_add(left_out);
        let filters = &mut self.report.filters;
        let has_room = filters.len() < MAX_LISTED;
        match filters.iter_mut().find(|known| known.sha256 == sha256) {
            Some(known) => {
                known.digests += 1;
                known.first_sequence = digest.sequence;
                known.left_out = known.left_out.saturating_add(left_out);
            }
            None if !has_room => self.report.unlisted_filters += 1,
            None => filters.push(FilterUse {
                filter: filter.clone(),
                sha256,
                digests: 1,
                first_sequence: digest.sequence,
                last_sequence: digest.sequence,
                left_out,
            }),
        }
    }

    /// Checks that two linked digests meet.
    fn check_junction(&mut self, name: DigestName, digest: &Digest, upper: &Upper) {
        if digest.sequence.checked_add(1) != Some(upper.sequence) {
            let detail = format!("digest {} names it as its previous one", upper.sequence);
            self.report.push(Break::of_digest(BreakCode::WindowGap, name, detail));
        } else if digest.window.end_block != upper.first_block {
            let detail = format!(
                "it ends before block {}, and digest {} begins with block {}",
                digest.window.end_block, upper.sequence, upper.first_block
            );
            self.report.push(Break::of_digest(BreakCode::WindowGap, name, detail));
        }
    }

    /// Reports a digest that no digest of the chain names.
    fn report_stray(&mut self, pair: &Pair) {
        let broken = if matches!(pair.digest, BoundedFile::Missing) {
            Break::of_digest(BreakCode::MissingDigest, pair.name, "only its signature exists")
        } else {
            match self.examine(pair, None) {
                Err(broken) => broken,
                Ok(_) => Break::of_digest(BreakCode::ForkedChain, pair.name, "no digest of the chain names it"),
            }
        };
        self.report.push(broken);
    }

    fn report_missing(&mut self, link: &Link) {
        let detail = format!("the next digest names it with SHA-256 {}", link.reference.sha256);
        self.report.push(Break::of_digest(BreakCode::MissingDigest, link.name, detail));
    }

    fn report_elsewhere(&mut self, link: Link) {
        let elsewhere = &mut self.report.elsewhere;
        elsewhere.digest_count += 1;
        if elsewhere.digests.len() < MAX_LISTED {
            elsewhere.digests.push(link.reference);
        }
    }

    /// Classifies signatures without a digest. The one after the newest digest may belong to a run in progress, because a
    /// run writes the signature first. A digest is signed once, so at most one of several is valid.
    fn classify_early_signatures(&mut self) {
        let next = self.digests.first().and_then(|newest| newest.name.sequence.checked_add(1));
        let signatures = std::mem::take(&mut self.early_signatures);
        let candidates = signatures.iter().filter(|signature| Some(signature.name.sequence) == next).count();
        let latest = self.report.circumstances.verified_at.saturating_add(MAX_VERIFIER_SKEW);
        for EarlySignature { name, fits_name } in signatures {
            let (code, detail) = if Some(name.sequence) != next {
                (BreakCode::MissingDigest, "only its signature exists".to_owned())
            } else if name.to > latest {
                let detail = "only its signature exists, and its time is after this machine's clock";
                (BreakCode::MissingDigest, detail.to_owned())
            } else if !fits_name {
                (BreakCode::BadSignature, "its name does not match the signature".to_owned())
            } else if candidates > 1 {
                let detail = format!("only its signature exists, and there are {candidates} of this sequence");
                (BreakCode::MissingDigest, detail)
            } else {
                self.report.pending.add(name.signature_file());
                continue;
            };
            self.report.push(Break::of_digest(code, name, detail));
        }
    }

    /// Adds the advice to the breaks of files beside a proven digest of the same sequence.
    fn advise_on_strays(&mut self) {
        for broken in &mut self.report.breaks {
            let (Some(sequence), Some(file)) = (broken.sequence, &broken.file) else { continue };
            let proven = self.digests.iter().find(|digest| digest.name.sequence == sequence);
            if proven.is_some_and(|digest| digest.name.file() != *file) {
                broken.detail = format!("{}; {STRAY_ADVICE}", broken.detail);
            }
        }
    }
}

/// Returns whether the previous digest and all objects, if there are any, are in one place.
fn names_one_place(digest: &Digest) -> bool {
    let previous = digest.previous.as_ref().and_then(Place::of_reference);
    previous.is_some_and(|place| digest.objects.iter().all(|object| place.holds_object(object)))
}
