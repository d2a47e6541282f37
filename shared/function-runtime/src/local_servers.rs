//! The servers of customers on this machine that a development stack may connect to.

use std::{fs, io, path::PathBuf};

use domain::customer_server::CustomerServers;

use crate::environment::{DeploymentMode, Environment};

/// The setting `DEVELOPMENT_CA_FILE`: a file with certificates, as PEM, that vouch for servers on this machine.
/// Without it, a stack connects to public servers only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalServers(Option<PathBuf>);

impl LocalServers {
    /// Reads the setting. Production does not accept it.
    pub fn read(environment: &mut Environment, mode: Option<DeploymentMode>) -> Option<Self> {
        let name = "DEVELOPMENT_CA_FILE";
        if !environment.is_set(name) {
            return Some(Self(None));
        }
        if mode == Some(DeploymentMode::Production) {
            environment.note(name, "is for development only");
        }
        environment.text(name).map(|path| Self(Some(path.into())))
    }

    /// Returns the servers that the stack connects to.
    #[must_use]
    pub fn servers(&self) -> CustomerServers {
        match self.0 {
            None => CustomerServers::Public,
            Some(_) => CustomerServers::PublicAndLocal,
        }
    }

    /// Reads the certificates of servers on this machine, as PEM.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn certificates(&self) -> io::Result<Option<Vec<u8>>> {
        self.0.as_ref().map(fs::read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_development_stack_connects_to_its_own_machine() {
        let read = |mode, path| {
            let mut environment = Environment::from_map([("DEVELOPMENT_CA_FILE", path)]);
            let servers = LocalServers::read(&mut environment, Some(mode));
            environment.finish(servers).map_err(|error| error.to_string())
        };
        let local = read(DeploymentMode::Development, "/no/such/ca.pem").unwrap();
        assert_eq!(local.servers(), CustomerServers::PublicAndLocal);
        assert_eq!(local.certificates().unwrap_err().kind(), io::ErrorKind::NotFound);
        let refused = read(DeploymentMode::Production, "/no/such/ca.pem");
        assert!(refused.unwrap_err().contains("DEVELOPMENT_CA_FILE"));
        for mode in [DeploymentMode::Development, DeploymentMode::Production] {
            let public = read(mode, "").unwrap();
            assert_eq!((public.servers(), public.certificates().unwrap()), (CustomerServers::Public, None));
        }
    }
}
