//! The permissions that this service knows.

/// A permission of a caller. Neither permission includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// `AUDIT`: read and change the tenant's export configurations.
    Audit,
    /// `AUDIT_WRITE`: send audit events.
    AuditWrite,
}

impl Permission {
    pub const ALL: [Self; 2] = [Self::Audit, Self::AuditWrite];

    /// Returns the permission's name in this service. A token may have another one (see [`PermissionRule`](crate::PermissionRule)).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "AUDIT",
            Self::AuditWrite => "AUDIT_WRITE",
        }
    }
}
