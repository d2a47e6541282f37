//! The webhook receivers on this machine that a development stack may send to.

use std::path::{Path, PathBuf};

use domain::webhook::Receivers;

use crate::environment::{DeploymentMode, Environment};

/// The setting `DEVELOPMENT_WEBHOOK_CA_FILE`: a file with certificates, as PEM, that vouch for receivers on this machine.
/// Without it, a stack sends to public receivers only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReceivers(Option<PathBuf>);

impl LocalReceivers {
    /// Reads the setting. Production does not accept it.
    pub fn read(environment: &mut Environment, mode: Option<DeploymentMode>) -> Option<Self> {
        let name = "DEVELOPMENT_WEBHOOK_CA_FILE";
        if !environment.is_set(name) {
            return Some(Self(None));
        }
        if mode == Some(DeploymentMode::Production) {
            environment.note(name, "is for development only");
        }
        environment.text(name).map(|path| Self(Some(path.into())))
    }

    /// Returns the receivers that the stack sends to.
    #[must_use]
    pub fn receivers(&self) -> Receivers {
        match self.0 {
            None => Receivers::Public,
            Some(_) => Receivers::PublicAndLocal,
        }
    }

    #[must_use]
    pub fn certificate_file(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_development_stack_sends_to_its_own_machine() {
        let read = |mode, path| {
            let mut environment = Environment::from_map([("DEVELOPMENT_WEBHOOK_CA_FILE", path)]);
            let receivers = LocalReceivers::read(&mut environment, Some(mode));
            environment.finish(receivers).map_err(|error| error.to_string())
        };
        let local = read(DeploymentMode::Development, "/state/ca.pem").unwrap();
        assert_eq!(
            (local.receivers(), local.certificate_file()),
            (Receivers::PublicAndLocal, Some(Path::new("/state/ca.pem")))
        );
        assert!(read(DeploymentMode::Production, "/state/ca.pem").unwrap_err().contains("DEVELOPMENT_WEBHOOK_CA_FILE"));
        for mode in [DeploymentMode::Development, DeploymentMode::Production] {
            assert_eq!(read(mode, "").unwrap().receivers(), Receivers::Public);
        }
    }
}
