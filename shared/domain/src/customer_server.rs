//! Servers of customers that the service connects to over HTTPS: receivers of notices, and S3 servers other than AWS's. A
//! customer names them, so the service connects to none that is not public.

pub mod address;

/// The port of HTTPS.
pub const HTTPS_PORT: u16 = 443;

/// The servers that a stack connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerServers {
    /// Servers with a public name and public addresses.
    Public,
    /// Those, and servers on this machine. For development stacks.
    PublicAndLocal,
}

impl CustomerServers {
    /// Returns whether a stack connects to servers of this name. Whether its addresses are public shows when they are resolved.
    #[must_use]
    pub fn admits(self, host: &str) -> bool {
        is_public_name(host) || self.is_local(host)
    }

    /// Returns whether the name is that of this machine, and the stack connects to it.
    #[must_use]
    pub fn is_local(self, host: &str) -> bool {
        self == Self::PublicAndLocal && host == "localhost"
    }
}

/// Returns whether `host` has the form of a host name of DNS (RFC 1123).
pub(crate) fn is_host_name(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// The last labels of names that are never public.
///
/// Source: <https://www.iana.org/assignments/special-use-domain-names/special-use-domain-names.xhtml>, and `internal`,
/// which ICANN reserved for private use in 2024.
const PRIVATE_TOP_LEVEL_DOMAINS: [&str; 7] = ["alt", "internal", "invalid", "local", "localhost", "onion", "test"];

fn is_public_name(host: &str) -> bool {
    host.rsplit_once('.')
        .is_some_and(|(_, top)| !PRIVATE_TOP_LEVEL_DOMAINS.contains(&top) && !host.ends_with(".home.arpa"))
}
