//! The interval of an export.

use async_graphql::Enum;
use domain::interval;

/// The time between two exports of one configuration. Each export ends at a UTC boundary: one of 24 hours is a calendar
/// day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "interval::ExportInterval")]
#[expect(clippy::enum_variant_names, reason = "the names are the API's")]
pub enum ExportInterval {
    #[graphql(name = "EVERY_2_HOURS")]
    Every2Hours,
    #[graphql(name = "EVERY_4_HOURS")]
    Every4Hours,
    #[graphql(name = "EVERY_6_HOURS")]
    Every6Hours,
    #[graphql(name = "EVERY_12_HOURS")]
    Every12Hours,
    #[graphql(name = "EVERY_24_HOURS")]
    Every24Hours,
}
