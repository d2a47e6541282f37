//! Values of the field `alarm` of log lines. Metric filters of the template read them.

/// Events are past their retention and in no export.
pub(crate) const RETENTION_GAP: &str = "RETENTION_GAP";

/// The stored events no longer make the bytes of a signed digest, within the time for which they are kept.
pub(crate) const CONTENT_CHANGED: &str = "CONTENT_CHANGED";

/// The previous run was killed, or paused for longer than a lease lasts.
pub(crate) const RUN_CRASHED: &str = "RUN_CRASHED";

/// The last working export of a tenant to an account was disabled, deleted or moved.
pub(crate) const LAST_EXPORT_STOPPED: &str = "LAST_EXPORT_STOPPED";

/// An object existed that no request of the service can have written.
pub(crate) const UNEXPECTED_OBJECT: &str = "UNEXPECTED_OBJECT";

/// Blocks are neither archived nor rescued in time: they may be deleted soon, or are.
pub(crate) const ARCHIVE_BEHIND: &str = "ARCHIVE_BEHIND";

/// A segment of the archive, or the reference to one, is gone, was changed, or is in another bucket than the stack's.
pub(crate) const ARCHIVE_DAMAGED: &str = "ARCHIVE_DAMAGED";

/// A block of the table differs from what was written.
pub(crate) const CORRUPT_BLOCK: &str = "CORRUPT_BLOCK";

/// A run, a repair or the run of a replay failed for a reason of the service.
pub(crate) const RUN_FAILED: &str = "RUN_FAILED";

/// The value of the field `code`, beside [`ARCHIVE_DAMAGED`], if the segments are in another bucket than the stack's.
pub(crate) const FOREIGN_BUCKET: &str = "FOREIGN_BUCKET";
