//! A configuration's own rules: which class and activity its actions belong to.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    class::{Activity, Class},
    word::word,
};
use crate::{
    configuration::{
        field,
        field_error::{FieldError, FieldErrorCode},
    },
    hex::Hex32,
};

/// The most rules of a configuration. They are a part of every digest of its export.
pub const MAX_RULES: usize = 100;

/// The most bytes of an action or a target type in a rule.
pub const MAX_RULE_NAME_LENGTH: usize = 128;

/// The most bytes of a rule in the canonical text: two names, a class, an activity, and 80 bytes of JSON.
pub const MAX_RULE_LENGTH: usize = 2 * MAX_RULE_NAME_LENGTH + 144;

/// An unparsed rule. Its names are those of the API, of configuration files and of the canonical text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawRule {
    pub action: String,
    /// `None`: the rule is for targets of any type, and for events without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
    pub class: String,
    /// `None`: Other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
}

/// A rule for the events of an action or, more narrowly, of an action and a target type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnRule<'a> {
    /// In the form of [`word`].
    pub action: &'a str,
    /// In the form of [`word`].
    pub target_type: Option<&'a str>,
    pub class: Class,
    pub activity: Activity,
}

/// The rules of a configuration, at most one for each action and target type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<RawRule>", into = "Vec<RawRule>")]
pub struct OwnRules(BTreeMap<(String, Option<String>), (Class, Activity)>);

impl OwnRules {
    /// Parses rules. Their order, the spelling of words, and repetitions don't matter.
    ///
    /// # Errors
    /// Each kind of mistake once. Rules are counted from 1.
    pub fn parse(raw: &[RawRule]) -> Result<Self, Vec<FieldError>> {
        let mut rules = BTreeMap::new();
        let mut errors: Vec<FieldError> = Vec::new();
        let mut refuse = |code, message| {
            if errors.iter().all(|error| error.code != code) {
                errors.push(FieldError { field: field::OCSF_CLASSES, code, message });
            }
        };
        if raw.len() > MAX_RULES {
            let message = format!("There are {} rules, and may be {MAX_RULES}.", raw.len());
            refuse(FieldErrorCode::OcsfClassesTooMany, message);
        }
        for (number, rule) in (1..).zip(raw) {
            let names = [Some(&rule.action), rule.target_type.as_ref()];
            if !names.into_iter().flatten().all(|name| is_name(name)) {
                let message = format!(
                    "Rule {number}: an action or a target type has 1 to {MAX_RULE_NAME_LENGTH} printable ASCII characters."
                );
                refuse(FieldErrorCode::OcsfClassInvalid, message);
                continue;
            }
            let Some(class) = Class::parse(&rule.class) else {
                let names = Class::ALL.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ");
                refuse(FieldErrorCode::OcsfClassInvalid, format!("Rule {number}: the class must be one of {names}."));
                continue;
            };
            let activity = rule.activity.as_deref().map_or(Some(Activity::OTHER), |name| class.activity(name));
            let Some(activity) = activity else {
                let names = class.activities().iter().map(|activity| activity.caption).collect::<Vec<_>>().join(", ");
                let message = format!("Rule {number}: the activity of {class} must be one of {names}.");
                refuse(FieldErrorCode::OcsfClassInvalid, message);
                continue;
            };
            let name = (word(&rule.action), rule.target_type.as_deref().map(word));
            let other = rules.insert(name, (class, activity)).filter(|earlier| *earlier != (class, activity));
            if other.is_some() {
                let message = format!(
                    "Rule {number}: an earlier rule gives the same action and target type another class or activity. Remove \
                     one of them."
                );
                refuse(FieldErrorCode::OcsfClassRepeated, message);
            }
        }
        if errors.is_empty() { Ok(Self(rules)) } else { Err(errors) }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the rules in the order of actions and target types.
    pub fn iter(&self) -> impl Iterator<Item = OwnRule<'_>> {
        self.0.iter().map(|((action, target_type), (class, activity))| OwnRule {
            action,
            target_type: target_type.as_deref(),
            class: *class,
            activity: *activity,
        })
    }

    /// Returns the SHA-256 of the canonical text, which [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn sha256(&self) -> Hex32 {
        Hex32::sha256_of(self.to_string())
    }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_RULE_NAME_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// Writes the canonical text: JSON without white space, in the order of actions and target types. No value has a character that
