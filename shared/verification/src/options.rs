//! The options of a verification, and the progress that it reports.

use std::time::Duration;

use domain::{configuration::ConfigurationId, time::Timestamp};

use crate::{keys::PublicKeys, place::Place, report::Expectation};

/// The most files that are read at the same time.
pub const MAX_CONCURRENCY: usize = 64;

/// The most that the clock of the machine that verifies may be behind the service's. No export has a file whose name has a later
/// time.
pub const MAX_VERIFIER_SKEW: Duration = Duration::from_mins(15);

/// The origin of the verified files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The bucket that the export is written to.
    Bucket,
    /// Another bucket that the export was copied to, which may be older than the export.
    Replica,
    /// A copy on disk, which may be older too, and may hold files that an operating system created.
    Copy,
}

/// The options of a verification.
#[derive(Clone, Debug)]
pub struct Options {
    pub keys: PublicKeys,
    /// The place that the digests have to name. `None`: the place that the newest digest names, for a copy of unknown origin.
    pub place: Option<Place>,
    /// The configuration of a copy whose place is unknown.
    pub configuration_id: Option<ConfigurationId>,
    /// Also inflates every object and compares CRC-32, length and number of events.
    pub deep: bool,
    /// The number of files that are read at the same time; kept between 1 and [`MAX_CONCURRENCY`].
    pub concurrency: usize,
    /// Stops at the digest whose window holds this time; older ones are not checked.
    pub since: Option<Timestamp>,
    /// Counts an export as broken unless all of it, from the first digest of the configuration on, is linked here.
    pub whole_required: bool,
    /// Counts an export as broken if it has files that no proven digest names.
    pub proven_required: bool,
    pub origin: Origin,
    pub expectation: Expectation,
}

impl Options {
    #[must_use]
    pub fn new(keys: PublicKeys) -> Self {
        Self {
            keys,
            place: None,
            configuration_id: None,
            deep: false,
            concurrency: 8,
            since: None,
            whole_required: false,
            proven_required: false,
            origin: Origin::Bucket,
            expectation: Expectation::default(),
        }
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency.clamp(1, MAX_CONCURRENCY)
    }
}

/// A step of a verification, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    DigestsListed {
        count: u64,
    },
    DigestChecked,
    ObjectsCounted {
        count: u64,
        stored_bytes: u64,
    },
    BytesRead {
        count: u64,
    },
    ObjectChecked,
    /// The object matches its digest. Reported in the order of the names.
    ObjectProven {
        name: &'a str,
    },
}
