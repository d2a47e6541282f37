//! What setup finds in the customer's AWS account: the identity of the credentials, the buckets, and a bucket's properties.

use domain::configuration::{
    ServiceIdentity,
    arn::{AccountId, KmsKeyArn},
    bucket::BucketName,
    region::{Partition, Region},
};
use serde::{Deserialize, de::DeserializeOwned};
use terminal::text::printable;

use crate::aws_cli::Aws;

/// The text of the spinner during commands of the AWS command line.
pub const ASKING_AWS: &str = "Asking AWS";

/// The environment variables with the Region, in the order of the AWS command line.
pub const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Buckets that are listed. Others can be named.
pub const MAX_LISTED_BUCKETS: usize = 20;

/// The Region of a bucket without a location constraint.
const FIRST_REGION: &str = "us-east-1";
/// The old name of a location, and its Region.
const OLD_LOCATION: (&str, &str) = ("EU", "eu-west-1");

/// The identity of the AWS credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub account: AccountId,
    pub partition: Partition,
    /// The user or role, without the account.
    pub name: String,
    /// The Region of the environment or the profile.
    pub region: Option<Region>,
    /// The Region to send requests to if no other is known.
    pub fallback_region: Region,
}

impl Caller {
    pub fn request_region(&self) -> &Region {
        self.region.as_ref().unwrap_or(&self.fallback_region)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    account: String,
    arn: String,
}

/// Finds whose credentials the AWS command line has. The reason says why there are none for an export.
pub async fn identify(aws: &impl Aws, given_region: Option<&str>, service: &ServiceIdentity) -> Result<Caller, String> {
    let configured = match given_region {
        Some(region) => Some(region.to_owned()),
        None => aws.run(&["configure", "get", "region"]).await.ok(),
    };
    let region = configured.and_then(|region| Region::parse(region.trim()).ok());
    let fallback_region = service.region.clone();
    let request_region = region.as_ref().unwrap_or(&fallback_region).to_string();
    let arguments = ["sts", "get-caller-identity", "--region", &request_region, "--output", "json"];
    let Identity { account, arn } = parse(&aws.run(&arguments).await.map_err(|error| error.to_string())?)?;
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let (["arn", partition, _, _, _, name], Ok(account)) = (&fields[..], AccountId::parse(&account)) else {
        return Err("AWS returned an unknown form of identity".to_owned());
    };
    if *partition != service.partition.as_str() {
        return Err(format!(
            "the credentials are of the partition {partition}, and the service is in {}",
            service.partition
        ));
    }
    if account == service.account {
        return Err(format!("the credentials are of the service's own account {account}, which can't be exported to"));
    }
    Ok(Caller { account, partition: service.partition, name: printable(name), region, fallback_region })
}

/// Returns the names of the account's buckets, in order.
pub async fn buckets(aws: &impl Aws, caller: &Caller) -> Result<Vec<String>, String> {
    let region = caller.request_region().as_str();
    let arguments = ["s3api", "list-buckets", "--region", region, "--query", "Buckets[].Name", "--output", "json"];
    let names: Option<Vec<String>> = parse(&aws.run(&arguments).await.map_err(|error| error.to_string())?)?;
    let mut names = names.unwrap_or_default();
    // Others, such as directory buckets, can't take an export.
    names.retain(|name| BucketName::parse(name).is_ok());
    names.sort();
    Ok(names)
}

/// A bucket for the export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    /// Whether setup has to create it.
    pub is_new: bool,
    /// `None`: the credentials may not find it out.
    pub region: Option<Region>,
    /// The customer's key that the bucket encrypts with.
    pub kms_key_arn: Option<String>,
    /// Whether it is known to be of the caller's account.
    pub is_own: bool,
}

/// Returns the bucket that an answer stands for: its number among the shown ones of the list, or a name.
pub fn pick<'a>(answer: &'a str, listed: &'a [String]) -> &'a str {
    let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match number.filter(|index| *index < MAX_LISTED_BUCKETS).and_then(|index| listed.get(index)) {
        Some(name) if !listed.iter().any(|name| name == answer) => name,
        _ => answer,
    }
}

