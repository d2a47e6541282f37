//! A connection to the service for one command.

use clap::Args;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    access::{Access, AccessArguments},
    api::{Answer, GraphQl, Operation},
    failure::Failure,
    output::{Output, OutputArguments, Style},
    spinner::spinning,
};

/// The text of the spinner during a request.
pub const WAITING: &str = "Waiting for the service";

/// The arguments of every command that sends an operation to the API and shows the answer.
#[derive(Clone, Debug, Default, Args)]
pub struct ServiceArguments {
    #[command(flatten)]
    pub access: AccessArguments,

    #[command(flatten)]
    pub output: OutputArguments,
}

impl ServiceArguments {
    /// Sends one operation, and prints the answer like [`Service::show`].
    pub async fn show<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        variables: &impl Serialize,
        render: impl FnOnce(&T, &Style) -> String,
    ) -> Result<(), Failure> {
        Service::connect(self).await?.show(operation, variables, render).await
    }
}

/// The API, and the destination of its answers.
pub struct Service {
    api: GraphQl,
    pub output: Output,
}

impl Service {
    pub async fn connect(arguments: &ServiceArguments) -> Result<Self, Failure> {
        Self::with_access(&arguments.access.resolve().await?, &arguments.output)
    }

    pub fn with_access(access: &Access, output: &OutputArguments) -> Result<Self, Failure> {
        Ok(Self { api: GraphQl::new(access)?, output: Output::new(output) })
    }

    /// Sends the operation. A wait of more than a moment shows a spinner.
    pub async fn ask(&self, operation: &Operation, variables: &impl Serialize) -> Result<Answer, Failure> {
        spinning(WAITING, self.api.ask(operation, variables)).await
    }

    /// Sends the operation during a wait that has its own spinner.
    pub async fn poll(&self, operation: &Operation, variables: &impl Serialize) -> Result<Answer, Failure> {
        self.api.ask(operation, variables).await
    }

    /// Sends the operation, and prints the answer unchanged or as `render` presents it.
    pub async fn show<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        variables: &impl Serialize,
        render: impl FnOnce(&T, &Style) -> String,
    ) -> Result<(), Failure> {
        let answer = self.ask(operation, variables).await?;
        self.output.print(&answer, |style| Ok(render(&answer.parse()?, style)))
    }
}
