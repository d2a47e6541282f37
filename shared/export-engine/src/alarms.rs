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