/// Finds out what the export has to know of a bucket. `listed` are the account's buckets, if they could be listed.
pub async fn look_up(aws: &impl Aws, name: &str, listed: Option<&[String]>, caller: &Caller) -> Result<Bucket, String> {
    BucketName::parse(name).map_err(|error| error.rule)?;
    let is_listed = listed.is_some_and(|names| names.iter().any(|listed| listed == name));
    if !is_listed {
        let region = caller.request_region().as_str();
        match aws.run(&["s3api", "head-bucket", "--region", region, "--bucket", name]).await {
            Err(error) if matches!(error.code(), Some("404" | "NoSuchBucket")) => {
                let region = caller.region.clone();
                return Ok(Bucket { name: name.to_owned(), is_new: true, region, kms_key_arn: None, is_own: true });
            }
            // The list may be forbidden, and the bucket not.
            Ok(_) if listed.is_none() => {}
            // The credentials may have expired, for example.
            Err(error) if !matches!(error.code(), Some("301" | "403")) => return Err(error.to_string()),
            _ => {
                return Err(format!(
                    "The bucket {name} exists, and is not among those of your account {}.\n  Name another one. For a bucket \
                     of another account: audit-export setup --manual --restart",
                    caller.account
                ));
            }
        }
    }
    let region = region_of(aws, name, caller).await;
    let kms_key_arn = match &region {
        Some(region) => key_of(aws, name, region).await,
        None => None,
    };
    Ok(Bucket { name: name.to_owned(), is_new: false, region, kms_key_arn, is_own: is_listed })
}

async fn region_of(aws: &impl Aws, bucket: &str, caller: &Caller) -> Option<Region> {
    let region = caller.request_region().as_str();
    let query = ["--query", "LocationConstraint", "--output", "json"];
    let arguments = [&["s3api", "get-bucket-location", "--region", region, "--bucket", bucket][..], &query].concat();
    let location: Option<String> = parse(&aws.run(&arguments).await.ok()?).ok()?;
    let location = location.unwrap_or_else(|| FIRST_REGION.to_owned());
    Region::parse(if location == OLD_LOCATION.0 { OLD_LOCATION.1 } else { &location }).ok()
}

#[derive(Deserialize)]
struct Encryption {
    #[serde(rename = "KMSMasterKeyID")]
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    arn: String,
    key_manager: String,
}

/// Returns the customer's key that a bucket encrypts with. Without the permission to see it, the connection test finds out.
async fn key_of(aws: &impl Aws, bucket: &str, region: &Region) -> Option<String> {
    let query = "ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault";
    let command = ["s3api", "get-bucket-encryption", "--region", region.as_str(), "--bucket", bucket];
    let arguments = [&command[..], &["--query", query, "--output", "json"]].concat();
    let encryption: Option<Encryption> = parse(&aws.run(&arguments).await.ok()?).ok()?;
    let key = encryption?.key?;
    if KmsKeyArn::parse(&key).is_ok() {
        return Some(key);
    }
    // An alias, or an ID without the account.
    let option = format!("--key-id={key}");
    let command = ["kms", "describe-key", "--region", region.as_str(), &option];
    let arguments = [&command[..], &["--query", "KeyMetadata", "--output", "json"]].concat();
    let key: Key = parse(&aws.run(&arguments).await.ok()?).ok()?;
    // The key that AWS manages needs no permission of the role.
    (key.key_manager == "CUSTOMER" && KmsKeyArn::parse(&key.arn).is_ok()).then_some(key.arn)
}

