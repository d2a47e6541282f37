//! The table of the mapping: which class and activity an action belongs to, and what words mean. It is data (mapping.json), and a
//! configuration may put rules of its own before it.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::ocsf::{Activity, Class, OwnRule, OwnRules, Version, word};
use serde::Deserialize;

const STANDARD: &str = include_str!("mapping.json");

/// The standard table, if it is not valid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTable {
    #[error("the standard table is not valid JSON of its form: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the standard table gives the class {class} the activity {activity:?}, which it has not")]
    NoSuchActivity { class: Class, activity: String },
    #[error("the standard table has two rules for the action {0}")]
    Duplicate(String),
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
    /// Adds a rule for words in the form of [`word`]. Returns the rule that it replaces.
    fn add(&mut self, action: &str, target_type: Option<&str>, rule: Rule) -> Option<Rule> {
        let rules = self.0.entry(action.to_owned()).or_default();
        match target_type {
            None => rules.any_target.replace(rule),
            Some(target_type) => rules.by_target.insert(target_type.to_owned(), rule),
        }
    }

    fn of(own: &OwnRules) -> Self {
        let mut rules = Self::default();
        for OwnRule { action, target_type, class, activity } in own.iter() {
            rules.add(action, target_type, Rule { class, activity });
        }
        rules
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
    pub(crate) fn read() -> Result<Self, InvalidTable> {
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
    pub fn new(own: &OwnRules) -> Result<Self, InvalidTable> {
        let Standard { product, statuses, user_types, entity_types, rules } = Standard::read()?;
        let own = RuleSet::of(own);
        let mut standard = RuleSet::default();
        for StandardRule { class, activity, actions, target_types } in rules {
            let Some(found) = class.activity(&activity) else {
                return Err(InvalidTable::NoSuchActivity { class, activity });
            };
            let rule = Rule { class, activity: found };
            for action in actions {
                let any_target = target_types.is_empty().then_some(None);
                let targets = any_target.into_iter().chain(target_types.iter().map(|target| Some(target.as_str())));
                for target_type in targets {
                    if standard.add(&action, target_type, rule).is_some() {
                        return Err(InvalidTable::Duplicate(action));
                    }
                }
            }
        }
        let account_types = entity_types.get(&EntityType::User).into_iter().flatten().cloned();
        let account_types = account_types.chain(own.account_types()).collect();
        let results = [(Status::Success, statuses.success), (Status::Failure, statuses.failure)];
        Ok(Self {
            own,
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
        Table::new(&OwnRules::default()).unwrap();
    }

    #[test]
    fn the_rule_for_the_target_type_and_the_configurations_rule_count_first() {
        let own = r#"[{"action":"query","class":"ENTITY_MANAGEMENT","activity":"Read"},
                      {"action":"query","targetType":"tag","class":"ENTITY_MANAGEMENT","activity":"Update"}]"#;
        let table = Table::new(&serde_json::from_str(own).unwrap()).unwrap();
        let found = |action, target| table.rule(action, target).map(|rule| (rule.class, rule.activity.caption));
        assert_eq!(found("QUERY", Some("DATASOURCE")), Some((Class::EntityManagement, "Read")));
        assert_eq!(found("QUERY", Some("TAG")), Some((Class::EntityManagement, "Update")));
        assert_eq!(found("CREATE", Some("USER")), Some((Class::AccountChange, "Create")));
        assert_eq!(found("CREATE", Some("TAG")), Some((Class::EntityManagement, "Create")));
        assert_eq!(found("user.login", None), Some((Class::Authentication, "Logon")));
        assert_eq!(found("REPLAY", None), None);
    }
}
