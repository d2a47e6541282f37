//! Audit events as records of the Open Cybersecurity Schema Framework (OCSF), for custom sources of Amazon Security Lake.
//!
//! [`map`] turns a line of an export into the record of one class. A [`Table`] decides which class and activity an action
//! belongs to. [`columns()`] describes the records of a class for a columnar file. docs/OCSF.md is the mapping for readers.

mod columns;
mod file;
mod json;
mod leaves;
mod mapping;
mod put;
mod record;
mod table;

pub use self::{
    columns::{Column, Kind, columns},
    file::{ClassFile, encoder_version},
    mapping::{InvalidEvent, map},
    record::OcsfEvent,
    table::{InvalidTable, Table},
};
#[cfg(test)]
mod document;
#[cfg(test)]
mod golden;