/// Parses the output of a command.
pub(super) fn parse<T: DeserializeOwned>(output: &str) -> Result<T, String> {
    // Without a result, the command line prints nothing.
    let output = if output.trim().is_empty() { "null" } else { output };
    serde_json::from_str(output).map_err(|_| "the AWS command line printed something unexpected".to_owned())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::aws_cli::tests::{Output, Script};

    const IDENTITY: &str = "sts get-caller-identity --region eu-west-1 --output json";
    const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn service() -> ServiceIdentity {
        ServiceIdentity {
            account: AccountId::parse("111111111111").unwrap(),
            partition: Partition::Commercial,
            region: Region::parse("us-east-1").unwrap(),
        }
    }

    pub fn caller() -> Caller {
        Caller {
            account: AccountId::parse("222222222222").unwrap(),
            partition: Partition::Commercial,
            name: "user/zoe".to_owned(),
            region: Some(Region::parse("eu-west-1").unwrap()),
            fallback_region: service().region,
        }
    }

    #[tokio::test]
    async fn the_identity_is_that_of_the_credentials() {
        let zoe = r#"{"UserId": "AIDA", "Account": "222222222222", "Arn": "arn:aws:iam::222222222222:user/zoe"}"#;
        let aws = Script::new(&[("configure get region", Ok("eu-west-1\n")), (IDENTITY, Ok(zoe))]);
        assert_eq!(identify(&aws, None, &service()).await.unwrap(), caller());
        let aws = Script::new(&[(IDENTITY, Ok(zoe))]);
        assert_eq!(identify(&aws, Some("eu-west-1"), &service()).await.unwrap(), caller());

        // Without a Region, the service's is asked.
        let admin =
            r#"{"Account": "222222222222", "Arn": "arn:aws:sts::222222222222:assumed-role/Admin/zoe@example.com"}"#;
        let aws = Script::new(&[
            ("configure get region", Err("exit status: 1")),
            ("sts get-caller-identity --region us-east-1", Ok(admin)),
        ]);
        let found = identify(&aws, None, &service()).await.unwrap();
        assert_eq!((&*found.name, found.region), ("assumed-role/Admin/zoe@example.com", None));
    }

    #[tokio::test]
    async fn credentials_that_no_export_can_use_are_refused_with_the_reason() {
        for (answer, reason) in [
            (Err("Unable to locate credentials."), "Unable to locate credentials."),
            (
                Ok(r#"{"Account": "111111111111", "Arn": "arn:aws:iam::111111111111:root"}"#),
                "the service's own account",
            ),
            (Ok(r#"{"Account": "222222222222", "Arn": "arn:aws-cn:iam::222222222222:root"}"#), "partition aws-cn"),
            (Ok(r#"{"Account": "2", "Arn": "arn:aws:iam::2:root"}"#), "unknown form"),
            (Ok("{}"), "unexpected"),
        ] {
            let refused = identify(&Script::new(&[(IDENTITY, answer)]), Some("eu-west-1"), &service()).await;
            assert!(refused.as_ref().unwrap_err().contains(reason), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn buckets_are_listed_in_order() {
        let list = "s3api list-buckets --region eu-west-1 --query Buckets[].Name --output json";
        let aws = Script::new(&[(list, Ok(r#"["b-logs", "a-logs", "-x"]"#)), (list, Ok("null\n")), (list, Err("No."))]);
        assert_eq!(buckets(&aws, &caller()).await.unwrap(), ["a-logs", "b-logs"]);
        assert!(buckets(&aws, &caller()).await.unwrap().is_empty());
        assert!(buckets(&aws, &caller()).await.unwrap_err().contains("No."));
    }

    #[test]
    fn a_number_stands_for_a_listed_bucket() {
        let listed = ["acme-audit", "2026", "3"].map(ToOwned::to_owned);
        for (answer, picked) in [
            ("1", "acme-audit"),
            ("2", "2026"),
            ("3", "3"),
            ("0", "0"),
            ("4", "4"),
            ("2026", "2026"),
            ("new-one", "new-one"),
        ] {
            assert_eq!(pick(answer, &listed), picked);
        }
        // Only those that are shown have a number.
        let listed: Vec<String> = (1..=25).map(|number| format!("acme-{number}")).collect();
        assert_eq!((pick("20", &listed), pick("21", &listed)), ("acme-20", "21"));
    }

    #[tokio::test]
    async fn a_listed_bucket_has_its_region_and_its_key() {
        let listed = ["acme-audit".to_owned()];
        let location = "s3api get-bucket-location --region eu-west-1 --bucket acme-audit";
        let encryption = "s3api get-bucket-encryption --region eu-west-1 --bucket acme-audit";
        let denied = Err("An error occurred (AccessDenied) when calling the operation: No.");
        let aes = Ok(r#"{"SSEAlgorithm": "AES256"}"#);
        let with_key = format!(r#"{{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "{KEY}"}}"#);
        let with_alias = Ok(r#"{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/audit"}"#);
        let described = |manager: &str| format!(r#"{{"Arn": "{KEY}", "KeyManager": "{manager}", "Enabled": true}}"#);
        let (by_customer, by_aws) = (described("CUSTOMER"), described("AWS"));
        let describe = "kms describe-key --region eu-west-1 --key-id=alias/audit";
        let steps: [(&[(&str, Output<'_>)], _, _); 7] = [
            (&[(location, Ok("\"eu-west-1\"")), (encryption, aes)], Some("eu-west-1"), None),
            (&[(location, Ok("\"EU\"")), (encryption, Ok(&with_key))], Some("eu-west-1"), Some(KEY)),
            (
                &[(location, Ok("\"eu-west-1\"")), (encryption, with_alias), (describe, Ok(&by_customer))],
                Some("eu-west-1"),
                Some(KEY),
            ),
            (
                &[(location, Ok("\"eu-west-1\"")), (encryption, with_alias), (describe, Ok(&by_aws))],
                Some("eu-west-1"),
                None,
            ),
            (
                &[(location, Ok("null")), ("s3api get-bucket-encryption --region us-east-1", aes)],
                Some("us-east-1"),
                None,
            ),
            (&[(location, Ok("\"eu-west-1\"")), (encryption, denied)], Some("eu-west-1"), None),
            (&[(location, denied)], None, None),
        ];
        for (steps, region, key) in steps {
            let aws = Script::new(steps);
            let found = look_up(&aws, "acme-audit", Some(&listed), &caller()).await.unwrap();
            aws.assert_finished();
            assert!(found.is_own && !found.is_new);
            assert_eq!((found.region.as_ref().map(Region::as_str), found.kms_key_arn.as_deref()), (region, key));
        }
    }

    #[tokio::test]
    async fn an_unlisted_bucket_is_new_only_if_nobody_has_it() {
        let head = "s3api head-bucket --region eu-west-1 --bucket acme-audit";
        let absent = Err("An error occurred (404) when calling the HeadBucket operation: Not Found");
        let foreign = Err("An error occurred (403) when calling the HeadBucket operation: Forbidden");
        let listed: &[String] = &["acme-logs".to_owned()];
        for list in [Some(listed), None] {
            let found = look_up(&Script::new(&[(head, absent)]), "acme-audit", list, &caller()).await.unwrap();
            assert!(found.is_new && found.is_own && found.region == caller().region);
            let refused = look_up(&Script::new(&[(head, foreign)]), "acme-audit", list, &caller()).await.unwrap_err();
            assert!(refused.contains("not among those of your account 222222222222"), "{refused}");
        }
        let expired = Err("An error occurred (ExpiredToken) when calling the HeadBucket operation: Expired");
        let failed = look_up(&Script::new(&[(head, expired)]), "acme-audit", None, &caller()).await.unwrap_err();
        assert!(failed.contains("ExpiredToken") && !failed.contains("exists"), "{failed}");
        assert!(look_up(&Script::new(&[(head, Ok(""))]), "acme-audit", Some(listed), &caller()).await.is_err());
        let unlisted = [(head, Ok("")), ("s3api get-bucket-location", Err("No."))];
        let found = look_up(&Script::new(&unlisted), "acme-audit", None, &caller()).await.unwrap();
        assert!(!found.is_new && !found.is_own);
        // No command gets a name that is none.
        assert!(look_up(&Script::new(&[]), "--region", None, &caller()).await.unwrap_err().contains("bucket"));
    }
}
