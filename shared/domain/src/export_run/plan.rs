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
#[serde(try_from = "StoredPlan", into = "StoredPlan")]
pub struct Plan {
    pub destination: Destination,
    /// The number of the encoder, which decides on the format and says whether there is a filter; see
    /// [`Encoding::is_of_encoder`].
    pub encoder_version: u32,
    /// The events of the window's objects. `None`: all of them.
    pub filter: Option<EventFilter>,
    /// Only of the format `OCSF_PARQUET`.
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

/// A plan as it is stored. One with a filter or with choices of OCSF has its encoder under another name: a release that doesn't
/// know these fields refuses the plan before it writes anything, instead of storing it again without them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredPlan {
    destination: Destination,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoder_version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selective_encoder_version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<EventFilter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ocsf: Option<OcsfSettings>,
    limits: PlanLimits,
}

impl From<Plan> for StoredPlan {
    fn from(plan: Plan) -> Self {
        let Plan { destination, encoder_version, filter, ocsf, limits } = plan;
        let is_selective = filter.is_some() || ocsf.is_some();
        Self {
            destination,
            encoder_version: (!is_selective).then_some(encoder_version),
            selective_encoder_version: is_selective.then_some(encoder_version),
            filter,
            ocsf,
            limits,
        }
    }
}

impl TryFrom<StoredPlan> for Plan {
    type Error = &'static str;

    fn try_from(stored: StoredPlan) -> Result<Self, &'static str> {
        let StoredPlan { destination, encoder_version, selective_encoder_version, filter, ocsf, limits } = stored;
        let encoder_version = encoder_version.xor(selective_encoder_version).ok_or("a plan has one encoder")?;
        Ok(Self { destination, encoder_version, filter, ocsf, limits })
    }
}

#[cfg(test)]
mod tests {
    use crate::export_run::test_support::window;

    use super::*;

    #[test]
    fn a_release_without_filters_refuses_a_plan_with_one() {
        let plan = window(0).plan;
        let filter = serde_json::from_str(r#"{"include":{"actions":["LOGIN"]}}"#).unwrap();
        let filtered = Plan { encoder_version: 51, filter: Some(filter), ..plan.clone() };
        let ocsf = Plan { encoder_version: 301, ocsf: Some(OcsfSettings::default()), ..plan.clone() };
        for (plan, has_usual_name) in [(plan, true), (filtered, false), (ocsf, false)] {
            let stored = serde_json::to_value(&plan).unwrap();
            assert_eq!(stored.get("encoderVersion").is_some(), has_usual_name, "{stored}");
            assert_eq!(serde_json::from_value::<Plan>(stored).unwrap(), plan);
        }
    }
}
