//! Requests of API Gateway through the handler, over ports in memory.

mod access;
mod connection_tests;
mod digests;
mod file_repairs;
mod filters;
mod guidance;
mod history;
mod jobs;
mod leaks;
mod limits;
mod memory;
mod notifications;
mod operations;
mod repairs;
mod replays;
mod schema;
mod status;
mod updates;
mod world;
