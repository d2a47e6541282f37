//! The table of the mapping: which class and activity an action belongs to, and what words mean. It is data (mapping.json), and a
//! configuration may put rules of its own before it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use crate::class::{Activity, Class, Version};

/// The greatest number of rules of a configuration.
pub const MAX_OWN_RULES: usize = 200;

/// The greatest number of bytes of an action or a target type in a rule.
pub const MAX_RULE_NAME_LENGTH: usize = 128;

const STANDARD: &str = include_str!("mapping.json");

/// A table that is refused. Rules are counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRules {
    #[error("the rules must be a JSON array of objects with action, class, activity and, if wanted, targetType: {0}")]
    Json(#[from] serde_json::Error),
    #[error("there are {0} rules; at most {MAX_OWN_RULES} are accepted")]
    TooMany(usize),
    #[error("rule {rule}: {field} must have 1 to {MAX_RULE_NAME_LENGTH} bytes")]
    NameLength { rule: usize, field: &'static str },
    #[error("rule {rule}: the class {class} has no activity {activity:?}; it has {}", captions(*class))]
    NoSuchActivity { rule: usize, class: Class, activity: String },
    #[error("rule {rule} is for the same action and target type as one before it; remove one of them")]
    Duplicate { rule: usize },
}

fn captions(class: Class) -> String {
    class.activities().iter().map(|activity| activity.caption).collect::<Vec<_>>().join(", ")
}

/// The rules of a configuration, which count before those of the standard table.
#[derive(Clone, Debug, Default)]
pub struct OwnRules(RuleSet);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OwnRule {
    action: String,
    target_type: Option<String>,
    class: Class,
    activity: String,
}

impl OwnRules {
    /// Parses a JSON array such as
    /// `[{"action": "PUBLISH", "targetType": "DATASOURCE", "class": "ENTITY_MANAGEMENT", "activity": "Update"}]`.
    ///
    /// # Errors
    /// [`InvalidRules`].
    pub fn parse(json: &str) -> Result<Self, InvalidRules> {
        let rules: Vec<OwnRule> = serde_json::from_str(json)?;
        if rules.len() > MAX_OWN_RULES {
            return Err(InvalidRules::TooMany(rules.len()));
        }
        let mut set = RuleSet::default();
        for (number, rule) in (1..).zip(&rules) {
            for (field, name) in [("action", Some(&rule.action)), ("targetType", rule.target_type.as_ref())] {
                if name.is_some_and(|name| name.is_empty() || name.len() > MAX_RULE_NAME_LENGTH) {
                    return Err(InvalidRules::NameLength { rule: number, field });
                }
            }
            set.add(number, &rule.action, rule.target_type.as_deref(), rule.class, &rule.activity)?;
        }
        Ok(Self(set))
    }
}

/// The class and activity of some events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) class: Class,
    pub(crate) activity: Activity,
}

#[derive(Clone, Debug, Default)]
struct RuleSet(HashMap<String, ActionRules>);

#[derive(Clone, Debug, Default)]
struct ActionRules {
    any_target: Option<Rule>,
    by_target: HashMap<String, Rule>,
}

impl RuleSet {
    fn add(
        &mut self,
        number: usize,
        action: &str,
        target_type: Option<&str>,
        class: Class,
        activity: &str,
    ) -> Result<(), InvalidRules> {
        let found = class.activity(activity).ok_or_else(|| InvalidRules::NoSuchActivity {
            rule: number,
            class,
            activity: activity.to_owned(),
        })?;
        let rule = Rule { class, activity: found };
        let rules = self.0.entry(word(action)).or_default();
        let replaced = match target_type {
            None => rules.any_target.replace(rule),
            Some(target_type) => rules.by_target.insert(word(target_type), rule),
        };
        if replaced.is_some() { Err(InvalidRules::Duplicate { rule: number }) } else { Ok(()) }
    }

    /// Returns the target types that rules call accounts.
    fn account_types(&self) -> impl Iterator<Item = String> {
        let typed = self.0.values().flat_map(|rules| &rules.by_target);
        typed.filter(|(_, rule)| rule.class == Class::AccountChange).map(|(target_type, _)| target_type.clone())
    }

    fn find(&self, action: &str, target_type: Option<&str>) -> Option<Rule> {
        let rules = self.0.get(action)?;
        target_type.and_then(|target_type| rules.by_target.get(target_type)).copied().or(rules.any_target)
    }
}

