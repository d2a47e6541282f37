//! Who may: the bearer token of a request, verified against the issuer's published keys.
//!
//! A token is a JSON Web Token (RFC 7519) signed with RS256 or ES256 by a key of the issuer's JSON Web Key Set (RFC 7517).
//! Which of the two is a matter of the key, never of the token's header (RFC 8725 section 3.1), and a token can't bring or
//! point to a key of its own.

mod authorization;
mod claims;
mod clock;
mod jwk;
mod jwks;
mod object;
mod settings;
mod verifier;

pub use authorization::{MAX_TOKEN_LENGTH_BYTES, authorization_header};
pub use claims::{Caller, MAX_SUBJECT_LENGTH, Permission};
pub use clock::Clock;
pub use jwk::{KeySet, KeySetError, MAX_KEYS, MIN_RSA_MODULUS_BITS};
pub use jwks::JwksLimits;
pub use settings::{KeySource, TokenSettings};
pub use verifier::{AccessError, TokenVerifier};
