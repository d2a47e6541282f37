//! The `page` function: serves the web page for administrators. The page itself calls the GraphQL API; this function reads
//! and changes nothing.

mod files;
mod handler;
mod origin;
#[cfg(test)]
mod rules;
mod security;
mod settings;

use std::sync::Arc;

use lambda_http::{Error, Request, run, service_fn};

use crate::{handler::Handler, settings::Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let handler = Arc::new(Handler::new(&settings)?);
    run(service_fn(move |request: Request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Error>(handler.handle(&request)) }
    }))
    .await
}
