//! Delivers batches of events to the service.

use std::{cell::RefCell, io::BufRead, path::PathBuf, pin::pin, time::Duration};

use clap::{ArgAction, Args};
use domain::{event::MAX_EVENTS_PER_BODY, tenant::TenantId};
use futures::{StreamExt, stream};
use host::Random;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::{
    Client, StatusCode, Url,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    batches::{Batch, Batches},
    input::InputError,
};
use crate::{
    access::AccessArguments,
    api::{self, diagnose, explain},
    failure::Failure,
};

/// The path for events below the service's base URL.
const EVENTS_PATH: &str = "/api/audit/events";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// API Gateway gives up after 29 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);
const MAX_ATTEMPTS: u32 = 8;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// The longest pause that the service may request: until a new quota begins.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
pub const MAX_CONCURRENCY: u64 = 64;
const MAX_EVENTS_PER_BATCH: u64 = MAX_EVENTS_PER_BODY as u64;

/// The arguments about requests with events.
#[derive(Debug, Args)]
pub struct DeliveryArguments {
    #[command(flatten)]
    access: AccessArguments,

    /// The maximum number of events per request; a request also stays below 3 MiB
    #[arg(long, alias = "batch", default_value_t = 4_000, value_name = "EVENTS",
        value_parser = clap::value_parser!(u64).range(1..=MAX_EVENTS_PER_BATCH))]
    pub batch_size: u64,

    /// Compress the requests
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", value_name = "true|false")]
    gzip: bool,

    /// The maximum number of concurrent requests
    #[arg(long, default_value_t = 4, value_name = "REQUESTS",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY))]
    concurrency: u64,
}

/// The result of one request, or of the command.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Events that the service accepted.
    pub accepted: u64,
    pub requests: u64,
    /// Attempts after the first one of each request.
    pub retries: u64,
    /// Bytes of NDJSON.
    pub event_bytes: u64,
    /// Bytes of the requests' bodies, each counted once.
    pub sent_bytes: u64,
    pub seconds: f64,
}

impl Summary {
    pub fn add(&mut self, delivered: &Self) {
        self.accepted += delivered.accepted;
        self.requests += delivered.requests;
        self.retries += delivered.retries;
        self.event_bytes += delivered.event_bytes;
        self.sent_bytes += delivered.sent_bytes;
    }
}

#[derive(Deserialize)]
struct Accepted {
    accepted: u64,
}

/// The failure of an attempt.
enum AttemptError {
    Temporary { reason: String, retry_after: Option<Duration> },
    Final(Failure),
}

/// The batches of one input.
pub struct Delivery<R> {
    pub path: PathBuf,
    pub batches: Batches<R>,
    /// Returns whether the service has accepted the batch of this number already.
    pub is_accepted: Box<dyn Fn(u64) -> bool + Send>,
}

/// Creates a progress bar on standard error, hidden without a terminal.
pub fn progress_bar(length: Option<u64>) -> Result<ProgressBar, Failure> {
    let template = match length {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} (ready in {eta})",
        None => "{spinner} {bytes} {binary_bytes_per_sec} {msg}",
    };
    let style = ProgressStyle::with_template(template).map_err(|error| Failure::argument("progress", error))?;
    Ok(ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr()).with_style(style))
}

pub struct Sender<'a> {
    client: Client,
    url: Url,
    /// The tenant that the token names, if it shows one.
    tenant: Option<TenantId>,
    random: &'a dyn Random,
    gzip: bool,
    concurrency: usize,
}

impl<'a> Sender<'a> {
    pub async fn new(arguments: &DeliveryArguments, random: &'a dyn Random) -> Result<Self, Failure> {
        let access = arguments.access.resolve().await?;
        Ok(Self {
            random,
            client: api::client(&access, REQUEST_TIMEOUT)?,
            url: api::endpoint(&access.url, EVENTS_PATH)?,
            tenant: access.token.tenant().cloned(),
            gzip: arguments.gzip,
            concurrency: usize::try_from(arguments.concurrency).unwrap_or(1),
        })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// Delivers all batches that were not accepted before, and reports the number and the result of each to `delivered`.
    ///
    /// Reads on another thread, sends `concurrency` requests at a time, and stops at the first final failure. It waits for
    /// concurrent requests, so that all that was accepted is reported.
    pub async fn deliver_all<R: BufRead + Send + 'static>(
        &self,
        delivery: Delivery<R>,
        mut delivered: impl FnMut(u64, &Summary) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (sender, receiver) = mpsc::channel(1);
        let gzip = self.gzip;
        tokio::task::spawn_blocking(move || {
            let Delivery { path, mut batches, is_accepted } = delivery;
            loop {
                let next = batches.next_batch().map_err(|error| match error {
                    InputError::Read(source) if source.raw_os_error().is_some() => Failure::file(&path)(source),
                    bad => Failure::invalid_file(&path, bad),
                });
                let next = match next.transpose() {
                    None => return,
                    Some(Ok(batch)) if is_accepted(batch.number) => continue,
                    Some(Ok(batch)) if gzip => batch.compress().map_err(Failure::file(&path)),
                    Some(next) => next,
                };
                let goes_on = next.is_ok();
                if sender.blocking_send(next).is_err() || !goes_on {
                    return;
                }
            }
        });

        let first_failure = RefCell::new(None);
        let requests = stream::unfold(receiver, |mut receiver| {
            let failed = first_failure.borrow().is_some();
            async move { if failed { None } else { receiver.recv().await.map(|batch| (batch, receiver)) } }
        });
        let deliver = async |batch: Result<Batch, Failure>| {
            let batch = batch?;
            Ok((batch.number, self.deliver(batch).await?))
        };
        let mut deliveries = pin!(requests.map(deliver).buffer_unordered(self.concurrency));
        while let Some(outcome) = deliveries.next().await {
            let outcome = outcome.and_then(|(number, summary)| delivered(number, &summary));
            if let Err(failure) = outcome {
                first_failure.borrow_mut().get_or_insert(failure);
            }
        }
        first_failure.take().map_or(Ok(()), Err)
    }

