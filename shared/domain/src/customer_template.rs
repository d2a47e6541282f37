//! The CloudFormation template for a customer's role, and the link that opens it filled in for one configuration.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    configuration::{
        Authentication, ConfigurationId, Destination, ExportConfiguration, Layout, ServiceIdentity,
        arn::RoleArn,
        region::{Partition, Region},
    },
    connection::{Connection, ConnectionErrorCode},
    customer_policy::SERVICE_ROLE_PATH,
};

/// The URL at which the operator has published infra/customer/cloudformation.yaml: an HTTPS URL of an object in S3, from which
/// CloudFormation reads templates.
///
/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateUrl(String);

/// The most characters that CloudFormation accepts. Same source.
const MAX_TEMPLATE_URL_LENGTH: usize = 5_120;

/// The characters that are percent-encoded: all but the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl TemplateUrl {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, key) = text.strip_prefix("https://")?.split_once('/')?;
        let host_is_of_s3 = Partition::ALL.iter().any(|partition| {
            host.strip_suffix(partition.domain_suffix())
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| labels.split('.').any(|label| label == "s3" || label.starts_with("s3-")))
        });
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let is_url = text.len() <= MAX_TEMPLATE_URL_LENGTH
            && host.bytes().all(is_name)
            && !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte));
        (host_is_of_s3 && is_url).then(|| Self(text.to_owned()))
    }
}

