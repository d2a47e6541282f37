//! The start of a function.

use crate::environment::{Environment, EnvironmentError};
use crate::logging;

/// Reads the function's settings from the process environment and starts logging.
///
/// `read` reads every variable from the [`Environment`] and returns `None` if one is missing or invalid. All problems
/// are logged and returned together, so that one failed cold start shows everything that has to be fixed.
///
/// # Errors
/// [`EnvironmentError`] names every missing or invalid variable.
pub fn start<S>(read: impl FnOnce(&mut Environment) -> Option<S>) -> Result<S, EnvironmentError> {
    let mut environment = Environment::from_process();
    logging::initialize();
    let settings = read(&mut environment);
    environment.finish(settings).inspect_err(|error| tracing::error!(%error, "the function can't start"))
}
