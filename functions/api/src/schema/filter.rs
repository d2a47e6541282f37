//! The filter of an export: an input, and an output that can be sent as an input.

use async_graphql::{InputObject, SimpleObject};
use domain::event_filter::{self, Pattern, RawFilter, RawLists};

/// The events that an export has. An event is exported if it passes each given list. At least one list has to be given, and all
/// lists together have at most 50 values.
#[derive(Clone, Debug, InputObject)]
pub struct ExportFilterInput {
    /// An event passes a list if its value matches one of the list's values. An event without the field passes no list here.
    include: Option<ExportFilterListsInput>,
    /// An event passes a list unless its value matches one of the list's values. An event without the field passes.
    exclude: Option<ExportFilterListsInput>,
}

/// The lists of one side of a filter. A value is compared with the whole text of the field, and case counts; with an asterisk as
/// its last character, it is compared with the beginning: `POLICY*`. A value has 1 to 128 bytes, without quotation marks,
/// backslashes and control characters. A list that is given has at least one value. Null: the list is not given.
#[derive(Clone, Debug, InputObject)]
pub struct ExportFilterListsInput {
    /// For the event's `action`.
    actions: Option<Vec<String>>,
    /// For the `type` of the event's `actor`.
    actor_types: Option<Vec<String>>,
    /// For the event's `targetType`.
    target_types: Option<Vec<String>>,
}

/// The events that an export has: those that pass each given list. Digests name the filter, its SHA-256 and the number of events
/// that it left out.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportFilter {
    /// An event passes a list if its value matches one of the list's values. An event without the field passes no list here.
    include: Option<ExportFilterLists>,
    /// An event passes a list unless its value matches one of the list's values. An event without the field passes.
    exclude: Option<ExportFilterLists>,
}

/// The lists of one side of a filter, each in ascending order. Null: the list is not given.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportFilterLists {
    /// For the event's `action`.
    actions: Option<Vec<String>>,
    /// For the `type` of the event's `actor`.
    actor_types: Option<Vec<String>>,
    /// For the event's `targetType`.
    target_types: Option<Vec<String>>,
}

impl From<&ExportFilterInput> for RawFilter {
    fn from(ExportFilterInput { include, exclude }: &ExportFilterInput) -> Self {
        Self { include: include.as_ref().map(Into::into), exclude: exclude.as_ref().map(Into::into) }
    }
}

impl From<&ExportFilterListsInput> for RawLists {
    fn from(lists: &ExportFilterListsInput) -> Self {
        let ExportFilterListsInput { actions, actor_types, target_types } = lists.clone();
        Self { actions, actor_types, target_types }
    }
}

impl From<event_filter::EventFilter> for ExportFilter {
    fn from(filter: event_filter::EventFilter) -> Self {
        Self { include: ExportFilterLists::of(filter.include()), exclude: ExportFilterLists::of(filter.exclude()) }
    }
}

impl ExportFilterLists {
    /// Returns the lists of one side. `None`: no list is given.
    fn of(lists: &event_filter::Lists) -> Option<Self> {
        let texts =
            |patterns: &[Pattern]| (!patterns.is_empty()).then(|| patterns.iter().map(ToString::to_string).collect());
        (!lists.is_empty()).then(|| Self {
            actions: texts(&lists.actions),
            actor_types: texts(&lists.actor_types),
            target_types: texts(&lists.target_types),
        })
    }
}