/// Returns the names and values of the template's parameters. Empty where the template can't be used: it creates a role
/// without a path.
#[must_use]
pub fn parameters(configuration: &ExportConfiguration, service: &ServiceIdentity) -> Vec<(&'static str, String)> {
    let Some(role) = role_to_create(configuration) else { return Vec::new() };
    let Destination { bucket_name, bucket_path, kms_key_arn, expected_bucket_owner, .. } = &configuration.destination;
    vec![
        ("ServiceAccountId", service.account.to_string()),
        ("ServiceRolePath", SERVICE_ROLE_PATH.to_owned()),
        ("ExternalId", configuration.key.configuration_id.to_string()),
        ("RoleName", role.name().to_owned()),
        ("BucketName", bucket_name.to_string()),
        ("BucketPath", bucket_path.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("BucketOwnerAccountId", expected_bucket_owner.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("CreateBucket", creates_bucket(configuration, role).to_string()),
        ("KmsKeyArn", kms_key_arn.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("CreateKmsKey", false.to_string()),
    ]
}

/// Returns a link that opens the CloudFormation console in the bucket's Region, with the template and its parameters filled
/// in. `None` where the template can't be used, and in partitions without a public address of the console.
///
/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-create-stacks-quick-create-links.html>.
#[must_use]
pub fn launch_url(
    template: &TemplateUrl,
    configuration: &ExportConfiguration,
    service: &ServiceIdentity,
) -> Option<String> {
    role_to_create(configuration)?;
    let region = configuration.destination.site.aws_region()?;
    let mut url = format!(
        "https://{}/cloudformation/home?region={region}#/stacks/create/review?templateURL={}&stackName={}",
        console(region)?,
        utf8_percent_encode(&template.0, RESERVED),
        stack_name(configuration.key.configuration_id)
    );
    for (name, value) in parameters(configuration, service) {
        url.extend(["&param_", name, "="]);
        url.extend(utf8_percent_encode(&value, RESERVED));
    }
    Some(url)
}

fn role_to_create(configuration: &ExportConfiguration) -> Option<&RoleArn> {
    // Security Lake creates the role of its source, and the template allows the export's folder only.
    if configuration.destination.layout == Layout::SecurityLake {
        return None;
    }
    match &configuration.authentication {
        Authentication::AssumedRole { role_arn } => (!role_arn.has_path()).then_some(role_arn),
        Authentication::AccessKey { .. } => None,
    }
}

/// Returns whether the template creates the bucket: if the last test did not find it, and it belongs to the role's account.
fn creates_bucket(configuration: &ExportConfiguration, role: &RoleArn) -> bool {
    let is_missing = matches!(&configuration.connection, Connection::Failed { error, .. }
        if error.code == ConnectionErrorCode::BucketNotFound);
    is_missing && configuration.destination.expected_bucket_owner.as_ref().is_none_or(|owner| owner == role.account())
}

/// Returns the host of the console: <https://docs.aws.amazon.com/awsconsolehelpdocs/latest/gsg/console-urls.html>, for China
/// <https://docs.amazonaws.cn/en_us/aws/latest/userguide/endpoints-Beijing.html>, for `GovCloud`
/// <https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/using-govcloud-endpoints.html>.
fn console(region: &Region) -> Option<String> {
    let domain = match region.partition() {
        Partition::Commercial => "aws.amazon.com",
        Partition::China => "amazonaws.cn",
        Partition::UsGov => "amazonaws-us-gov.com",
        Partition::Iso | Partition::IsoB | Partition::IsoE | Partition::IsoF | Partition::EuropeanSovereignCloud => {
            return None;
        }
    };
    Some(format!("{region}.console.{domain}"))
}

/// Returns the name of the stack. `StackName` allows at most 128 letters, digits and hyphens, a letter first.
fn stack_name(id: ConfigurationId) -> String {
    format!("audit-export-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{
            arn::AccountId,
            bucket::BucketPath,
            test_support::{service, with_key, with_role},
        },
        connection::ConnectionError,
        time::Timestamp,
    };

    const TEMPLATE: &str = "https://templates.s3.eu-west-1.amazonaws.com/a+b/audit-export.yaml";

    fn template() -> TemplateUrl {
        TemplateUrl::parse(TEMPLATE).unwrap()
    }

    fn with_destination(destination: Destination) -> ExportConfiguration {
        ExportConfiguration { destination, ..with_role() }
    }

    #[test]
    fn the_link_fills_every_parameter_in() {
        let bucket_path = Some(BucketPath::parse("audit/logs(1)='x'!").unwrap());
        let configuration = with_destination(Destination { bucket_path, ..with_role().destination });
        insta::assert_snapshot!(
            launch_url(&template(), &configuration, &service()).unwrap().replace('&', "\n&"),
            @r"
            https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/create/review?templateURL=https%3A%2F%2Ftemplates.s3.eu-west-1.amazonaws.com%2Fa%2Bb%2Faudit-export.yaml
            &stackName=audit-export-0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
            &param_ServiceAccountId=111111111111
            &param_ServiceRolePath=audit-export
            &param_ExternalId=0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
            &param_RoleName=export
            &param_BucketName=acme-audit
            &param_BucketPath=audit%2Flogs%281%29%3D%27x%27%21
            &param_BucketOwnerAccountId=222222222222
            &param_CreateBucket=false
            &param_KmsKeyArn=arn%3Aaws%3Akms%3Aeu-west-1%3A222222222222%3Akey%2F1234abcd-12ab-34cd-56ef-1234567890ab
            &param_CreateKmsKey=false
            "
        );
    }

    #[test]
    fn security_lake_creates_its_role_itself() {
        let destination = Destination { layout: Layout::SecurityLake, ..with_role().destination };
        assert_eq!(parameters(&with_destination(destination), &service()), []);
        assert_ne!(parameters(&with_role(), &service()), []);
    }

    #[test]
    fn the_console_is_that_of_the_partition() {
        for (region, console) in [
            (
                "ap-southeast-2",
                Some("https://ap-southeast-2.console.aws.amazon.com/cloudformation/home?region=ap-southeast-2#/"),
            ),
            ("cn-north-1", Some("https://cn-north-1.console.amazonaws.cn/cloudformation/home?region=cn-north-1#/")),
            (
                "us-gov-west-1",
                Some("https://us-gov-west-1.console.amazonaws-us-gov.com/cloudformation/home?region=us-gov-west-1#/"),
            ),
            ("us-iso-east-1", None),
            ("eusc-de-east-1", None),
        ] {
            let site = Region::parse(region).unwrap().into();
            let configuration = with_destination(Destination { site, ..with_role().destination });
            let url = launch_url(&template(), &configuration, &service());
            assert_eq!(url.is_some(), console.is_some());
            assert!(console.is_none_or(|console| url.unwrap().starts_with(console)));
        }
    }

    #[test]
    fn the_template_makes_no_user_and_no_path() {
        let role_arn = RoleArn::parse("arn:aws:iam::222222222222:role/team/export").unwrap();
        let elsewhere = ExportConfiguration { authentication: Authentication::AssumedRole { role_arn }, ..with_role() };
        for configuration in [with_key(), elsewhere] {
            assert_eq!(launch_url(&template(), &configuration, &service()), None);
            assert_eq!(parameters(&configuration, &service()), []);
        }
    }

    #[test]
    fn a_bucket_is_made_only_where_it_is_missing() {
        let creates = |code, owner: Option<&str>| {
            let error = ConnectionError { code, message: String::new() };
            let expected_bucket_owner = owner.map(|owner| AccountId::parse(owner).unwrap());
            let connection = Connection::Failed { checked_at: Timestamp::EPOCH, error };
            let destination = Destination { expected_bucket_owner, ..with_role().destination };
            let configuration = ExportConfiguration { destination, connection, ..with_role() };
            let parameters = parameters(&configuration, &service());
            parameters.into_iter().find(|(name, _)| *name == "CreateBucket").unwrap().1
        };
        assert_eq!(creates(ConnectionErrorCode::BucketNotFound, None), "true");
        assert_eq!(creates(ConnectionErrorCode::BucketNotFound, Some("222222222222")), "true");
        assert_eq!(creates(ConnectionErrorCode::BucketNotFound, Some("333333333333")), "false");
        assert_eq!(creates(ConnectionErrorCode::WriteDenied, None), "false");
    }

    #[test]
    fn a_template_lies_in_s3() {
        for good in [
            "https://templates.s3.amazonaws.com/audit-export.yaml",
            "https://templates.s3.eu-west-1.amazonaws.com/v1/audit-export.yaml",
            "https://s3.cn-north-1.amazonaws.com.cn/templates/audit-export.yaml",
            "https://s3-us-west-2.amazonaws.com/templates/audit-export.yaml",
        ] {
            assert!(TemplateUrl::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "http://templates.s3.amazonaws.com/audit-export.yaml",
            "https://templates.s3.amazonaws.com/",
            "https://templates.s3.amazonaws.com",
            "https://templates.example.com/audit-export.yaml",
            "https://s3.amazonaws.com.example.com/audit-export.yaml",
            "https://user@templates.s3.amazonaws.com/audit-export.yaml",
            "https://templates.s3.amazonaws.com/audit-export.yaml?a=b",
            "https://templates.s3.amazonaws.com/a b",
        ] {
            assert_eq!(TemplateUrl::parse(bad), None, "{bad}");
        }
    }
}
