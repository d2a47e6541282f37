//! The reasons for refusing a token.

/// The reason why a token is refused. It is logged and never sent to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no bearer token")]
    NoToken,
    #[error("token too long")]
    TooLong,
    #[error("not three parts of base64url that hold JSON objects")]
    Malformed,
    #[error("header with a key, a reference to a key or a critical extension")]
    RefusedHeader,
    #[error("header with another typ")]
    Type,
    #[error("header with another alg than the key's")]
    Algorithm,
    #[error("header without kid")]
    NoKeyId,
    #[error("unknown kid")]
    UnknownKey,
    #[error("wrong signature")]
    Signature,
    #[error("expired or without exp")]
    Expiry,
    #[error("not valid yet")]
    NotBefore,
    #[error("another issuer")]
    Issuer,
    #[error("another audience")]
    Audience,
    #[error("no valid tenant ID in the tenant claim")]
    Tenant,
    #[error("sub claim missing or too long")]
    Subject,
    #[error("permissions claim isn't a list")]
    Permissions,
}
