//! Records of the Open Cybersecurity Schema Framework (OCSF): its versions and classes, and what a configuration may choose.
//! The mapping of events to records is the crate `ocsf`.

mod class;
pub(crate) mod class_uid;
mod rules;
mod settings;
mod word;

pub use self::{
    class::{Activity, Class, Version},
    rules::{MAX_RULE_LENGTH, MAX_RULE_NAME_LENGTH, MAX_RULES, OwnRule, OwnRules, RawRule},
    settings::{OcsfSettings, RawSettings},
    word::word,
};
