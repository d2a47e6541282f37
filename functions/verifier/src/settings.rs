//! Settings from environment variables.

use function_runtime::{environment::Environment, local_servers::LocalServers};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) configurations_table: String,
    pub(crate) secret_key_arn: String,
    pub(crate) local_servers: LocalServers,
}

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let configurations_table = environment.text("CONFIGURATIONS_TABLE");
        let secret_key_arn = environment.text("SECRET_KEY_ARN");
        let local_servers = LocalServers::read(environment, mode);
        Some(Self {
            configurations_table: configurations_table?,
            secret_key_arn: secret_key_arn?,
            local_servers: local_servers?,
        })
    }
}
