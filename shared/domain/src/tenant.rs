//! Tenants: the customers of the operator.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most characters of a tenant's ID. It is the beginning of every partition key, so it stays short.
pub const MAX_TENANT_ID_LENGTH: usize = 128;

/// The identity of a tenant.
///
/// 1 to 128 of `A-Z a-z 0-9 . _ -`, the first a letter or a digit. `#` is not allowed, because it separates the parts of
/// partition keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// The error of a text that is not a [`TenantId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant ID must have 1 to 128 letters, digits, '.', '_' or '-', and start with a letter or a digit")]
pub struct InvalidTenantId;

impl TenantId {
    /// # Errors
    /// [`InvalidTenantId`] if `text` breaks the rule above.
    pub fn parse(text: &str) -> Result<Self, InvalidTenantId> {
        let starts_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        let all_allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if starts_well && all_allowed && text.len() <= MAX_TENANT_ID_LENGTH {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTenantId)
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_break_a_key_are_refused() {
        for bad in ["", "#", "a#b", "-a", ".a", "a b", "a/b", "ä", &"a".repeat(129)] {
            assert_eq!(TenantId::parse(bad), Err(InvalidTenantId), "{bad:?}");
        }
        for good in ["a", "acme", "acme-corp.eu_1", "0", &"a".repeat(128)] {
            assert!(TenantId::parse(good).is_ok(), "{good:?}");
        }
    }
}
