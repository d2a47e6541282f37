//! What an export makes of events.

use crate::{event_filter::EventFilter, export_format::ExportFormat};

/// The format of the objects of an export, and the events that it exports. Together with the sizes of a plan it decides the
/// bytes of the objects, so an edit of it ends the open window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    pub format: ExportFormat,
    /// `None`: all events.
    pub filter: Option<EventFilter>,
}

/// The encoding of all events.
impl From<ExportFormat> for Encoding {
    fn from(format: ExportFormat) -> Self {
        Self { format, filter: None }
    }
}