/// Returns the form in which words are compared: upper case, with `_` for every other ASCII character than letters and digits.
pub(crate) fn word(text: &str) -> String {
    text.chars()
        .map(
            |letter| {
                if letter.is_ascii() && !letter.is_ascii_alphanumeric() { '_' } else { letter.to_ascii_uppercase() }
            },
        )
        .collect()
}

/// The content of mapping.json.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Standard {
    pub(crate) product: ProductName,
    pub(crate) statuses: Statuses,
    pub(crate) user_types: BTreeMap<UserType, Vec<String>>,
    pub(crate) entity_types: BTreeMap<EntityType, Vec<String>>,
    pub(crate) rules: Vec<StandardRule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductName {
    pub(crate) name: String,
    pub(crate) vendor_name: String,
    /// The version of the mapping. The program's own would change the bytes of a retry after a deployment.
    pub(crate) version: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statuses {
    pub(crate) success: Vec<String>,
    pub(crate) failure: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StandardRule {
    pub(crate) class: Class,
    pub(crate) activity: String,
    pub(crate) actions: Vec<String>,
    #[serde(default)]
    pub(crate) target_types: Vec<String>,
}

impl Standard {
    pub(crate) fn read() -> Result<Self, InvalidRules> {
        Ok(serde_json::from_str(STANDARD)?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, strum::IntoStaticStr)]
pub(crate) enum UserType {
    User,
    Admin,
    System,
    Service,
}

impl UserType {
    /// Returns `None` if the version has no such type.
    pub(crate) const fn id(self, version: Version) -> Option<u8> {
        match (self, version) {
            (Self::User, _) => Some(1),
            (Self::Admin, _) => Some(2),
            (Self::System, _) => Some(3),
            (Self::Service, Version::V1_3_0) => None,
            (Self::Service, Version::V1_8_0) => Some(4),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, strum::IntoStaticStr)]
pub(crate) enum EntityType {
    Device,
    User,
    Group,
    Organization,
    Policy,
}

impl EntityType {
    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::Device => 1,
            Self::User => 2,
            Self::Group => 3,
            Self::Organization => 4,
            Self::Policy => 5,
        }
    }
}

/// The result of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    Failure,
}

/// The standard table with the rules of a configuration before it.
#[derive(Clone, Debug)]
pub struct Table {
    own: RuleSet,
    standard: RuleSet,
    product: ProductName,
    statuses: HashMap<String, Status>,
    user_types: HashMap<String, UserType>,
    entity_types: HashMap<String, EntityType>,
    account_types: HashSet<String>,
}

impl Table {
    /// Reads the standard table and puts `own` before it.
    ///
    /// # Errors
    /// Never in practice, because a test reads the table.
    pub fn new(own: OwnRules) -> Result<Self, InvalidRules> {
        let Standard { product, statuses, user_types, entity_types, rules } = Standard::read()?;
        let mut standard = RuleSet::default();
        for (number, rule) in (1..).zip(&rules) {
            for action in &rule.actions {
                let mut add = |target_type| standard.add(number, action, target_type, rule.class, &rule.activity);
                if rule.target_types.is_empty() {
                    add(None)?;
                }
                for target_type in &rule.target_types {
                    add(Some(target_type.as_str()))?;
                }
            }
        }
        let account_types = entity_types.get(&EntityType::User).into_iter().flatten().cloned();
        let account_types = account_types.chain(own.0.account_types()).collect();
        let results = [(Status::Success, statuses.success), (Status::Failure, statuses.failure)];
        Ok(Self {
            own: own.0,
            standard,
            product,
            statuses: by_word(results),
            user_types: by_word(user_types),
            entity_types: by_word(entity_types),
            account_types,
        })
    }

    pub(crate) fn product(&self) -> &ProductName {
        &self.product
    }

    /// Finds the rule for an action: the configuration's before the standard ones, and of either first one for the target type.
    pub(crate) fn rule(&self, action: &str, target_type: Option<&str>) -> Option<Rule> {
        let (action, target_type) = (word(action), target_type.map(word));
        let find = |rules: &RuleSet| rules.find(&action, target_type.as_deref());
        find(&self.own).or_else(|| find(&self.standard))
    }

    pub(crate) fn status(&self, status: &str) -> Option<Status> {
        self.statuses.get(&word(status)).copied()
    }

    pub(crate) fn user_type(&self, name: &str) -> Option<UserType> {
        self.user_types.get(&word(name)).copied()
    }

    pub(crate) fn entity_type(&self, name: &str) -> Option<EntityType> {
        self.entity_types.get(&word(name)).copied()
    }

    /// Returns whether a target of this type is an account.
    pub(crate) fn is_account(&self, target_type: &str) -> bool {
        self.account_types.contains(&word(target_type))
    }
}

fn by_word<T: Copy>(words: impl IntoIterator<Item = (T, Vec<String>)>) -> HashMap<String, T> {
    words.into_iter().flat_map(|(meaning, words)| words.into_iter().map(move |word| (word, meaning))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_table_is_valid_and_its_words_are_in_the_form_in_which_they_are_compared() {
        let standard = Standard::read().unwrap();
        let words = standard
            .rules
            .iter()
            .flat_map(|rule| rule.actions.iter().chain(&rule.target_types))
            .chain(standard.user_types.values().flatten())
            .chain(standard.entity_types.values().flatten())
            .chain(&standard.statuses.success)
            .chain(&standard.statuses.failure);
        for text in words {
            assert_eq!(*text, word(text));
        }
        Table::new(OwnRules::default()).unwrap();
    }

    #[test]
    fn the_rule_for_the_target_type_and_the_configurations_rule_count_first() {
        let own = r#"[{"action":"query","class":"ENTITY_MANAGEMENT","activity":"Read"},
                      {"action":"query","targetType":"tag","class":"ENTITY_MANAGEMENT","activity":"Update"}]"#;
        let table = Table::new(OwnRules::parse(own).unwrap()).unwrap();
        let found = |action, target| table.rule(action, target).map(|rule| (rule.class, rule.activity.caption));
        assert_eq!(found("QUERY", Some("DATASOURCE")), Some((Class::EntityManagement, "Read")));
        assert_eq!(found("QUERY", Some("TAG")), Some((Class::EntityManagement, "Update")));
        assert_eq!(found("CREATE", Some("USER")), Some((Class::AccountChange, "Create")));
        assert_eq!(found("CREATE", Some("TAG")), Some((Class::EntityManagement, "Create")));
        assert_eq!(found("user.login", None), Some((Class::Authentication, "Logon")));
        assert_eq!(found("REPLAY", None), None);
    }

    #[test]
    fn a_configurations_rules_are_bounded_and_name_what_exists() {
        let one = r#"{"action":"A","class":"API_ACTIVITY","activity":"Read"}"#;
        assert!(OwnRules::parse("[]").is_ok());
        assert!(matches!(OwnRules::parse(&format!("[{one},{one}]")), Err(InvalidRules::Duplicate { rule: 2 })));
        let many = |count: usize| {
            let rules: Vec<_> = (0..count)
                .map(|number| format!(r#"{{"action":"A{number}","class":"API_ACTIVITY","activity":"Read"}}"#))
                .collect();
            OwnRules::parse(&format!("[{}]", rules.join(",")))
        };
        assert!(many(MAX_OWN_RULES).is_ok());
        assert!(matches!(many(MAX_OWN_RULES + 1), Err(InvalidRules::TooMany(_))));
        let named = |name: &str| {
            OwnRules::parse(&format!(r#"[{{"action":"{name}","class":"API_ACTIVITY","activity":"Read"}}]"#))
        };
        assert!(named(&"a".repeat(MAX_RULE_NAME_LENGTH)).is_ok());
        for name in [String::new(), "a".repeat(MAX_RULE_NAME_LENGTH + 1)] {
            assert!(matches!(named(&name), Err(InvalidRules::NameLength { rule: 1, field: "action" })));
        }
        for wrong in [
            r#"[{"action":"A","class":"FILE_ACTIVITY","activity":"Read"}]"#,
            r#"[{"action":"A","class":"API_ACTIVITY","activity":"Read","severity":1}]"#,
            r#"[{"action":1,"class":"API_ACTIVITY","activity":"Read"}]"#,
            "{}",
        ] {
            assert!(matches!(OwnRules::parse(wrong), Err(InvalidRules::Json(_))), "{wrong}");
        }
        let error = OwnRules::parse(r#"[{"action":"A","class":"API_ACTIVITY","activity":"Logon"}]"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rule 1: the class API_ACTIVITY has no activity \"Logon\"; it has Unknown, Create, Read, Update, Delete, Other"
        );
    }
}
