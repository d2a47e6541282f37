//! The choices of OCSF of an export.

use async_graphql::{Enum, InputObject, MaybeUndefined, SimpleObject};
use domain::{configuration::update::RawField, ocsf};

/// A class of OCSF that events become records of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ocsf::Class")]
pub enum OcsfClass {
    /// 3001.
    AccountChange,
    /// 3002.
    Authentication,
    /// 3004.
    EntityManagement,
    /// 6003. Also of all events whose action no rule knows.
    ApiActivity,
}

/// The choices for the format `OCSF_PARQUET`.
#[derive(InputObject)]
pub struct OcsfInput {
    /// `1.3.0` (the default), the newest that Security Lake accepts for custom sources, or `1.8.0`.
    version: Option<String>,
    /// The export's own rules, which count before those of all exports; at most 100.
    classes: Option<Vec<OcsfRuleInput>>,
}

/// A rule for the events of an action.
#[derive(InputObject)]
pub struct OcsfRuleInput {
    /// Compared in upper case, with `_` for spaces and punctuation.
    action: String,
    /// The rule is only for targets of this type, and counts before one for all. Null: for all.
    target_type: Option<String>,
    class: OcsfClass,
    /// The caption of an activity of the class, for example `Update`. The default is `Other`.
    activity: Option<String>,
}

impl OcsfInput {
    pub fn raw(&self) -> ocsf::RawSettings {
        let classes = self.classes.as_ref().map(|rules| rules.iter().map(OcsfRuleInput::raw).collect());
        ocsf::RawSettings { version: self.version.clone(), classes }
    }

    /// Returns the choices of an update.
    pub fn update(field: &MaybeUndefined<Self>) -> RawField<ocsf::RawSettings> {
        match field {
            MaybeUndefined::Undefined => RawField::Kept,
            MaybeUndefined::Null => RawField::Cleared,
            MaybeUndefined::Value(input) => RawField::Given(input.raw()),
        }
    }
}

impl OcsfRuleInput {
    fn raw(&self) -> ocsf::RawRule {
        ocsf::RawRule {
            action: self.action.clone(),
            target_type: self.target_type.clone(),
            class: ocsf::Class::from(self.class).name().to_owned(),
            activity: self.activity.clone(),
        }
    }
}

/// The choices for the format `OCSF_PARQUET`.
#[derive(Clone, Debug, SimpleObject)]
pub struct OcsfSettings {
    version: String,
    /// The export's own rules, in the order of their actions.
    classes: Vec<OcsfRule>,
}

/// A rule for the events of an action.
#[derive(Clone, Debug, SimpleObject)]
pub struct OcsfRule {
    /// In upper case, with `_` for spaces and punctuation.
    action: String,
    target_type: Option<String>,
    class: OcsfClass,
    activity: String,
}

impl From<ocsf::OcsfSettings> for OcsfSettings {
    fn from(settings: ocsf::OcsfSettings) -> Self {
        let rule = |rule: ocsf::OwnRule<'_>| OcsfRule {
            action: rule.action.to_owned(),
            target_type: rule.target_type.map(str::to_owned),
            class: rule.class.into(),
            activity: rule.activity.caption.to_owned(),
        };
        Self { version: settings.version.to_string(), classes: settings.classes.iter().map(rule).collect() }
    }
}
