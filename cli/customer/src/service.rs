//! A connection to the service for one command.

use std::time::Duration;

use clap::Args;
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::Runtime;

use crate::{
    access::{Access, AccessArguments},
    api::{Answer, GraphQl, Operation},
    failure::Failure,
    output::{Output, OutputArguments, Style},
};

/// The arguments of every command that sends an operation to the API and shows the answer.
#[derive(Clone, Debug, Default, Args)]
pub struct ServiceArguments {
    #[command(flatten)]
    pub access: AccessArguments,

    #[command(flatten)]
    pub output: OutputArguments,
}

/// The API, and the destination of its answers.
pub struct Service {
    api: GraphQl,
    runtime: Runtime,
    pub output: Output,
}

impl Service {
    /// # Errors
    /// No service or no token is given.
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

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub fn wait(&self, duration: Duration) {
        // Creating a timer already requires the runtime.
        self.block_on(async { tokio::time::sleep(duration).await });
    }

    /// # Errors
    /// The service refused or could not be reached, or something else answered.
    pub fn ask(&self, operation: &Operation, variables: &impl Serialize) -> Result<Answer, Failure> {
        self.runtime.block_on(self.api.ask(operation, variables))
    }

    /// Sends the operation, and prints the answer unchanged or as `render` presents it.
    pub fn show<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        variables: &impl Serialize,
        render: impl FnOnce(&T, &Style) -> String,
    ) -> Result<(), Failure> {
        let answer = self.ask(operation, variables)?;
        self.output.print(&answer, |style| Ok(render(&answer.parse()?, style)))
    }
}
