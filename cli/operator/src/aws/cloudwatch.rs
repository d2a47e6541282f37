//! `CloudWatch`, over its JSON protocol.
//!
//! The crate `aws-sdk-cloudwatch` would enable further features of crates that the functions share, because they are built
//! in the same workspace: std and run-time detection of the compression that the stored blocks are made with.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use aws_adapters::error::{Fault, Reached};
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use domain::time::Timestamp;
use host::Clock;
use serde_json::{Value, json};

use super::answer::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, failure, incomplete};
use crate::{
    call::Call,
    failure::{CallFailure, CallFailureKind, Failure},
    ports::{AlarmState, DataPoint, MetricQuery},
};

/// The prefix of the operations' names.
const TARGET: &str = "GraniteServiceVersion20100801";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// The name of the service in signatures and host names.
const SERVICE: &str = "monitoring";

/// The most names of one request:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>.
const MAX_ALARM_NAMES: usize = 100;
const SECONDS_PER_HOUR: u64 = 3_600;

/// A client of `CloudWatch`. Requests are not repeated.
#[derive(Clone)]
pub(super) struct CloudWatch<K> {
    http: reqwest::Client,
    endpoint: String,
    region: String,
    credentials: SharedCredentialsProvider,
    clock: K,
}

impl<K> fmt::Debug for CloudWatch<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CloudWatch").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// An answer to a request.
struct Answer {
    status: u16,
    date: Option<Timestamp>,
    body: Value,
}

impl<K: Clock> CloudWatch<K> {
    pub(super) fn new(configuration: &SdkConfig, clock: K) -> Result<Self, Failure> {
        let region = configuration.region().map(ToString::to_string).unwrap_or_default();
        let credentials = configuration.credentials_provider();
        let credentials =
            credentials.ok_or_else(|| Failure::Credentials("no AWS credentials were found".to_owned()))?;
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(ATTEMPT_TIMEOUT).build();
        Ok(Self {
            http: http.map_err(|error| Failure::Credentials(format!("TLS can't be used: {error}")))?,
            endpoint: configuration.endpoint_url().map_or_else(|| endpoint(&region), ToOwned::to_owned),
            region,
            credentials,
            clock,
        })
    }

    /// Returns the state of alarms. Alarms that do not exist are left out.
    pub(super) async fn alarms(&self, names: &[String]) -> Result<Vec<AlarmState>, CallFailure> {
        let mut alarms = Vec::with_capacity(names.len());
        for names in names.chunks(MAX_ALARM_NAMES) {
            let body = json!({ "AlarmNames": names, "MaxRecords": MAX_ALARM_NAMES });
            let answer = self.ask(Call::DescribeAlarms, &body).await?;
            let found = answer["MetricAlarms"].as_array().into_iter().flatten();
            alarms.extend(found.map(|alarm| AlarmState {
                name: alarm["AlarmName"].as_str().unwrap_or_default().to_owned(),
                state: alarm["StateValue"].as_str().unwrap_or_default().to_owned(),
                has_actions: alarm["ActionsEnabled"].as_bool().unwrap_or_default(),
            }));
        }
        Ok(alarms)
    }

