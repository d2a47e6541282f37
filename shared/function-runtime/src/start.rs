//! The first thing every function's `main` does.

use crate::environment::{Environment, EnvironmentError};
use crate::logging;

/// Reads the function's settings from the process environment and starts logging.
///
/// `read` asks the [`Environment`] for every variable and answers `None` if one was missing or bad. All problems are
/// logged and returned together, so that one failed cold start is enough to repair a deployment.
///
/// # Errors
/// [`EnvironmentError`] names every missing or bad variable.
pub fn start<S>(read: impl FnOnce(&mut Environment) -> Option<S>) -> Result<S, EnvironmentError> {
    let mut environment = Environment::from_process();
    // A bad LOG_LEVEL is a problem like the others, and is itself logged: at the default level.
    logging::initialize(environment.log_level().unwrap_or(logging::DEFAULT_LEVEL));
    let settings = read(&mut environment);
    environment.finish(settings).inspect_err(|error| tracing::error!(%error, "the function can't start"))
}
