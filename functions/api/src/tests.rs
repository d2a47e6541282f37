//! Requests as API Gateway sends them, through the handler, to AWS clients that are answered at their HTTP boundary.

mod access;
mod digests;
mod guidance;
mod history;
mod jobs;
mod leaks;
mod limits;
mod operations;
mod repairs;
mod schema;
mod updates;
mod world;
