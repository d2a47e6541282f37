//! Servers of customers that the service connects to over HTTPS: receivers of notices, and S3 servers other than AWS's. A
//! customer names them, so the service connects to none that is not public.

pub mod address;

use std::net::IpAddr;

use self::address::is_public;

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

    /// Returns the addresses of a name if there are any, and all of them may be connected to. One that may not be makes the name
    /// suspicious: it is not left to chance which address answers.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn checked(self, host: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, AddressError> {
        let is_local = self.is_local(host);
        let is_allowed = |address: &IpAddr| if is_local { address.is_loopback() } else { is_public(*address) };
        if addresses.is_empty() {
            Err(AddressError::NotFound)
        } else if addresses.iter().all(is_allowed) {
            Ok(addresses)
        } else {
            Err(AddressError::NotPublic)
        }
    }

    /// Returns whether the name is that of this machine, and the stack connects to it.
    #[must_use]
    pub fn is_local(self, host: &str) -> bool {
        self == Self::PublicAndLocal && host == "localhost"
    }
}

/// The reason why a server has no address to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the name has no address")]
    NotFound,
    /// Nobody knows whether the name has one: the resolver gave no answer, or could not be asked.
    #[error("the name was not resolved")]
    Unresolved,
    #[error("an address is not public")]
    NotPublic,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(servers: CustomerServers, name: &str, addresses: &[&str]) -> Result<usize, AddressError> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        servers.checked(name, addresses).map(|checked| checked.len())
    }

    #[test]
    fn every_address_of_a_name_has_to_be_public() {
        let name = "hooks.example.com";
        for servers in [CustomerServers::Public, CustomerServers::PublicAndLocal] {
            assert_eq!(check(servers, name, &["1.1.1.1", "2606:4700::1111"]), Ok(2));
            assert_eq!(check(servers, name, &[]), Err(AddressError::NotFound));
            for bad in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1", "fd00:ec2::254"] {
                assert_eq!(check(servers, name, &[bad]), Err(AddressError::NotPublic), "{bad}");
                assert_eq!(check(servers, name, &["1.1.1.1", bad]), Err(AddressError::NotPublic), "{bad}");
            }
        }
    }

    #[test]
    fn this_machine_is_for_development_stacks_and_under_one_name() {
        assert_eq!(check(CustomerServers::Public, "localhost", &["127.0.0.1"]), Err(AddressError::NotPublic));
        let local = CustomerServers::PublicAndLocal;
        assert_eq!(check(local, "localhost", &["127.0.0.1", "::1"]), Ok(2));
        assert_eq!(check(local, "localhost", &["127.0.0.1", "10.0.0.1"]), Err(AddressError::NotPublic));
        assert_eq!(check(local, "a.localhost", &["127.0.0.1"]), Err(AddressError::NotPublic));
    }
}
