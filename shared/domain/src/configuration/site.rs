//! The place of a bucket: a Region of AWS, or another server that speaks S3.

use serde::{Deserialize, Serialize};

use super::{
    endpoint::EndpointUrl,
    field_error::ValueError,
    region::{Partition, Region, SigningRegion},
};

/// The place of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SiteFields", into = "SiteFields")]
pub enum Site {
    Aws(Region),
    Server(S3Server),
}

/// A server other than AWS's that speaks S3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct S3Server {
    pub endpoint: EndpointUrl,
    /// The region that requests are signed for.
    pub region: SigningRegion,
}

impl From<Region> for Site {
    fn from(region: Region) -> Self {
        Self::Aws(region)
    }
}

impl Site {
    /// Returns the Region, or the region that requests to the server are signed for.
    #[must_use]
    pub fn region_name(&self) -> &str {
        match self {
            Self::Aws(region) => region.as_str(),
            Self::Server(server) => server.region.as_str(),
        }
    }

    #[must_use]
    pub fn aws_region(&self) -> Option<&Region> {
        match self {
            Self::Aws(region) => Some(region),
            Self::Server(_) => None,
        }
    }

    #[must_use]
    pub fn server(&self) -> Option<&S3Server> {
        match self {
            Self::Aws(_) => None,
            Self::Server(server) => Some(server),
        }
    }

    #[must_use]
    pub fn endpoint(&self) -> Option<&EndpointUrl> {
        self.server().map(|server| &server.endpoint)
    }

    /// Returns the partition in ARNs. Servers that know policies expect that of AWS's commercial Regions.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.aws_region().map_or(Partition::Commercial, Region::partition)
    }
}

/// The form of a site in JSON, among the fields of a destination.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SiteFields {
    region: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint_url: Option<EndpointUrl>,
}

impl From<Site> for SiteFields {
    fn from(site: Site) -> Self {
        match site {
            Site::Aws(region) => Self { region: region.into(), endpoint_url: None },
            Site::Server(S3Server { endpoint, region }) => Self { region: region.into(), endpoint_url: Some(endpoint) },
        }
    }
}

impl TryFrom<SiteFields> for Site {
    type Error = ValueError;

    fn try_from(SiteFields { region, endpoint_url }: SiteFields) -> Result<Self, ValueError> {
        Self::from_stored(&region, endpoint_url)
    }
}

impl Site {
    /// Returns the site with a region and an endpoint as they are stored.
    ///
    /// # Errors
    /// `REGION_INVALID`.
    pub fn from_stored(region: &str, endpoint: Option<EndpointUrl>) -> Result<Self, ValueError> {
        match endpoint {
            None => Region::parse(region).map(Self::Aws),
            Some(endpoint) => SigningRegion::parse(region).map(|region| Self::Server(S3Server { endpoint, region })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::test_support::on_server;

    #[test]
    fn a_site_in_aws_has_the_stored_form_of_earlier_versions() {
        let site: Site = Region::parse("eu-west-1").unwrap().into();
        assert_eq!(serde_json::to_string(&site).unwrap(), r#"{"region":"eu-west-1"}"#);
        let server = on_server().destination.site;
        let json = r#"{"region":"garage","endpointUrl":"https://s3.example.com:3900"}"#;
        assert_eq!(serde_json::to_string(&server).unwrap(), json);
        for site in [site, server] {
            let json = serde_json::to_string(&site).unwrap();
            assert_eq!(serde_json::from_str::<Site>(&json).unwrap(), site);
        }
    }

    #[test]
    fn a_region_that_is_none_of_aws_needs_a_server() {
        assert!(serde_json::from_str::<Site>(r#"{"region":"garage"}"#).is_err());
        assert!(serde_json::from_str::<Site>(r#"{"region":"a/b","endpointUrl":"https://s3.example.com"}"#).is_err());
        assert!(serde_json::from_str::<Site>(r#"{"region":"garage","endpointUrl":"http://s3.example.com"}"#).is_err());
    }
}