    /// Sends one batch until it is accepted, refused, or has failed [`MAX_ATTEMPTS`] times.
    async fn deliver(&self, batch: Batch) -> Result<Summary, Failure> {
        let mut retries = 0;
        loop {
            match self.attempt(&batch).await {
                Ok(accepted) => {
                    return Ok(Summary {
                        accepted,
                        requests: 1,
                        retries: u64::from(retries),
                        event_bytes: batch.event_bytes,
                        sent_bytes: batch.body.len() as u64,
                        ..Summary::default()
                    });
                }
                Err(AttemptError::Final(failure)) => return Err(failure),
                Err(AttemptError::Temporary { reason, .. }) if retries + 1 >= MAX_ATTEMPTS => {
                    return Err(Failure::Unavailable(format!("after {MAX_ATTEMPTS} attempts: {reason}")));
                }
                Err(AttemptError::Temporary { retry_after, .. }) => {
                    let pause = retry_after.unwrap_or_else(|| backoff(retries).mul_f64(self.random.fraction()));
                    tokio::time::sleep(pause.min(MAX_RETRY_AFTER)).await;
                    retries += 1;
                }
            }
        }
    }

    /// Sends the batch once, and returns the number of accepted events.
    async fn attempt(&self, batch: &Batch) -> Result<u64, AttemptError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header(IDEMPOTENCY_KEY, &batch.idempotency_key);
        if batch.compressed {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let no_answer =
            |error| AttemptError::Temporary { reason: diagnose(error, &self.url).to_string(), retry_after: None };
        let answer = request.body(batch.body.clone()).send().await.map_err(no_answer)?;
        let status = answer.status();
        let retry_after = retry_after(answer.headers());
        let text = api::read_text(answer).await.map_err(no_answer)?;
        if status.is_success() {
            return serde_json::from_str(&text).map(|Accepted { accepted }| accepted).map_err(|_| {
                AttemptError::Final(Failure::Unavailable(format!(
                    "{status}, but the answer has no number of accepted events; check the URL"
                )))
            });
        }
        let reason = explain(status, &text);
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => AttemptError::Temporary { reason, retry_after },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => AttemptError::Final(Failure::TokenRefused(reason)),
            _ => {
                let what = format!("the events from line {} to line {}", batch.first_line, batch.last_line);
                AttemptError::Final(Failure::Refused { what, reason })
            }
        })
    }
}

/// Returns the longest pause, which grows exponentially. The actual one is random (full jitter), so that many senders don't
/// return at the same time.
fn backoff(retries: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(retries)).min(MAX_BACKOFF)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::test_server::{response, serve};

    /// Sends a batch to a server that gives these answers, the last one repeatedly. Returns also the requests' keys.
    async fn deliver_to(answers: Vec<Vec<u8>>) -> (Result<Summary, Failure>, Vec<String>) {
        let keys = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&keys);
        let next = AtomicUsize::new(0);
        let url = serve(move |request| {
            seen.lock().unwrap().push(request.header(IDEMPOTENCY_KEY).unwrap().to_owned());
            answers[next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)].clone()
        });
        let url = url.parse().unwrap();
        let sender =
            Sender { client: Client::new(), url, tenant: None, random: &host::Machine, gzip: false, concurrency: 1 };
        let batch = Batches::new(&b"{}\n"[..], 1, Vec::new()).next_batch().unwrap().unwrap();
        let outcome = sender.deliver(batch).await;
        let keys = keys.lock().unwrap().clone();
        (outcome, keys)
    }

    fn accepted() -> Vec<u8> {
        response("202 Accepted", "", r#"{"accepted":1}"#)
    }

    fn busy() -> Vec<u8> {
        response("503 Busy", "retry-after: 0\r\n", "")
    }

    #[tokio::test]
    async fn temporary_failures_are_repeated_with_the_same_key() {
        let (outcome, keys) = deliver_to(vec![busy(), busy(), accepted()]).await;
        let delivered = outcome.unwrap_or_else(|failure| unreachable!("{failure}"));
        assert_eq!((delivered.accepted, delivered.retries), (1, 2));
        assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }

    #[tokio::test]
    async fn repeating_ends() {
        let (outcome, keys) = deliver_to(vec![busy()]).await;
        assert!(matches!(outcome, Err(Failure::Unavailable(_))));
        assert_eq!(keys.len(), MAX_ATTEMPTS as usize);
    }

    #[tokio::test]
    async fn final_failures_are_not_repeated() {
        let (outcome, keys) = deliver_to(vec![response("400 Bad", "", "")]).await;
        assert!(matches!(outcome, Err(Failure::Refused { .. })) && keys.len() == 1);
        let (outcome, keys) = deliver_to(vec![response("403 No", "", "")]).await;
        assert!(matches!(outcome, Err(Failure::TokenRefused(_))) && keys.len() == 1);
    }

    #[test]
    fn pauses_grow_up_to_a_bound() {
        assert_eq!(backoff(0), FIRST_BACKOFF);
        assert_eq!(backoff(1), FIRST_BACKOFF * 2);
        assert_eq!(backoff(40), MAX_BACKOFF);
    }
}
