//! What an export makes of events.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::{event_filter::EventFilter, export_format::ExportFormat, ocsf::OcsfSettings};

/// The format of the objects of an export, and the events that it exports. Together with the sizes of a plan it decides the
/// bytes of the objects, so an edit of it ends the open window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    pub format: ExportFormat,
    /// `None`: all events.
    pub filter: Option<EventFilter>,
    /// Only of [`ExportFormat::OcsfParquet`], which always has them.
    pub ocsf: Option<OcsfSettings>,
}

impl Encoding {
    /// Returns whether an encoder makes objects of this encoding: those of its format, with or without a filter.
    #[must_use]
    pub fn is_of_encoder(&self, number: u32) -> bool {
        ExportFormat::of_encoder(number) == Some(self.format)
            && ExportFormat::encoder_filters(number) == self.filter.is_some()
    }

    /// Returns the tag in the names of objects in Security Lake: two encodings of the same blocks never have the same names.
    #[must_use]
    pub fn tag(&self) -> String {
        let OcsfSettings { version, classes } = self.ocsf.clone().unwrap_or_default();
        let filter = self.filter.as_ref().map(ToString::to_string).unwrap_or_default();
        let hash = Sha256::digest(format!("{version}\n{classes}\n{filter}").as_bytes());
        hash.iter().take(TAG_LENGTH).fold(String::new(), |mut tag, byte| {
            // Writing to a text does not fail.
            let _ = write!(tag, "{byte:02x}");
            tag
        })
    }
}

/// The bytes of the hash that a tag has.
const TAG_LENGTH: usize = 4;

/// The encoding of all events.
impl From<ExportFormat> for Encoding {
    fn from(format: ExportFormat) -> Self {
        let ocsf = (format == ExportFormat::OcsfParquet).then(OcsfSettings::default);
        Self { format, filter: None, ocsf }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocsf::{OwnRules, Version};

    #[test]
    fn every_choice_has_another_tag() {
        let usual = Encoding::from(ExportFormat::OcsfParquet);
        let with = |ocsf| Encoding { ocsf: Some(ocsf), ..usual.clone() };
        let classes: OwnRules = serde_json::from_str(r#"[{"action":"A","class":"API_ACTIVITY"}]"#).unwrap();
        let filter = serde_json::from_str(r#"{"exclude":{"actions":["A"]}}"#).unwrap();
        let mut tags = vec![
            usual.tag(),
            with(OcsfSettings { version: Version::V1_8_0, ..OcsfSettings::default() }).tag(),
            with(OcsfSettings { classes, ..OcsfSettings::default() }).tag(),
            Encoding { filter, ..usual }.tag(),
        ];
        assert!(tags.iter().all(|tag| tag.len() == 2 * TAG_LENGTH), "{tags:?}");
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 4);
    }

    #[test]
    fn the_number_of_an_encoder_says_format_and_filter() {
        let filter: EventFilter = serde_json::from_str(r#"{"include":{"actions":["LOGIN"]}}"#).unwrap();
        for (format, first) in [
            (ExportFormat::NdjsonGzip, 0),
            (ExportFormat::NdjsonZstd, 100),
            (ExportFormat::Parquet, 200),
            (ExportFormat::OcsfParquet, 300),
        ] {
            let all = Encoding::from(format);
            let filtered = Encoding { filter: Some(filter.clone()), ..all.clone() };
            for number in 0..500 {
                assert_eq!(all.is_of_encoder(number), (first + 1..=first + 50).contains(&number), "{number}");
                assert_eq!(filtered.is_of_encoder(number), (first + 51..=first + 99).contains(&number), "{number}");
            }
        }
    }
}