/// JSON escapes.
impl fmt::Display for OwnRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[")?;
        for (index, OwnRule { action, target_type, class, activity }) in self.iter().enumerate() {
            write!(formatter, "{}{{\"action\":\"{action}\"", if index == 0 { "" } else { "," })?;
            if let Some(target_type) = target_type {
                write!(formatter, ",\"targetType\":\"{target_type}\"")?;
            }
            write!(formatter, ",\"class\":\"{class}\",\"activity\":\"{}\"}}", activity.caption)?;
        }
        formatter.write_str("]")
    }
}

impl From<OwnRules> for Vec<RawRule> {
    fn from(rules: OwnRules) -> Self {
        let raw = |rule: OwnRule<'_>| RawRule {
            action: rule.action.to_owned(),
            target_type: rule.target_type.map(str::to_owned),
            class: rule.class.name().to_owned(),
            activity: Some(rule.activity.caption.to_owned()),
        };
        rules.iter().map(raw).collect()
    }
}

/// The rules of a stored text.
impl TryFrom<Vec<RawRule>> for OwnRules {
    type Error = String;

    fn try_from(raw: Vec<RawRule>) -> Result<Self, String> {
        Self::parse(&raw).map_err(|errors| errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: &str, class: &str, activity: Option<&str>) -> RawRule {
        let (action, class) = (action.to_owned(), class.to_owned());
        RawRule { action, target_type: None, class, activity: activity.map(str::to_owned) }
    }

    fn codes(raw: &[RawRule]) -> Vec<FieldErrorCode> {
        let errors = OwnRules::parse(raw).unwrap_err();
        assert!(errors.iter().all(|error| error.field == field::OCSF_CLASSES));
        errors.iter().map(|error| error.code).collect()
    }

    #[test]
    fn rules_have_one_canonical_text_which_is_read_back() {
        let with_target = RawRule {
            target_type: Some("data source".to_owned()),
            ..rule("publish", "ENTITY_MANAGEMENT", Some("UPDATE"))
        };
        let raw = [
            rule("run.job", "API_ACTIVITY", None),
            with_target,
            rule("publish", "ENTITY_MANAGEMENT", Some("Create")),
            rule("RUN_JOB", "API_ACTIVITY", Some("Other")),
        ];
        let rules = OwnRules::parse(&raw).unwrap();
        let text = r#"[{"action":"PUBLISH","class":"ENTITY_MANAGEMENT","activity":"Create"},{"action":"PUBLISH","targetType":"DATA_SOURCE","class":"ENTITY_MANAGEMENT","activity":"Update"},{"action":"RUN_JOB","class":"API_ACTIVITY","activity":"Other"}]"#;
        assert_eq!(rules.to_string(), text);
        assert_eq!(serde_json::to_string(&rules).unwrap(), text);
        assert_eq!(serde_json::from_str::<OwnRules>(text).unwrap(), rules);
        assert_ne!(rules.sha256(), OwnRules::default().sha256());
        assert_eq!(OwnRules::default().to_string(), "[]");
    }

    #[test]
    fn rules_are_bounded_and_name_what_exists() {
        use FieldErrorCode::{OcsfClassInvalid, OcsfClassRepeated, OcsfClassesTooMany};

        let many =
            |count| (0..count).map(|number| rule(&format!("A{number}"), "API_ACTIVITY", None)).collect::<Vec<_>>();
        assert!(OwnRules::parse(&many(MAX_RULES)).is_ok());
        assert_eq!(codes(&many(MAX_RULES + 1)), [OcsfClassesTooMany]);
        assert!(OwnRules::parse(&[rule(&"a".repeat(MAX_RULE_NAME_LENGTH), "API_ACTIVITY", None)]).is_ok());
        for name in [String::new(), "a".repeat(MAX_RULE_NAME_LENGTH + 1), "\u{e9}".to_owned(), "a\n".to_owned()] {
            assert_eq!(codes(&[rule(&name, "API_ACTIVITY", None)]), [OcsfClassInvalid], "{name:?}");
            let of_target = RawRule { target_type: Some(name), ..rule("A", "API_ACTIVITY", None) };
            assert_eq!(codes(&[of_target]), [OcsfClassInvalid]);
        }
        assert_eq!(codes(&[rule("A", "FILE_ACTIVITY", None)]), [OcsfClassInvalid]);
        let other = [rule("A", "API_ACTIVITY", Some("Read")), rule("a", "ENTITY_MANAGEMENT", Some("Read"))];
        assert_eq!(codes(&other), [OcsfClassRepeated]);
        let error = OwnRules::parse(&[rule("A", "API_ACTIVITY", Some("Logon"))]).unwrap_err();
        assert_eq!(
            error[0].message,
            "Rule 1: the activity of API_ACTIVITY must be one of Unknown, Create, Read, Update, Delete, Other."
        );
    }
}
