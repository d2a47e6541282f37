//! The bill of the stack's account: the service and its archive.

use super::{
    archive,
    bill::Bill,
    service::{export_lines, ingest_lines, standing_lines, storage_lines},
    traffic::Traffic,
};

/// Returns the bill of the stack's account.
#[must_use]
pub fn bill(traffic: &Traffic) -> Bill {
    let mut lines = ingest_lines(traffic).to_vec();
    lines.extend(storage_lines(traffic));
    lines.extend(archive::lines(traffic));
    lines.extend(export_lines(traffic));
    lines.extend(standing_lines());
    Bill::new(lines)
}
