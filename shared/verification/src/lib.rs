//! Whether a delivered audit log is complete and unchanged, found out from its files and the public keys alone.
//!
//! The digests (see [`domain::digest`]) are walked backwards from the newest: each must be signed by a known key and be
//! the one that its successor names. Then the objects that they name are read in order and compared with the list of what
//! is there. Nothing in here knows AWS, a clock or a disk: files come through the port [`Archive`], whatever their origin.
//!
//! Memory stays flat: of each digest a summary of fixed size is kept, and objects are read as streams.

mod archive;
mod breaks;
mod chain;
mod keys;
mod names;
mod objects;
mod place;
mod report;
mod text;
mod verifier;

pub use archive::{Archive, Entry, ReadError};
pub use breaks::{Break, BreakCode};
pub use chain::{ClaimedOrigin, claimed_origin_of};
pub use keys::{InvalidPublicKey, MAX_PUBLIC_KEYS, PublicKeys};
pub use place::{InvalidPlace, Place};
pub use report::{
    Circumstances, DigestSummary, Elsewhere, Expectation, ExpectationSource, KeyUse, NamedFiles, ObjectSummary, Period,
    Report, SequenceRange, Verdict,
};
pub use verifier::{MAX_CLOCK_SKEW, MAX_CONCURRENCY, Options, Origin, Progress, verify};
