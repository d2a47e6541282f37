//! The explanation of an error code.

/// The meaning of an error code, and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// One sentence on what happened.
    pub meaning: &'static str,
    /// One or more sentences on what to do.
    pub remedy: &'static str,
}
