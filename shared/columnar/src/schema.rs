//! The schema of the files.

use std::sync::Arc;

use parquet::{
    errors::ParquetError,
    schema::{
        parser::parse_message_type,
        types::{ColumnDescriptor, SchemaDescriptor},
    },
};

use crate::compressor::Content;

/// The version of the schema, in the metadata of each file. A column that is added, removed or filled by another rule makes a
/// new one.
pub const SCHEMA_VERSION: u32 = 1;

/// The columns. docs/FORMATS.md has the same text, and says how they are filled.
pub const SCHEMA: &str = "message audit_event {
  optional binary id (STRING);
  optional int64 eventTimestamp (TIMESTAMP(MICROS,true));
  optional int64 receivedTimestamp (TIMESTAMP(MICROS,true));
  optional binary tenantId (STRING);
  optional binary action (STRING);
  optional binary actionStatus (STRING);
  optional binary actionStatusReason (STRING);
  optional group actor {
    optional binary id (STRING);
    optional binary name (STRING);
    optional binary type (STRING);
    optional binary identityProvider (STRING);
    optional binary profileId (STRING);
    optional binary issuer (STRING);
  }
  optional binary actorIp (STRING);
  optional binary targetType (STRING);
  optional group targets (LIST) {
    repeated group list {
      optional group element {
        optional binary id (STRING);
        optional binary name (STRING);
        optional binary type (STRING);
      }
    }
  }
  optional group relatedResources (LIST) {
    repeated group list {
      optional group element {
        optional binary id (STRING);
        optional binary name (STRING);
        optional binary type (STRING);
      }
    }
  }
  optional binary requestId (STRING);
  optional binary sessionId (STRING);
  optional binary auditPayload (STRING);
  optional binary otherFields (STRING);
  required binary event (STRING);
}
";

/// The places of the columns: those of the schema's leaves, in its order.
pub(crate) mod place {
    pub(crate) const ID: usize = 0;
    pub(crate) const EVENT_TIMESTAMP: usize = 1;
    pub(crate) const RECEIVED_TIMESTAMP: usize = 2;
    pub(crate) const TENANT_ID: usize = 3;
    pub(crate) const ACTION: usize = 4;
    pub(crate) const ACTION_STATUS: usize = 5;
    pub(crate) const ACTION_STATUS_REASON: usize = 6;
    pub(crate) const ACTOR_ID: usize = 7;
    pub(crate) const ACTOR_NAME: usize = 8;
    pub(crate) const ACTOR_TYPE: usize = 9;
    pub(crate) const ACTOR_IDENTITY_PROVIDER: usize = 10;
    pub(crate) const ACTOR_PROFILE_ID: usize = 11;
    pub(crate) const ACTOR_ISSUER: usize = 12;
    pub(crate) const ACTOR_IP: usize = 13;
    pub(crate) const TARGET_TYPE: usize = 14;
    pub(crate) const TARGETS: usize = 15;
    pub(crate) const RELATED_RESOURCES: usize = 18;
    pub(crate) const REQUEST_ID: usize = 21;
    pub(crate) const SESSION_ID: usize = 22;
    pub(crate) const AUDIT_PAYLOAD: usize = 23;
    pub(crate) const OTHER_FIELDS: usize = 24;
    pub(crate) const EVENT: usize = 25;
}

/// The columns of an element of a list, in the order of the schema.
pub(crate) const ELEMENT_NAMES: [&str; 3] = ["id", "name", "type"];

/// The form in which a column is stored.
#[expect(clippy::struct_excessive_bools, reason = "they don't depend on each other")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) max_definition: u8,
    pub(crate) is_in_list: bool,
    pub(crate) has_dictionary: bool,
    /// That of pages without a dictionary.
    pub(crate) content: Content,
    /// Whether readers can skip pages by their smallest and largest value. Those of JSON tell nothing.
    pub(crate) has_bounds: bool,
    pub(crate) has_bloom_filter: bool,
}

impl Layout {
    pub(crate) fn of(column: &ColumnDescriptor) -> Self {
        let path = column.path().string();
        let is_json = matches!(path.as_str(), "auditPayload" | "otherFields" | "event");
        let is_time = matches!(path.as_str(), "eventTimestamp" | "receivedTimestamp");
        // IDs that never recur.
        let is_unique = matches!(path.as_str(), "id" | "requestId");
        Self {
            max_definition: column.max_def_level().unsigned_abs().to_le_bytes()[0],
            is_in_list: column.max_rep_level() > 0,
            has_dictionary: !(is_json || is_time || is_unique),
            content: if is_time || is_unique { Content::Values } else { Content::Texts },
            has_bounds: !is_json,
            has_bloom_filter: matches!(path.as_str(), "actor.id" | "targets.list.element.id"),
        }
    }
}

pub(crate) fn descriptor(schema: &str) -> Result<SchemaDescriptor, ParquetError> {
    Ok(SchemaDescriptor::new(Arc::new(parse_message_type(schema)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_columns() {
        let descriptor = descriptor(SCHEMA).unwrap();
        let paths: Vec<String> = descriptor.columns().iter().map(|column| column.path().string()).collect();
        let named = [
            (place::ID, "id"),
            (place::EVENT_TIMESTAMP, "eventTimestamp"),
            (place::RECEIVED_TIMESTAMP, "receivedTimestamp"),
            (place::TENANT_ID, "tenantId"),
            (place::ACTION, "action"),
            (place::ACTION_STATUS, "actionStatus"),
            (place::ACTION_STATUS_REASON, "actionStatusReason"),
            (place::ACTOR_ID, "actor.id"),
            (place::ACTOR_NAME, "actor.name"),
            (place::ACTOR_TYPE, "actor.type"),
            (place::ACTOR_IDENTITY_PROVIDER, "actor.identityProvider"),
            (place::ACTOR_PROFILE_ID, "actor.profileId"),
            (place::ACTOR_ISSUER, "actor.issuer"),
            (place::ACTOR_IP, "actorIp"),
            (place::TARGET_TYPE, "targetType"),
            (place::REQUEST_ID, "requestId"),
            (place::SESSION_ID, "sessionId"),
            (place::AUDIT_PAYLOAD, "auditPayload"),
            (place::OTHER_FIELDS, "otherFields"),
            (place::EVENT, "event"),
        ];
        for (place, path) in named {
            assert_eq!(paths[place], path);
        }
        for (list, place) in [("targets", place::TARGETS), ("relatedResources", place::RELATED_RESOURCES)] {
            for (offset, name) in ELEMENT_NAMES.iter().enumerate() {
                assert_eq!(paths[place + offset], format!("{list}.list.element.{name}"));
            }
        }
        assert_eq!(paths.len(), named.len() + 2 * ELEMENT_NAMES.len());
    }

    #[test]
    fn the_page_of_formats_shows_the_schema() {
        let page = include_str!("../../../docs/FORMATS.md");
        assert!(page.contains(&format!("```\n{SCHEMA}```")), "docs/FORMATS.md has another schema");
    }
}
