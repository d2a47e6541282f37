//! Visiting the files of a range: the objects of each window, its signature, and its digest.

use bytes::Bytes;
use domain::{
    configuration::ExportConfiguration,
    digest::{Digest, DigestObject, DigestReference, Hex32, InvalidDigest, SIGNATURE_SUFFIX},
    encoding::Encoding,
    export_run::{ExportState, SLICE},
    repair::{FileOutcome, FilePlace, Repair, RepairMode, RepairPosition, RepairStatus, UnrepairedReason},
    retention::RetentionHistory,
    time::Timestamp,
};
use host::Clock;

use super::{
    engine::{RepairEngine, RepairPorts},
    proof::proven_bytes,
};
use crate::{
    alarms::CONTENT_CHANGED,
    connection_test::ConnectionTest,
    ports::{
        CompletedWindows, ConfigurationStore, Connector, ContentType, Encoders, ObjectSink, PortError, RepairStore,
        SealedDigest,
    },
    retention::observe_retention,
    run::ExportEngine,
    upload::{Upload, UploadShape, Uploaded, upload},
};

/// The outcome of visiting files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WalkOutcome {
    Done,
    /// The slice is over, or a person has edited the configuration.
    Paused,
    /// Another function makes the format of the next window.
    Elsewhere,
    /// The configuration was deleted.
    NotWanted,
}

/// A repair that this process has claimed.
pub(super) struct Walk<'a, P: RepairPorts> {
    engine: &'a RepairEngine<'a, P>,
    configuration: &'a ExportConfiguration,
    pub(super) repair: Repair,
    /// The retentions under which blocks were written.
    retention: RetentionHistory,
    /// The end of the slice.
    pause_at: Timestamp,
    /// True if a file was done in this slice. A slice never ends before, so every slice makes progress.
    has_moved: bool,
}

/// A file of a completed window.
struct File<'a> {
    place: FilePlace,
    content: Content<'a>,
}