    /// Returns the hours of a metric that have data, the newest first.
    pub(super) async fn metric(&self, query: &MetricQuery) -> Result<Vec<DataPoint>, CallFailure> {
        let until = query.until.as_seconds().next_multiple_of(SECONDS_PER_HOUR);
        let dimensions = query.dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value }));
        let body = json!({
            "StartTime": until.saturating_sub(query.hours * SECONDS_PER_HOUR),
            "EndTime": until,
            "ScanBy": "TimestampDescending",
            "MetricDataQueries": [{
                "Id": "metric",
                "MetricStat": {
                    "Metric": {
                        "Namespace": query.namespace,
                        "MetricName": query.name,
                        "Dimensions": dimensions.collect::<Vec<_>>(),
                    },
                    "Period": SECONDS_PER_HOUR,
                    "Stat": query.statistic,
                },
            }],
        });
        let answer = self.ask(Call::GetMetricData, &body).await?;
        data_points(&answer).ok_or_else(|| incomplete(Call::GetMetricData, "readable MetricDataResults"))
    }

    /// Returns the time of the server's clock. A refused request has it too.
    pub(super) async fn time(&self) -> Result<Timestamp, CallFailure> {
        let answer = self.send(Call::DescribeAlarms, &json!({ "MaxRecords": 1 })).await?;
        answer.date.ok_or_else(|| incomplete(Call::DescribeAlarms, "Date"))
    }

    async fn ask(&self, call: Call, body: &Value) -> Result<Value, CallFailure> {
        let Answer { status, body, .. } = self.send(call, body).await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        // The code may follow the name of a namespace.
        let code = body["__type"].as_str().and_then(|code| code.rsplit('#').next());
        let message = body["message"].as_str().or_else(|| body["Message"].as_str()).unwrap_or("no message");
        let detail = format!("{}: {message}", code.unwrap_or("no code"));
        Err(failure(call, &Fault { code, status: Some(status), reached: Reached::Service }, detail))
    }

    async fn send(&self, call: Call, body: &Value) -> Result<Answer, CallFailure> {
        let refused = |detail: String| CallFailure { call, kind: CallFailureKind::Refused, detail };
        let body = body.to_string();
        let request = http::Request::post(&self.endpoint)
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-target", format!("{TARGET}.{}", call.operation()))
            .body(body)
            .map_err(|error| refused(format!("AWS_ENDPOINT_URL: {error}")))?;
        let request = self.signed(request).await.map_err(refused)?;
        let request = reqwest::Request::try_from(request).map_err(|error| refused(error.to_string()))?;
        let unavailable = |error: reqwest::Error| CallFailure {
            call,
            kind: CallFailureKind::Unavailable,
            // The error's own text repeats the URL.
            detail: error.without_url().to_string(),
        };
        let response = self.http.execute(request).await.map_err(unavailable)?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").and_then(|date| parse_date(date.to_str().ok()?));
        let body = response.bytes().await.map_err(unavailable)?;
        Ok(Answer { status, date, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Signs a request with the credentials.
    async fn signed(&self, mut request: http::Request<String>) -> Result<http::Request<String>, String> {
        let credentials = self.credentials.provide_credentials().await.map_err(|error| error.to_string())?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(UNIX_EPOCH + Duration::from_millis(self.clock.now().as_millis()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body().as_bytes());
        let signable = SignableRequest::new("POST", request.uri().to_string(), headers, body);
        let signable = signable.map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Returns the endpoint of a Region.
fn endpoint(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{SERVICE}.{region}.{suffix}/")
}

/// Parses the HTTP header `Date`.
fn parse_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Timestamp::from_millis(u64::try_from(time.as_millisecond()).ok()?)
}

/// Reads the times and values of the only result. `None`: they are malformed.
fn data_points(answer: &Value) -> Option<Vec<DataPoint>> {
    let result = answer["MetricDataResults"].as_array()?.first()?;
    let (times, values) = (result["Timestamps"].as_array()?, result["Values"].as_array()?);
    let points = times.iter().zip(values).map(|(time, value)| {
        let seconds = Duration::try_from_secs_f64(time.as_f64()?).ok()?.as_secs();
        Some(DataPoint { at: Timestamp::from_millis(seconds.checked_mul(1_000)?)?, value: value.as_f64()? })
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_in_the_regions_partition() {
        assert_eq!(endpoint("eu-central-1"), "https://monitoring.eu-central-1.amazonaws.com/");
        assert_eq!(endpoint("cn-north-1"), "https://monitoring.cn-north-1.amazonaws.com.cn/");
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let expected = Timestamp::parse("2026-11-28T20:35:36Z").unwrap();
        assert_eq!(parse_date("Sat, 28 Nov 2026 20:35:36 GMT"), Some(expected));
        assert_eq!(parse_date("2026-11-28"), None);
    }

    #[test]
    fn data_points_are_read() {
        let answer = json!({ "MetricDataResults": [
            { "Id": "metric", "Timestamps": [1_795_896_000, 1.795_892_4e9], "Values": [2.0, 1.0], "StatusCode": "Complete" },
        ] });
        let at = |text| Timestamp::parse(text).unwrap();
        let expected = [
            DataPoint { at: at("2026-11-28T20:00:00Z"), value: 2.0 },
            DataPoint { at: at("2026-11-28T19:00:00Z"), value: 1.0 },
        ];
        assert_eq!(data_points(&answer).unwrap(), expected);
        assert_eq!(data_points(&json!({ "MetricDataResults": [{ "Timestamps": [1], "Values": ["x"] }] })), None);
        assert_eq!(data_points(&json!({})), None);
    }
}
