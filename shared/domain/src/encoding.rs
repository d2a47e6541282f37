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

impl Encoding {
    /// Returns whether an encoder makes objects of this encoding: those of its format, with or without a filter.
    #[must_use]
    pub fn is_of_encoder(&self, number: u32) -> bool {
        ExportFormat::of_encoder(number) == Some(self.format)
            && ExportFormat::encoder_filters(number) == self.filter.is_some()
    }
}

/// The encoding of all events.
impl From<ExportFormat> for Encoding {
    fn from(format: ExportFormat) -> Self {
        Self { format, filter: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_encoder_says_format_and_filter() {
        let filter: EventFilter = serde_json::from_str(r#"{"include":{"actions":["LOGIN"]}}"#).unwrap();
        for (format, first) in
            [(ExportFormat::NdjsonGzip, 0), (ExportFormat::NdjsonZstd, 100), (ExportFormat::Parquet, 200)]
        {
            let all = Encoding::from(format);
            let filtered = Encoding { filter: Some(filter.clone()), ..all.clone() };
            for number in 0..400 {
                assert_eq!(all.is_of_encoder(number), (first + 1..=first + 50).contains(&number), "{number}");
                assert_eq!(filtered.is_of_encoder(number), (first + 51..=first + 99).contains(&number), "{number}");
            }
        }
    }
}
