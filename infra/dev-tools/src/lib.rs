//! Realistic audit events for benchmarks, tests and the demonstration.

pub mod event_generator;
