//! Known bugs that can be enabled, to prove that the simulation catches them.

use clap::ValueEnum;

/// A mistake that an export engine could make. The simulated ports make it, so that the engine itself has no switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KnownBug {
    /// The cursor moves when a window begins, not when it is in the bucket.
    CursorBeforeUpload,
    /// Writes under an old lease are carried out.
    NoFencing,
    /// A slot is exported at its boundary, while earlier writes are still in flight.
    SettleOfZero,
    /// A retry makes a new window instead of resuming the open one.
    WindowNotStored,
    /// A retry makes a new plan with the sizes of its release.
    PlanNotStored,
    /// A retry uses the encoder of its release instead of that of the plan.
    EncoderNotStored,
    /// A retry uses the format of the configuration instead of that of the plan.
    FormatNotStored,
    /// A retry uses the filter of the configuration instead of that of the plan.
    FilterNotStored,
    /// A retry uses the choices of OCSF of the configuration instead of those of the plan.
    OcsfNotStored,
    /// Of the objects of the same blocks, only that of the first class is announced.
    IntentPerBatch,
    /// The checkpoint is stored after the first of the objects of the same blocks, so that those of other classes are never
    /// written and miss in the digest.
    CheckpointPerObject,
    /// The checkpoint is stored with the intent, before the object is in the bucket.
    CheckpointBeforeCompletion,
    /// A resumed run skips the first page of the rest.
    ContinuationSkipsPage,
    /// Readers merge fewer shards than ingest writes to.
    FewerShardsRead,
    /// A retry signs its digest again.
    DigestSignedAgain,
    /// Objects are written without an intent.
    NoIntent,
    /// The gap of a window is what time to live has deleted, instead of what is past its retention.
    RetentionByDeletion,
    /// The current retention applies to all blocks, instead of that in force when they were written.
    RetentionHistoryForgotten,
    /// A run that fails for longer than the retention records no loss.
    LossNotRecorded,
    /// A refused run ignores the reruns that were requested meanwhile.
    NoteForgotten,
    /// A corrupt block is not recorded, so that its item can be deleted unnoticed.
    CorruptBlockForgotten,
    /// Regions have no circuits.
    CircuitForgotten,
    /// A message is deleted because another run holds the lease, even if that run works on the same message.
    OnlyMessageDeleted,
    /// The intents of a window may expire before it is completed.
    IntentsExpireEarly,
    /// A replay reports its progress to the configuration whose period it exports again.
    ReplayReportsToConfiguration,
    /// A replay works with the state of the configuration whose period it exports again.
    ReplayStateShared,
    /// A window skips a corrupt block without a gap in its digest.
    SkipNotStored,
    /// A repair compares the bytes with what is stored now, instead of with the signed digest.
    RepairNotProven,
    /// A repair that continues skips the file at which it stopped.
    RepairPlaceLost,
    /// Progress of a repair under an old revision is stored.
    RepairNotFenced,
    /// A repair takes an edited connection for a tested one.
    RepairNotTested,
    /// The boundary between archive and table moves between the pages of different shards.
    ArchiveBoundaryMoves,
    /// A segment counts that was put and not read back.
    SegmentNotReadBack,
    /// Blocks get the short expiry without a registry row.
    ExpiryWithoutRow,
    /// Nobody extends the expiry of blocks that are not archived in time.
    RescueMissing,
    /// A rescue that comes too late says that all blocks are there.
    LateRescueOpensGate,
    /// A reference that is missing counts as expired although its blocks are not.
    LostReferenceExpires,
    /// Nobody looks for segments that a row does not count.
    LostRowHidesArchive,
    /// Nobody compares the bucket of a row with the stack's.
    ForeignBucketIgnored,
    /// The archive of a tenant moves whatever another archiver has done since.
    ArchiveMovesUnconditionally,
    /// An erasure deletes the events before the configurations, so that runs deliver what is left.
    ErasureBeginsWithEvents,
    /// An erasure is not repeated an hour later, so that what was in progress is left.
    ErasureNotRepeated,
    /// An erasure leaves the registry row as it is, which names segments that are gone.
    ErasureKeepsRow,
    /// An erasure deletes the segments that references name, and leaves those of archivers that died.
    ErasureByReference,
}
