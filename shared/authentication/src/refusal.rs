//! The reasons for refusing a token.

use crate::access_error::TokenFault;

/// The reason why a token is refused. It is logged; the caller learns its [`fault`](Refusal::fault).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no bearer token")]
    NoToken,
    #[error("token too long")]
    TooLong,
    #[error("not three parts of base64url that hold JSON objects with unique names")]
    Malformed,
    #[error("header with a key, a reference to a key or a critical extension")]
    RefusedHeader,
    #[error("header with another typ")]
    Type,
    #[error("header with another alg than the key's")]
    Algorithm,
    #[error("header without kid")]
    NoKeyId,
    #[error("no issuer that is accepted here")]
    Issuer,
    #[error("unknown kid")]
    UnknownKey,
    #[error("wrong signature")]
    Signature,
    #[error("expired or without exp")]
    Expiry,
    #[error("not valid yet")]
    NotBefore,
    #[error("an ID token or another token that isn't an access token")]
    Kind,
    #[error("bound to a key of its client by cnf")]
    Bound,
    #[error("another audience")]
    Audience,
    #[error("no valid tenant ID in the tenant claim, or none that the issuer may name")]
    Tenant,
    #[error("sub claim missing or too long")]
    Subject,
    #[error("permissions claim isn't a list")]
    Permissions,
}

impl Refusal {
    /// Returns what the caller learns. What is found before the signature is checked has no details: neither which
    /// issuers and keys are known here, nor how far a forgery got.
    pub(crate) fn fault(self) -> TokenFault {
        match self {
            Self::NoToken => TokenFault::Missing,
            Self::TooLong
            | Self::Malformed
            | Self::RefusedHeader
            | Self::Type
            | Self::Algorithm
            | Self::NoKeyId
            | Self::Issuer
            | Self::UnknownKey
            | Self::Signature => TokenFault::Invalid,
            Self::Expiry => TokenFault::Expired,
            Self::NotBefore => TokenFault::NotYetValid,
            Self::Kind => TokenFault::Kind,
            Self::Bound => TokenFault::Bound,
            Self::Audience => TokenFault::Audience,
            Self::Tenant => TokenFault::Tenant,
            Self::Subject | Self::Permissions => TokenFault::Claim,
        }
    }
}
