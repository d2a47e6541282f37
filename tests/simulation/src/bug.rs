//! Known bugs that can be switched on, to prove that the simulation catches them.

use clap::ValueEnum;

/// A mistake that an export engine could make. Each is made where the engine meets the world, in the simulated ports, so
/// that the engine itself has no switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KnownBug {
    /// The cursor moves when a window is begun, not when it is in the bucket.
    CursorBeforeUpload,
    /// Writes under an old lease are carried out.
    NoFencing,
    /// A slot is exported at its boundary, while writes of before it are still landing.
    SettleOfZero,
    /// A retry makes its own window instead of the one that was begun.
    WindowNotStored,
    /// A retry makes its own plan, with the sizes of whatever is deployed now.
    PlanNotStored,
    /// A retry encodes as whatever is deployed now does, not as the plan says.
    EncoderNotStored,
    /// The checkpoint is stored with the intent, before the object is in the bucket.
    CheckpointBeforeCompletion,
    /// A run that goes on skips the first page of what is left.
    ContinuationSkipsPage,
    /// Readers merge fewer shards than are written to.
    FewerShardsRead,
    /// A retry signs its digest again.
    DigestSignedAgain,
    /// Objects are written without having been announced.
    NoIntent,
    /// What is past its retention is whatever happens to be deleted, instead of what the window says.
    RetentionByDeletion,
    /// The retention of now counts for all blocks, whatever it was when they were written.
    RetentionHistoryForgotten,
    /// A run that fails for longer than the retention records no loss.
    LossNotRecorded,
    /// A run that ends refused doesn't look at what was asked for meanwhile.
    NoteForgotten,
    /// A block that was found corrupt is forgotten, so that its item can be deleted unseen.
    CorruptBlockForgotten,
    /// Nobody looks whether a Region answers.
    CircuitForgotten,
    /// A message is deleted because another run holds the lease, although that one works on the same message.
    OnlyMessageDeleted,
    /// The intents of a window may expire before it is completed.
    IntentsExpireEarly,
    /// A corrupt block is left out by a window whose digest doesn't say so.
    SkipNotStored,
}
