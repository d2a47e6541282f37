//! The outcome of a history.

/// The outcome of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryOutcome {
    /// Broken promises; none in a good history.
    pub violations: Vec<String>,
    pub blocks: usize,
    pub objects: usize,
    /// Those that hold the records of one class of OCSF.
    pub of_classes: usize,
    pub digests: usize,
    /// Events that filters left out.
    pub left_out: u64,
    pub runs: u64,
    pub crashes: u64,
    /// Lost or altered files that repairs wrote again.
    pub repaired: u64,
    /// Files that the last repairs could not write.
    pub unrepaired: u64,
    /// Blocks that were read from the archive.
    pub archived: u64,
    /// Segments that erasures deleted.
    pub erased: u64,
}
