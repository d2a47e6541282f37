//! The GraphQL schema, and how a request is executed.

mod configuration;
mod connection_tests;
mod context;
mod digests;
mod errors;
mod filter;
mod format;
mod guidance;
mod inputs;
mod interval;
mod jobs;
mod limits;
mod mutation;
mod notifications;
mod ocsf;
mod outlook;
mod pages;
mod policies;
mod query;
mod repairs;
mod replays;
mod scalars;
mod service;
mod status;

use std::sync::Arc;

use async_graphql::{EmptySubscription, Request, Response, SDLExportOptions, Schema, parser::parse_query};
use authentication::Caller;

#[cfg(test)]
pub use self::errors::MAX_ERRORS;
use self::{mutation::Mutation, query::Query};
use crate::{
    error::ApiError,
    service::{BacklogCounts, ListedConfigurations, Service},
};

/// The schema with the service that its resolvers call.
#[derive(Clone)]
pub struct ApiSchema(Schema<Query, Mutation, EmptySubscription>);

impl ApiSchema {
    #[must_use]
    pub fn new(service: Arc<Service>, introspection: bool) -> Self {
        let builder = Schema::build(Query::default(), Mutation::default(), EmptySubscription)
            .data(service)
            .limit_depth(limits::MAX_DEPTH)
            .limit_complexity(limits::MAX_FIELDS)
            .limit_directives(limits::MAX_DIRECTIVES);
        Self(if introspection { builder } else { builder.disable_introspection() }.finish())
    }

    /// Returns the schema in the GraphQL schema definition language.
    #[must_use]
    pub fn sdl(&self) -> String {
        let options = SDLExportOptions::new().include_specified_by().prefer_single_line_descriptions();
        self.0.sdl_with_options(options.use_space_ident().indent_width(2))
    }

    /// Executes a request of `caller`. Every error of the response has a code.
    pub async fn execute(&self, mut request: Request, caller: Caller) -> Response {
        let document = match limits::check_nesting(&request.query).map(|()| parse_query(&request.query)) {
            Ok(Ok(document)) => document,
            // The parser's own message quotes the line.
            Ok(Err(error)) => {
                return self.finish(errors::response_of(ApiError::ParseFailed, error.positions().collect()));
            }
            Err(error) => return self.refuse(error),
        };
        if let Err(error) = limits::check(&document) {
            return self.refuse(error);
        }
        request.set_parsed_query(document);
        let request = request.data(caller).data(BacklogCounts::default()).data(ListedConfigurations::default());
        self.finish(self.0.execute(request).await)
    }

    /// Returns the response to a request that was not executed to its end.
    #[must_use]
    pub fn refuse(&self, error: ApiError) -> Response {
        self.finish(errors::response_of(error, Vec::new()))
    }

    fn finish(&self, response: Response) -> Response {
        errors::finish(response, &|| self.sdl())
    }
}
