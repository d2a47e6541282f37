//! Verifies offline that a delivered audit log is complete and unchanged, from its files and the public keys alone.
//!
//! The first pass walks the digests (see [`domain::digest`]) backwards from the newest: each must be signed by a known key
//! and be the one that the next digest names. The second pass reads the objects that they name in order, and compares them
//! with the list of files. The crate uses no AWS, clock or disk: files come through the port [`ExportFiles`].
//!
//! Memory stays flat: a summary of fixed size is kept of each digest, and objects are read as streams.

mod breaks;
mod chain;
mod content;
mod contradiction;
mod coverage;
mod examine;
mod export_files;
mod files;
mod keys;
mod names;
mod objects;
mod options;
mod origin;
mod pair;
mod place;
mod proven;
mod repair;
mod report;
mod text;
mod unknown_file;
mod verifier;
mod walk;

pub use breaks::{Break, BreakCode};
pub use chain::MAX_DIGEST_LENGTH;
pub use export_files::{Entry, ExportFiles, ReadError};
pub use keys::{InvalidPublicKey, MAX_PUBLIC_KEYS, PublicKeys};
pub use names::BESIDE;
pub use options::{MAX_CONCURRENCY, MAX_VERIFIER_SKEW, Options, Origin, Progress};
pub use origin::{ClaimedOrigin, claimed_origin_of};
pub use pair::MAX_SIGNATURE_LENGTH;
pub use place::{InvalidPlace, Place};
pub use proven::{ProvenObject, read_proven};
pub use repair::{RepairAdvice, RepairNeed, repairs_for};
pub use report::{
    Circumstances, DigestSummary, Elsewhere, Expectation, ExpectationSource, FilterUse, KeyUse, NamedFiles,
    ObjectSummary, Period, Report, SequenceRange, VerificationOutcome,
};
pub use verifier::verify;
