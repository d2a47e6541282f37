//! The service as commands use it: one question at a time, while a person waits.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::{
    access::{Access, AccessArguments},
    api::{Answer, GraphQl, Operation},
    failure::Failure,
    output::{Output, OutputArguments},
};

/// What every command has that asks the API and shows its answer.
#[derive(Clone, Debug, Default, Args)]
pub struct ServiceArguments {
    #[command(flatten)]
    pub access: AccessArguments,

    #[command(flatten)]
    pub output: OutputArguments,
}

/// The API, and where its answers go.
pub struct Service {
    api: GraphQl,
    runtime: Runtime,
    pub output: Output,
}

impl Service {
    /// # Errors
    /// It isn't known where the service is, or there is no token.
    pub fn connect(arguments: &ServiceArguments) -> Result<Self, Failure> {
        Self::with_access(&arguments.access.resolve()?, &arguments.output)
    }

    /// # Errors
    /// Those of [`GraphQl::new`].
    pub fn with_access(access: &Access, output: &OutputArguments) -> Result<Self, Failure> {
        let api = GraphQl::new(access)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Unavailable(error.to_string()))?;
        Ok(Self { api, runtime, output: Output::new(output) })
    }

    /// Drives what else is asynchronous.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub fn wait(&self, duration: Duration) {
        // A timer needs the runtime already when it is made.
        self.block_on(async { tokio::time::sleep(duration).await });
    }

    /// # Errors
    /// The service refused, could not be reached, or something else answered.
    pub fn ask(&self, operation: &Operation, variables: &impl Serialize) -> Result<Answer, Failure> {
        self.runtime.block_on(self.api.ask(operation, variables))
    }
}
