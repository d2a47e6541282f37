//! Settings from environment variables.

use function_runtime::environment::Environment;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) configurations_table: String,
    pub(crate) secret_key_arn: String,
}

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let configurations_table = environment.text("CONFIGURATIONS_TABLE");
        let secret_key_arn = environment.text("SECRET_KEY_ARN");
        Some(Self { configurations_table: configurations_table?, secret_key_arn: secret_key_arn? })
    }
}