enum Content<'a> {
    /// An object, made of blocks.
    Object(&'a DigestObject),
    /// A digest or its signature, as it was sealed.
    Sealed { bytes: &'a Bytes, sha256: Hex32, content_type: ContentType },
}

/// A completed window: its digest, and the reference to it.
struct CompletedWindow {
    sequence: u64,
    sealed: SealedDigest,
    digest: Digest,
    reference: DigestReference,
}

impl<'a, P: RepairPorts> Walk<'a, P> {
    /// Stores that this process continues the repair, which fences out every other one.
    pub(super) async fn claim(
        engine: &'a RepairEngine<'a, P>,
        configuration: &'a ExportConfiguration,
        repair: Repair,
    ) -> Result<Self, PortError> {
        let ports = &engine.exports;
        let retention = observe_retention(ports.runs, ports.settings.retention, ports.clock).await?;
        let repair = Repair { status: RepairStatus::Running, ..repair }.advanced(ports.clock.now());
        engine.repairs.store_repair(&configuration.key, &repair).await?;
        let pause_at = ports.clock.now().saturating_add(SLICE).min(ports.deadline);
        Ok(Self { engine, configuration, repair, retention, pause_at, has_moved: false })
    }

    /// Stores the progress.
    pub(super) async fn store(&mut self) -> Result<(), PortError> {
        self.repair = self.repair.advanced(self.engine.exports.clock.now());
        self.engine.repairs.store_repair(&self.configuration.key, &self.repair).await?;
        self.has_moved = true;
        Ok(())
    }

    fn is_slice_over(&self) -> bool {
        self.has_moved && self.engine.exports.clock.now() >= self.pause_at
    }

    /// Tests the connection as a run does: a role that everybody may assume is not used for one tenant.
    pub(super) async fn test_connection_if_due(&self) -> Result<(), PortError> {
        let ExportEngine { configurations, connector, clock, .. } = self.engine.exports;
        ConnectionTest { configurations, connector, clock }.check_if_due(self.configuration).await
    }

    /// Visits the files of the range that are not done yet, in the order of their windows.
    pub(super) async fn visit_files(&mut self) -> Result<WalkOutcome, PortError> {
        let (windows, configuration) = (self.engine.windows, self.configuration);
        let key = &configuration.key;
        let sink = self.engine.exports.connector.connect(configuration, &configuration.destination).await?;
        let Some(state) = windows.state(key).await? else { return Ok(WalkOutcome::Done) };
        let first = match self.repair.position.sequence {
            Some(sequence) => sequence,
            None => self.find_first_window(&state).await?,
        };
        let mut following = None;
        for sequence in first..state.next_sequence {
            if self.is_slice_over() {
                return Ok(WalkOutcome::Paused);
            }
            let sealed = match following.take() {
                Some(read) => read,
                None => windows.sealed_digest(key, sequence).await?,
            };
            let reference = if sequence + 1 == state.next_sequence {
                state.head.clone().ok_or(UnrepairedReason::HistoryExpired)
            } else {
                let next = windows.sealed_digest(key, sequence + 1).await?;
                let reference = reference_in(next.as_ref())?;
                following = Some(next);
                reference
            };
            let window = match CompletedWindow::proven(sequence, sealed, reference)? {
                Ok(window) => window,
                Err(Unproven { place, reason }) => {
                    let record = windows.record(key, sequence).await?;
                    if record.is_some_and(|record| record.from >= self.repair.range.to) {
                        return Ok(WalkOutcome::Done);
                    }
                    if let (UnrepairedReason::ContentChanged, Some(place)) = (reason, &place) {
                        self.raise_alarm(place);
                    }
                    self.leave_window(sequence, place, reason).await?;
                    continue;
                }
            };
            let digest = &window.digest;
            if digest.window.from >= self.repair.range.to {
                return Ok(WalkOutcome::Done);
            }
            match self.configuration_now().await? {
                None => return Ok(WalkOutcome::NotWanted),
                Some(version) if version != configuration.version => return Ok(WalkOutcome::Paused),
                Some(_) => {}
            }
            if !self.engine.exports.encoders.makes(&digest.encoding()) {
                return Ok(WalkOutcome::Elsewhere);
            }
            if self.visit_window(&window, &sink).await? == WalkOutcome::Paused {
                return Ok(WalkOutcome::Paused);
            }
        }
        Ok(WalkOutcome::Done)
    }

    /// Returns the version of the configuration as it is now. `None`: it was deleted.
    async fn configuration_now(&self) -> Result<Option<u64>, PortError> {
        let current = self.engine.exports.configurations.load(&self.configuration.key).await?;
        Ok(current.map(|current| current.version))
    }

    /// Returns the sequence of the first window that ends after the start of the range. Windows are in the order of their
    /// times, and those without a record are older than all others.
    async fn find_first_window(&mut self, state: &ExportState) -> Result<u64, PortError> {
        let (windows, key, from) = (self.engine.windows, &self.configuration.key, self.repair.range.from);
        let (mut low, mut high) = (0, state.next_sequence);
        let mut starts_at = state.exported_through();
        while low < high {
            let middle = low + (high - low) / 2;
            match windows.record(key, middle).await? {
                Some(record) if record.to > from => {
                    high = middle;
                    starts_at = record.from;
                }
                Some(_) | None => low = middle + 1,
            }
        }
        if let Some(before) = low.checked_sub(1)
            && from < starts_at
        {
            self.leave_window(before, None, UnrepairedReason::HistoryExpired).await?;
        }
        Ok(low)
    }

    /// Notes that nothing of a window can be repaired, and continues with the next window.
    async fn leave_window(
        &mut self,
        sequence: u64,
        place: Option<FilePlace>,
        reason: UnrepairedReason,
    ) -> Result<(), PortError> {
        self.repair.count(sequence, place, FileOutcome::Unrepaired(reason));
        self.repair.position = RepairPosition { sequence: Some(sequence + 1), files: 0 };
        self.store().await
    }

    async fn visit_window(
        &mut self,
        window: &CompletedWindow,
        sink: &impl ObjectSink,
    ) -> Result<WalkOutcome, PortError> {
        let CompletedWindow { sequence, digest, .. } = window;
        let encoding = digest.encoding();
        let files = files_of(window);
        let count = files.len() as u64;
        let position = self.repair.position;
        let done = if position.sequence == Some(*sequence) { position.files } else { 0 };
        for (number, file) in (1_u64..).zip(files).filter(|(number, _)| *number > done) {
            if self.is_slice_over() {
                return Ok(WalkOutcome::Paused);
            }
            let outcome = self.repair_file(&file, &encoding, sink).await?;
            self.repair.count(*sequence, Some(file.place), outcome);
            self.repair.position = if number == count {
                RepairPosition { sequence: Some(sequence + 1), files: 0 }
            } else {
                RepairPosition { sequence: Some(*sequence), files: number }
            };
            self.store().await?;
        }
        Ok(WalkOutcome::Done)
    }

    async fn repair_file(
        &self,
        file: &File<'_>,
        encoding: &Encoding,
        sink: &impl ObjectSink,
    ) -> Result<FileOutcome, PortError> {
        let File { place, content } = file;
        let configuration = self.configuration;
        if !place.is_within(&configuration.destination, configuration.key.configuration_id) {
            return Ok(FileOutcome::Unrepaired(UnrepairedReason::OtherDestination));
        }
        let (bytes, sha256, content_type) = match content {
            Content::Object(object) => {
                let ExportEngine { blocks, encoders, .. } = self.engine.exports;
                let tenant = &configuration.key.tenant_id;
                let proven = proven_bytes(blocks, encoders, encoding, tenant, object).await?;
                let Some(bytes) = proven else { return Ok(FileOutcome::Unrepaired(self.reason_of(place, object))) };
                (bytes, object.sha256, ContentType::of(encoding.format))
            }
            Content::Sealed { bytes, sha256, content_type } => ((*bytes).clone(), *sha256, *content_type),
        };
        let shape = match self.repair.mode {
            RepairMode::Missing => UploadShape::Single,
            RepairMode::Overwrite => UploadShape::Replacing,
        };
        let object = Upload { key: &place.key, bytes, sha256: sha256.0, shape, content_type };
        match upload(sink, self.engine.exports.clock, &object).await? {
            Uploaded::Written => Ok(FileOutcome::Repaired),
            Uploaded::Existed { .. } => Ok(FileOutcome::Present),
        }
    }

    /// Returns the reason why the blocks don't make an object any more.
    fn reason_of(&self, place: &FilePlace, object: &DigestObject) -> UnrepairedReason {
        let ports = &self.engine.exports;
        let kept_since = ports.clock.now().saturating_sub(ports.settings.grace);
        let floor = self.retention.floor(kept_since, ports.settings.deploy_margin);
        if object.first_block.timestamp() < floor {
            return UnrepairedReason::PastRetention;
        }
        self.raise_alarm(place);
        UnrepairedReason::ContentChanged
    }

    fn raise_alarm(&self, place: &FilePlace) {
        let key = &self.configuration.key;
        tracing::error!(tenant = %key.tenant_id, configuration = %key.configuration_id, object_key = place.key,
            alarm = CONTENT_CHANGED, "what is stored no longer makes the bytes that were delivered and signed");
    }
}

/// A window of which nothing proves the objects.
struct Unproven {
    place: Option<FilePlace>,
    reason: UnrepairedReason,
}

impl CompletedWindow {
    /// Returns the window if its digest is the one that `reference` is of.
    fn proven(
        sequence: u64,
        sealed: Option<SealedDigest>,
        reference: Result<DigestReference, UnrepairedReason>,
    ) -> Result<Result<Self, Unproven>, PortError> {
        let Some(sealed) = sealed else {
            return Ok(Err(Unproven { place: None, reason: UnrepairedReason::HistoryExpired }));
        };
        let reference = match reference {
            Ok(reference) => reference,
            Err(reason) => return Ok(Err(Unproven { place: None, reason })),
        };
        // The hash first: what is damaged may be no digest at all.
        if is_referenced(&sealed, &reference)
            && let Some(digest) = parse(&sealed)?
        {
            return Ok(Ok(Self { sequence, sealed, digest, reference }));
        }
        let place = FilePlace { bucket: reference.bucket, key: reference.key };
        Ok(Err(Unproven { place: Some(place), reason: UnrepairedReason::ContentChanged }))
    }
}

/// Returns the reference that the next digest has, or the reason why there is none.
fn reference_in(next: Option<&SealedDigest>) -> Result<Result<DigestReference, UnrepairedReason>, PortError> {
    let Some(next) = next else { return Ok(Err(UnrepairedReason::HistoryExpired)) };
    Ok(match parse(next)? {
        Some(next) => next.previous.ok_or(UnrepairedReason::HistoryExpired),
        // Its own turn comes next, with the alarm.
        None => Err(UnrepairedReason::ContentChanged),
    })
}

/// Returns the digest. `None`: the bytes are damaged. A version that this program doesn't know is an internal error, until a
/// program that does is back.
fn parse(sealed: &SealedDigest) -> Result<Option<Digest>, PortError> {
    match Digest::from_bytes(&sealed.bytes) {
        Ok(digest) => Ok(Some(digest)),
        Err(error @ InvalidDigest::UnknownVersion(_)) => Err(PortError::internal_from("read digest", error)),
        Err(_) => Ok(None),
    }
}

fn is_referenced(sealed: &SealedDigest, reference: &DigestReference) -> bool {
    (Hex32::sha256_of(&sealed.bytes), Hex32::sha256_of(&sealed.signature))
        == (reference.sha256, reference.signature_sha256)
}

/// Returns the files of a window in the order in which they were delivered: the objects, the signature, the digest.
fn files_of(window: &CompletedWindow) -> Vec<File<'_>> {
    let objects = window.digest.objects.iter().map(|object| File {
        place: FilePlace { bucket: object.bucket.clone(), key: object.key.clone() },
        content: Content::Object(object),
    });
    let DigestReference { bucket, key, sha256, signature_sha256 } = &window.reference;
    let SealedDigest { bytes, signature, .. } = &window.sealed;
    let file = |key, bytes, sha256, content_type| File {
        place: FilePlace { bucket: bucket.clone(), key },
        content: Content::Sealed { bytes, sha256, content_type },
    };
    let sealed = [
        file(format!("{key}{SIGNATURE_SUFFIX}"), signature, *signature_sha256, ContentType::Binary),
        file(key.clone(), bytes, *sha256, ContentType::Json),
    ];
    objects.chain(sealed).collect()
}
