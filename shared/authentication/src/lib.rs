//! Authentication of requests by their bearer tokens.
//!
//! A token is a JSON Web Token (RFC 7519) signed with RS256, PS256, ES256, ES384 or Ed25519 by a key of its issuer's JSON
//! Web Key Set (RFC 7517). The key decides on the algorithm, never the token's header (RFC 8725 section 3.1), and a
//! token can't carry or reference a key.

mod access_error;
mod authenticator;
mod authorization;
mod claim_path;
mod claims;
mod discovery;
mod issuer;
mod issuer_list;
mod key_set;
mod key_source;
mod permission;
mod refusal;
mod remote_keys;
mod settings;
mod unique_json;

pub use access_error::{AccessError, TokenFault};
pub use authenticator::Authenticator;
pub use authorization::{MAX_TOKEN_LENGTH_BYTES, authorization_header};
pub use claim_path::{ClaimPath, InvalidClaimPath, MAX_CLAIM_DEPTH, MAX_CLAIM_PATH_LENGTH};
pub use claims::{Caller, MAX_SUBJECT_LENGTH};
pub use issuer::{
    AllowedTenants, IssuerSettings, Issuers, IssuersError, MAX_AUDIENCES, MAX_ISSUERS, MAX_NAME_LENGTH,
    MAX_PERMISSION_CLAIMS, PermissionRule, TenantPrefix, TenantRule,
};
pub use key_set::{KeySet, KeySetError, MAX_KEYS, MIN_RSA_MODULUS_BITS};
pub use key_source::KeySource;
pub use permission::Permission;
pub use remote_keys::JwksLimits;
