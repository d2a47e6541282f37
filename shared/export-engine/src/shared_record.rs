//! Records that all processes change.

/// The number of times that a process tries to change a shared record before it gives up to others that changed it first.
pub(crate) const MAX_CHANGE_ATTEMPTS: u32 = 4;
