//! The plan of a window.

use serde::{Deserialize, Serialize};

use super::limits::{PART_SIZE, TARGET_RAW_LENGTH, TARGET_STORED_LENGTH};
use crate::{
    configuration::Destination, digest::MAX_DIGEST_OBJECTS, encoding::Encoding, event_filter::EventFilter,
    export_format::ExportFormat, ocsf::OcsfSettings,
};

/// The sizes that a plan fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanLimits {
    /// In bytes; see [`TARGET_STORED_LENGTH`].
    pub target_stored_length: u64,
    /// In bytes; see [`TARGET_RAW_LENGTH`].
    pub target_raw_length: u64,
    /// In bytes; see [`PART_SIZE`].
    pub part_size: u64,
    /// See [`MAX_DIGEST_OBJECTS`].
    pub max_objects: u64,
}

impl PlanLimits {
    /// The sizes of this version of the code.
    pub const CURRENT: Self = Self {
        target_stored_length: TARGET_STORED_LENGTH,
        target_raw_length: TARGET_RAW_LENGTH,
        part_size: PART_SIZE,
        max_objects: MAX_DIGEST_OBJECTS,
    };
}

/// The plan of a window: everything that decides which bytes are written where. It is stored before anything is read and
/// never changed, so that every retry writes the same objects, whatever was deployed or edited in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub destination: Destination,
    /// The number of the encoder, which decides on the format and says whether there is a filter; see
    /// [`Encoding::is_of_encoder`].
    pub encoder_version: u32,
    /// The events of the window's objects. `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<EventFilter>,
    /// Only of the format `OCSF_PARQUET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsf: Option<OcsfSettings>,
    pub limits: PlanLimits,
}

impl Plan {
    /// Returns the encoding of the window's objects. `None`: a newer program made the plan, or a program lost its filter.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        let format = ExportFormat::of_encoder(self.encoder_version)?;
        let encoding = Encoding { format, filter: self.filter.clone(), ocsf: self.ocsf.clone() };
        let is_consistent = self.ocsf.is_some() == (format == ExportFormat::OcsfParquet);
        (is_consistent && encoding.is_of_encoder(self.encoder_version)).then_some(encoding)
    }
}
