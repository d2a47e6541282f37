//! The lists of a filter.

use serde::Serialize;

use super::pattern::Pattern;

/// The patterns of one side. A list without patterns was not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lists {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Pattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actor_types: Vec<Pattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_types: Vec<Pattern>,
}

impl Lists {
    /// Returns the lists under their names, in ascending order of those.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &[Pattern]); 3] {
        [("actions", &self.actions), ("actorTypes", &self.actor_types), ("targetTypes", &self.target_types)]
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named().iter().all(|(_, patterns)| patterns.is_empty())
    }
}

/// The two lists that one value has to pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition<'a> {
    include: &'a [Pattern],
    exclude: &'a [Pattern],
}

impl<'a> Condition<'a> {
    /// Returns the conditions on action, actor type and target type.
    pub(super) fn of(include: &'a Lists, exclude: &'a Lists) -> [Self; 3] {
        [
            Self { include: &include.actions, exclude: &exclude.actions },
            Self { include: &include.actor_types, exclude: &exclude.actor_types },
            Self { include: &include.target_types, exclude: &exclude.target_types },
        ]
    }

    pub(super) fn is_set(self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    pub(super) fn passes(self, value: Option<&[u8]>) -> bool {
        let is_in = |patterns: &[Pattern]| value.is_some_and(|value| patterns.iter().any(|one| one.matches(value)));
        (self.include.is_empty() || is_in(self.include)) && !is_in(self.exclude)
    }

    /// Returns whether some event passes.
    pub(super) fn is_possible(self) -> bool {
        let is_excluded = |pattern: &Pattern| self.exclude.iter().any(|one| one.covers(pattern));
        self.include.is_empty() || !self.include.iter().all(is_excluded)
    }
}
