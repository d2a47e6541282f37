//! The records as they are written: one struct for all classes, whose attributes stay out where a class doesn't have them.

use std::{borrow::Cow, collections::BTreeMap};

use domain::ocsf::Class;
use serde::Serialize;

/// An event as a record of a class. It serializes to the class's JSON; [`crate::columns()`] lists its attributes.
#[derive(Debug, Serialize)]
pub struct OcsfEvent<'a> {
    #[serde(skip)]
    pub class: Class,
    /// No rule knows the action. The function that writes records counts these.
    #[serde(skip)]
    pub is_other: bool,
    pub(crate) activity_id: u8,
    pub(crate) activity_name: Cow<'a, str>,
    pub(crate) actor: Actor<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<Api<'a>>,
    pub(crate) category_name: &'static str,
    pub(crate) category_uid: u8,
    pub(crate) class_name: &'static str,
    pub(crate) class_uid: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entity: Option<Entity<'a>>,
    pub(crate) metadata: Metadata<'a>,
    /// The exact line, without its line feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Vec<Resource<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<Service<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<Session<'a>>,
    pub(crate) severity: &'static str,
    pub(crate) severity_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) src_endpoint: Option<Endpoint>,
    pub(crate) status: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status_detail: Option<Cow<'a, str>>,
    pub(crate) status_id: u8,
    /// Milliseconds since 1970. The partition `eventDay` is its UTC day.
    pub time: u64,
    pub(crate) type_name: String,
    pub(crate) type_uid: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) unmapped: BTreeMap<Cow<'a, str>, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<User<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Actor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idp: Option<IdentityProvider<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<Session<'a>>,
    pub(crate) user: User<'a>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) type_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct IdentityProvider<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Session<'a> {
    pub(crate) uid: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Api<'a> {
    pub(crate) operation: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Request<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Request<'a> {
    pub(crate) uid: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Entity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) type_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Resource<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
}

/// An address or, where the class requires an endpoint and the event has no address, a name that says so.
#[derive(Debug, Serialize)]
pub(crate) struct Endpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) correlation_uid: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_code: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logged_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original_event_uid: Option<Cow<'a, str>>,
    pub(crate) original_time: Cow<'a, str>,
    pub(crate) product: Product<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profiles: Option<&'static [&'static str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant_uid: Option<Cow<'a, str>>,
    pub(crate) uid: Cow<'a, str>,
    pub(crate) version: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Product<'a> {
    pub(crate) name: &'a str,
    pub(crate) vendor_name: &'a str,
    pub(crate) version: &'a str,
}
