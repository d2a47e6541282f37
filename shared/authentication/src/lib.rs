//! Authentication of requests by their bearer tokens.
//!
//! A token is a JSON Web Token (RFC 7519) signed with RS256 or ES256 by a key of the issuer's JSON Web Key Set (RFC
//! 7517). The key decides on the algorithm, never the token's header (RFC 8725 section 3.1), and a token can't carry or
//! reference a key.

mod access_error;
mod authenticator;
mod authorization;
mod claims;
mod key_set;
mod refusal;
mod remote_keys;
mod settings;

pub use access_error::AccessError;
pub use authenticator::Authenticator;
pub use authorization::{MAX_TOKEN_LENGTH_BYTES, authorization_header};
pub use claims::{Caller, MAX_SUBJECT_LENGTH, Permission};
pub use key_set::{KeySet, KeySetError, MAX_KEYS, MIN_RSA_MODULUS_BITS};
pub use remote_keys::JwksLimits;
pub use settings::{KeySource, TokenSettings};
