//! The table of runs.

use aws_sdk_dynamodb::Client;

use crate::dynamodb::table::Table;

/// The table `ExportRuns`.
#[derive(Clone, Debug)]
pub struct RunTable {
    pub(super) table: Table,
}

impl RunTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }
}
