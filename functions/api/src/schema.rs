//! The GraphQL schema and how a request is run against it.

mod context;
mod digests;
pub mod errors;
mod guidance;
mod inputs;
mod jobs;
pub mod limits;
mod mutation;
mod outlook;
mod pages;
mod policies;
mod query;
mod types;

use std::sync::Arc;

use async_graphql::{EmptySubscription, Request, Response, SDLExportOptions, Schema, parser::parse_query};
use function_runtime::token::Caller;

use self::{errors::ApiError, mutation::Mutation, query::Query};
use crate::{jobs::BacklogCounts, service::Service};

/// The schema with what its resolvers need.
#[derive(Clone)]
pub struct ApiSchema(Schema<Query, Mutation, EmptySubscription>);

impl ApiSchema {
    #[must_use]
    pub fn new(service: Arc<Service>, introspection: bool) -> Self {
        let builder = Schema::build(Query::default(), Mutation, EmptySubscription)
            .data(service)
            .limit_depth(limits::MAX_DEPTH)
            .limit_complexity(limits::MAX_FIELDS)
            .limit_directives(limits::MAX_DIRECTIVES);
        Self(if introspection { builder } else { builder.disable_introspection() }.finish())
    }

    /// The schema in its own language.
    #[must_use]
    pub fn sdl(&self) -> String {
        let options = SDLExportOptions::new().include_specified_by().prefer_single_line_descriptions();
        self.0.sdl_with_options(options.use_space_ident().indent_width(2))
    }

    /// Runs a request of `caller`. Whatever is wrong with it is told in the answer, by code.
    pub async fn execute(&self, mut request: Request, caller: Caller) -> Response {
        let document = match limits::check_nesting(&request.query).map(|()| parse_query(&request.query)) {
            Ok(Ok(document)) => document,
            // The parser's own message quotes the line.
            Ok(Err(error)) => return self.finish(ApiError::ParseFailed.into_response(error.positions().collect())),
            Err(error) => return self.refuse(error),
        };
        if let Err(error) = limits::check(&document) {
            return self.refuse(error);
        }
        request.set_parsed_query(document);
        self.finish(self.0.execute(request.data(caller).data(BacklogCounts::default())).await)
    }

    /// The answer to a request that was not run to its end.
    #[must_use]
    pub fn refuse(&self, error: ApiError) -> Response {
        self.finish(error.into_response(Vec::new()))
    }

    fn finish(&self, response: Response) -> Response {
        errors::finish(response, &|| self.sdl())
    }
}
