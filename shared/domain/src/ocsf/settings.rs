//! The choices of a configuration. All errors are returned together.

use serde::{Deserialize, Serialize};

use super::{
    class::Version,
    rules::{OwnRules, RawRule},
};
use crate::configuration::{
    field,
    field_error::{FieldError, FieldErrorCode},
};

/// What an export of records of OCSF makes of events: the version of OCSF, and the configuration's own rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OcsfSettings {
    pub version: Version,
    /// They count before the rules that all exports have.
    #[serde(default, skip_serializing_if = "OwnRules::is_empty")]
    pub classes: OwnRules,
}

/// The unparsed choices of a configuration. `None`: the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawSettings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<RawRule>>,
}

impl OcsfSettings {
    /// Parses the choices of a configuration.
    ///
    /// # Errors
    /// Every field that has to change.
    pub fn parse(raw: &RawSettings) -> Result<Self, Vec<FieldError>> {
        let version = match raw.version.as_deref().map(Version::parse) {
            None => Ok(Version::default()),
            Some(Some(version)) => Ok(version),
            Some(None) => {
                let names = Version::ALL.iter().map(|version| version.name()).collect::<Vec<_>>().join(" or ");
                let message = format!("Give {names}. Security Lake accepts {} for custom sources.", Version::default());
                Err(vec![FieldError { field: field::OCSF_VERSION, code: FieldErrorCode::OcsfVersionInvalid, message }])
            }
        };
        let classes = OwnRules::parse(raw.classes.as_deref().unwrap_or_default());
        match (version, classes) {
            (Ok(version), Ok(classes)) => Ok(Self { version, classes }),
            (version, classes) => Err([version.err(), classes.err()].into_iter().flatten().flatten().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_one_that_has_a_mapping_and_all_errors_are_returned() {
        assert_eq!(OcsfSettings::parse(&RawSettings::default()).unwrap(), OcsfSettings::default());
        let new = RawSettings { version: Some("1.8.0".to_owned()), classes: None };
        assert_eq!(OcsfSettings::parse(&new).unwrap().version, Version::V1_8_0);
        let wrong = RawSettings {
            version: Some("1.9.0".to_owned()),
            classes: Some(vec![RawRule {
                action: String::new(),
                target_type: None,
                class: String::new(),
                activity: None,
            }]),
        };
        let errors = OcsfSettings::parse(&wrong).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, [field::OCSF_VERSION, field::OCSF_CLASSES]);
    }
}
