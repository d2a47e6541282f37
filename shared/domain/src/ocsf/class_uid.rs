//! The form of a class in digests: its number.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

use super::class::Class;

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
pub(crate) fn serialize<S: Serializer>(class: &Option<Class>, serializer: S) -> Result<S::Ok, S::Error> {
    match class {
        Some(class) => serializer.serialize_u16(class.uid()),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Class>, D::Error> {
    let uid = u16::deserialize(deserializer)?;
    Class::of_uid(uid).map(Some).ok_or_else(|| D::Error::custom(format!("there is no class {uid}")))
}
