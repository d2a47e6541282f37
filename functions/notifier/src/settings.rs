//! Settings from environment variables.

use function_runtime::{environment::Environment, local_servers::LocalServers};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) secret_key_arn: String,
    pub(crate) webhook_queue_url: String,
    pub(crate) local_servers: LocalServers,
}

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let secret_key_arn = environment.text("SECRET_KEY_ARN");
        let webhook_queue_url = environment.text("WEBHOOK_QUEUE_URL");
        let local_servers = LocalServers::read(environment, mode);
        Some(Self {
            secret_key_arn: secret_key_arn?,
            webhook_queue_url: webhook_queue_url?,
            local_servers: local_servers?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_variable_is_named() {
        let mut environment = Environment::from_map([("DEPLOYMENT_MODE", "production")]);
        let settings = Settings::read(&mut environment);
        let error = environment.finish(settings).unwrap_err();
        let missing: Vec<&str> = error.problems().map(|(name, _)| name).collect();
        assert_eq!(missing, ["SECRET_KEY_ARN", "WEBHOOK_QUEUE_URL"]);
    }
}
