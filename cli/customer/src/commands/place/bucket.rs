//! An export in its bucket, read with the user's own AWS credentials.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sdk_s3::{Client, config::Builder, primitives::ByteStream, types::EncodingType};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, LocalBoxStream},
};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde::Deserialize;
use verification::{BESIDE, Entry, ExportFiles, Place, ReadError};
use zeroize::Zeroizing;

use super::aws_error;
use crate::{
    aws_cli::{Aws, AwsCli},
    failure::Failure,
};

/// Attempts of one request, including the first.
const MAX_ATTEMPTS: u32 = 5;
/// The maximum number of times that reading one object resumes after a lost connection.
const MAX_RESUMPTIONS: u32 = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time without data.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An export in S3.
pub struct Bucket {
    client: Client,
    name: String,
    /// With a slash at its end.
    prefix: String,
}

impl Bucket {
    /// Finds credentials, Region and endpoint like the AWS CLI, unless they are given.
    pub async fn connect(place: &Place, region: Option<String>, endpoint_url: Option<&Url>) -> Result<Self, Failure> {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(timeouts);
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        if let Some(url) = endpoint_url {
            loader = loader.endpoint_url(url.as_str());
        }
        let mut configuration = loader.load().await;
        if configuration.region().is_none() {
            return Err(Failure::argument("--region", "is required, or set AWS_REGION"));
        }
        // Reports missing credentials more clearly than the first request would.
        if let Some(provider) = configuration.credentials_provider()
            && let Err(error) = provider.provide_credentials().await
        {
            let Some(credentials) = exported_credentials(&AwsCli::new()).await else {
                return Err(Failure::BucketRefused(aws_error::of_credentials(&error)));
            };
            let provider = SharedCredentialsProvider::new(credentials);
            configuration = configuration.into_builder().credentials_provider(provider).build();
        }
        Ok(Self::new(&configuration, place))
    }

    fn new(configuration: &SdkConfig, place: &Place) -> Self {
        // Other endpoints rarely have a host name for each bucket.
        let has_own_endpoint =
            configuration.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let client = Client::from_conf(Builder::from(configuration).force_path_style(has_own_endpoint).build());
        Self { client, name: place.bucket().as_str().to_owned(), prefix: format!("{}/", place.prefix()) }
    }

    /// Returns the key of a name, which may be beside the prefix.
    fn key(&self, name: &str) -> String {
        match name.strip_prefix(BESIDE) {
            Some(name) => format!("{}{name}", self.parent()),
            None => format!("{}{name}", self.prefix),
        }
    }

    /// Returns the name of a key in the list of `folder`.
    fn name(&self, key: &str, folder: &str) -> String {
        if folder.starts_with(BESIDE) {
            return format!("{BESIDE}{}", key.strip_prefix(self.parent()).unwrap_or(key));
        }
        key.strip_prefix(&self.prefix).unwrap_or(key).to_owned()
    }

    /// Returns the prefix above the export's: empty, or with a slash at its end.
    fn parent(&self) -> &str {
        let prefix = self.prefix.trim_end_matches('/');
        prefix.rfind('/').and_then(|at| prefix.get(..=at)).unwrap_or_default()
    }

    /// Returns the page after `token`, and the next token unless it is the last page.
    async fn page(
        &self,
        folder: &str,
        token: Option<String>,
    ) -> Result<(Vec<Result<Entry, ReadError>>, Option<String>), ReadError> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(self.key(folder))
            // Keys may have characters that XML does not allow.
            .encoding_type(EncodingType::Url)
            .set_continuation_token(token.clone())
            .send()
            .await
            .map_err(|error| read_error(&error))?;
        let next = answer.next_continuation_token.filter(|_| answer.is_truncated != Some(false));
        if (next.is_none() && answer.is_truncated == Some(true)) || (next.is_some() && next == token) {
            return Err(ReadError::Unreadable("S3's list of the bucket has an invalid continuation".to_owned()));
        }
        // Compatible services may not support it.
        let is_encoded = answer.encoding_type == Some(EncodingType::Url);
        let entries = answer.contents.unwrap_or_default().into_iter().map(|object| {
            let key = object.key.unwrap_or_default();
            let key = if is_encoded { decoded(&key)? } else { key };
            let name = self.name(&key, folder);
            let length = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            Ok(Entry { name, length })
        });
        Ok((entries.collect(), next))
    }

    /// Gets the rest of the object, if it has not changed since the first request.
    async fn get(&self, reading: &mut Reading<'_>) -> Result<ByteStream, ReadError> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(self.key(reading.name))
            .set_range((reading.offset > 0).then(|| format!("bytes={}-", reading.offset)))
            .set_if_match(reading.etag.clone())
            .send()
            .await
            .map_err(|error| read_error(&error))?;
        reading.etag = reading.etag.take().or(answer.e_tag);
        Ok(answer.body)
    }

    async fn next_piece(&self, reading: &mut Reading<'_>) -> Result<Option<Bytes>, ReadError> {
        loop {
            let mut body = match reading.body.take() {
                Some(body) => body,
                None => self.get(reading).await?,
            };
            match body.next().await {
                None => return Ok(None),
                Some(Ok(piece)) => {
                    reading.offset += piece.len() as u64;
                    reading.body = Some(body);
                    return Ok(Some(piece));
                }
                Some(Err(error)) if reading.resumptions >= MAX_RESUMPTIONS => {
                    return Err(ReadError::Unavailable(format!("{}: {}", reading.name, aws_error::of_body(&error))));
                }
                Some(Err(_)) => reading.resumptions += 1,
            }
        }
    }
}

