//! The records of a class as columns, for a columnar file: the attributes that a record may have, in its order.

use domain::ocsf::{Class, Version};
use serde::Serialize;

/// A column, or a field of a nested one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Every record has it; within a struct, every struct.
    pub required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Text,
    /// 32 bits with a sign.
    Integer,
    /// 64 bits with a sign. A time is in milliseconds since 1970.
    Long,
    Struct(Vec<Column>),
    List(Box<Kind>),
    /// Texts by name.
    TextMap,
}

fn required(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: true }
}

fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: false }
}

/// Returns the columns of the records that [`crate::map`] makes.
#[must_use]
pub fn columns(class: Class, version: Version) -> Vec<Column> {
    let is = |classes: &[Class]| classes.contains(&class);
    let columns = [
        Some(required("activity_id", Kind::Integer)),
        Some(required("activity_name", Kind::Text)),
        Some(required("actor", actor(class))),
        is(&[Class::ApiActivity]).then(|| required("api", api())),
        Some(required("category_name", Kind::Text)),
        Some(required("category_uid", Kind::Integer)),
        Some(required("class_name", Kind::Text)),
        Some(required("class_uid", Kind::Integer)),
        is(&[Class::EntityManagement]).then(|| required("entity", named())),
        Some(required("metadata", metadata(class, version))),
        // Absent only where the version bounds texts.
        Some(Column { name: "raw_data", kind: Kind::Text, required: version.max_text_length().is_none() }),
        is(&[Class::ApiActivity]).then(|| optional("resources", Kind::List(Box::new(resource())))),
        is(&[Class::Authentication]).then(|| required("service", Kind::Struct(vec![required("name", Kind::Text)]))),
        is(&[Class::Authentication]).then(|| optional("session", identified())),
        Some(required("severity", Kind::Text)),
        Some(required("severity_id", Kind::Integer)),
        Some(Column { name: "src_endpoint", kind: endpoint(class), required: class == Class::ApiActivity }),
        Some(required("status", Kind::Text)),
        Some(optional("status_detail", Kind::Text)),
        Some(required("status_id", Kind::Integer)),
        Some(required("time", Kind::Long)),
        Some(required("type_name", Kind::Text)),
        Some(required("type_uid", Kind::Long)),
        Some(optional("unmapped", Kind::TextMap)),
        is(&[Class::AccountChange, Class::Authentication]).then(|| required("user", named())),
    ];
    columns.into_iter().flatten().collect()
}

fn actor(class: Class) -> Kind {
    let fields = [
        Some(optional("idp", Kind::Struct(vec![optional("name", Kind::Text), optional("uid", Kind::Text)]))),
        (class != Class::Authentication).then(|| optional("session", identified())),
        Some(required("user", named())),
    ];
    Kind::Struct(fields.into_iter().flatten().collect())
}

/// A user or an entity.
fn named() -> Kind {
    Kind::Struct(vec![
        optional("name", Kind::Text),
        optional("type", Kind::Text),
        optional("type_id", Kind::Integer),
        optional("uid", Kind::Text),
    ])
}

fn identified() -> Kind {
    Kind::Struct(vec![required("uid", Kind::Text)])
}

fn api() -> Kind {
    Kind::Struct(vec![required("operation", Kind::Text), optional("request", identified())])
}

fn resource() -> Kind {
    Kind::Struct(vec![optional("name", Kind::Text), optional("type", Kind::Text), optional("uid", Kind::Text)])
}

fn endpoint(class: Class) -> Kind {
    if class == Class::ApiActivity {
        Kind::Struct(vec![optional("ip", Kind::Text), optional("name", Kind::Text)])
    } else {
        Kind::Struct(vec![required("ip", Kind::Text)])
    }
}

fn metadata(class: Class, version: Version) -> Kind {
    let product =
        vec![required("name", Kind::Text), required("vendor_name", Kind::Text), required("version", Kind::Text)];
    let profiles = version == Version::V1_3_0 && class == Class::EntityManagement;
    let fields = [
        Some(optional("correlation_uid", Kind::Text)),
        Some(Column { name: "event_code", kind: Kind::Text, required: class != Class::ApiActivity }),
        Some(optional("logged_time", Kind::Long)),
        (version >= Version::V1_8_0).then(|| required("original_event_uid", Kind::Text)),
        Some(required("original_time", Kind::Text)),
        Some(required("product", Kind::Struct(product))),
        profiles.then(|| required("profiles", Kind::List(Box::new(Kind::Text)))),
        Some(optional("tenant_uid", Kind::Text)),
        Some(required("uid", Kind::Text)),
        Some(required("version", Kind::Text)),
    ];
    Kind::Struct(fields.into_iter().flatten().collect())
}
