//! Parsing filters, of requests and of stored texts. All errors are returned together.

use serde::{Deserialize, Serialize};

use super::{
    lists::{Condition, Lists},
    pattern::Pattern,
};
use crate::configuration::{
    field,
    field_error::{FieldError, FieldErrorCode},
};

/// The most patterns of a filter, in all lists together. The filter is a part of every digest of its export.
pub const MAX_FILTER_VALUES: usize = 50;

/// The most bytes of a pattern in UTF-8, its asterisk included.
pub const MAX_FILTER_VALUE_LENGTH: usize = 128;

/// The most bytes of the canonical text: a pattern has quotation marks and a comma, and the lists have names.
pub const MAX_FILTER_LENGTH: usize = MAX_FILTER_VALUES * (MAX_FILTER_VALUE_LENGTH + 3) + 200;

/// An unparsed filter. `None`: the side was left out. Its names are those of the API, of configuration files and of the canonical text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<RawLists>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<RawLists>,
}

/// The unparsed lists of one side. `None`: the list was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawLists {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_types: Option<Vec<String>>,
}

/// Returns the lists to include and those to exclude.
pub(super) fn parse(raw: &RawFilter) -> Result<(Lists, Lists), Vec<FieldError>> {
    let mut errors = Vec::new();
    let exclude = lists(raw.exclude.as_ref(), &field::FILTER_EXCLUDE, &mut errors);
    let include = lists(raw.include.as_ref(), &field::FILTER_INCLUDE, &mut errors);
    if errors.is_empty() {
        check(&include, &exclude, &mut errors);
    }
    if errors.is_empty() { Ok((include, exclude)) } else { Err(errors) }
}

/// Checks the rules that concern several lists.
fn check(include: &Lists, exclude: &Lists, errors: &mut Vec<FieldError>) {
    let mut refuse = |field, code, message| errors.push(FieldError { field, code, message });
    let lists = include.named().into_iter().chain(exclude.named());
    let values: usize = lists.map(|(_, patterns)| patterns.len()).sum();
    if values == 0 {
        let message = "Give at least one list with a value, or no filter.";
        refuse(field::FILTER, FieldErrorCode::FilterEmpty, message.to_owned());
    }
    if values > MAX_FILTER_VALUES {
        let message = format!(
            "The filter has {values} values in its lists, and may have {MAX_FILTER_VALUES}. Shorten it with values such as \
             POLICY_*."
        );
        refuse(field::FILTER, FieldErrorCode::FilterTooManyValues, message);
    }
    for (field, condition) in field::FILTER_INCLUDE.into_iter().zip(Condition::of(include, exclude)) {
        if !condition.is_possible() {
            let message = "Every value of this list is excluded too, so no event would be exported. Include another value, \
                           or exclude less.";
            refuse(field, FieldErrorCode::FilterMatchesNothing, message.to_owned());
        }
    }
}

fn lists(
    raw: Option<&RawLists>,
    [actions, actor_types, target_types]: &[&'static str; 3],
    errors: &mut Vec<FieldError>,
) -> Lists {
    let Some(raw) = raw else { return Lists::default() };
    Lists {
        actions: patterns(raw.actions.as_deref(), actions, errors),
        actor_types: patterns(raw.actor_types.as_deref(), actor_types, errors),
        target_types: patterns(raw.target_types.as_deref(), target_types, errors),
    }
}

/// Returns the patterns of a list in ascending order, each once.
fn patterns(texts: Option<&[String]>, field: &'static str, errors: &mut Vec<FieldError>) -> Vec<Pattern> {
    let Some(texts) = texts else { return Vec::new() };
    if texts.is_empty() {
        // It could mean that all events pass, or that none does.
        let message = "The list has no value. Give one, or leave the list out.".to_owned();
        errors.push(FieldError { field, code: FieldErrorCode::FilterEmpty, message });
    }
    let parsed: Option<Vec<Pattern>> = texts.iter().map(|text| Pattern::parse(text, MAX_FILTER_VALUE_LENGTH)).collect();
    let Some(mut patterns) = parsed else {
        let message = format!(
            "A value has 1 to {MAX_FILTER_VALUE_LENGTH} bytes, without quotation marks, backslashes and control characters. An \
             asterisk may only be its last character, after the beginning of the texts that it stands for."
        );
        errors.push(FieldError { field, code: FieldErrorCode::FilterValueInvalid, message });
        return Vec::new();
    };
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}