/// The progress of reading an object.
#[derive(Default)]
struct Reading<'a> {
    name: &'a str,
    /// The part that is being received.
    body: Option<ByteStream>,
    etag: Option<String>,
    /// Bytes.
    offset: u64,
    resumptions: u32,
}

impl ExportFiles for Bucket {
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>> {
        // The token of the next page, which the first one does not have.
        stream::try_unfold(Some(None), move |token| async move {
            let Some(token) = token else { return Ok(None) };
            let (entries, next) = self.page(folder, token).await?;
            Ok(Some((stream::iter(entries), next.map(Some))))
        })
        .try_flatten()
        .boxed_local()
    }

    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>> {
        let reading = Reading { name, ..Reading::default() };
        stream::try_unfold(reading, move |mut reading| async move {
            Ok(self.next_piece(&mut reading).await?.map(|piece| (piece, reading)))
        })
        .boxed_local()
    }
}

/// What `aws configure export-credentials` prints: the form of `credential_process`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExportedCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// Returns the credentials of profiles that only the AWS command line can read, such as those with single sign-on. Version 1
/// of it can't export any.
async fn exported_credentials(aws: &impl Aws) -> Option<Credentials> {
    let output = aws.run(&["configure", "export-credentials", "--format", "process"]).await.ok()?;
    let output = Zeroizing::new(output);
    let ExportedCredentials { access_key_id, secret_access_key, session_token } = serde_json::from_str(&output).ok()?;
    Some(Credentials::new(access_key_id, secret_access_key, session_token, None, "AwsCli"))
}

/// Decodes a key of a list, where `+` is a space.
fn decoded(key: &str) -> Result<String, ReadError> {
    let spaced = key.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(ReadError::Unreadable(format!("S3's list of the bucket has a key that is not UTF-8: {key}"))),
    }
}

fn read_error<E>(error: &SdkError<E, HttpResponse>) -> ReadError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let response = error.raw_response();
    let status = response.map(|response| response.status().as_u16());
    let region = response.and_then(|response| response.headers().get("x-amz-bucket-region"));
    let service = error.as_service_error();
    let code = service.and_then(ProvideErrorMetadata::code);
    let text = aws_error::of_request(error);
    match (code, status) {
        (Some("NoSuchKey"), _) => ReadError::NotFound,
        (Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"), _)
        | (_, Some(301 | 307)) => {
            let hint = region.map_or_else(String::new, |region| format!("; it is in {region}: give --region {region}"));
            ReadError::Unreadable(format!("{text}{hint}"))
        }
        (_, Some(401 | 403)) => ReadError::Denied(text),
        (_, Some(412)) => ReadError::Unreadable(format!("an object changed while it was being read: {text}")),
        (_, Some(429 | 500..) | None) => ReadError::Unavailable(text),
        _ => ReadError::Unreadable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_cli::tests::Script;

    #[tokio::test]
    async fn credentials_of_single_sign_on_come_from_the_aws_command_line() {
        let command = "configure export-credentials --format process";
        let exported = r#"{"Version": 1, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret",
            "SessionToken": "token", "Expiration": "2026-11-22T10:00:00+00:00"}"#;
        let found = exported_credentials(&Script::new(&[(command, Ok(exported))])).await.unwrap();
        assert_eq!(
            (found.access_key_id(), found.secret_access_key(), found.session_token()),
            ("ASIAEXAMPLE", "secret", Some("token"))
        );
        for absent in [Err("argument operation: Invalid choice"), Ok(""), Ok("{}")] {
            assert!(exported_credentials(&Script::new(&[(command, absent)])).await.is_none());
        }
    }
}
