//! Sends the events of a file: `AUDIT_EXPORT_URL=… AUDIT_EXPORT_TOKEN=… send_events events.ndjson`
//!
//! With the crates base64, flate2, reqwest, sha2 and tokio.

use std::{env, error::Error, fs, io::Write, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use reqwest::Client;
use sha2::{Digest, Sha256};

/// Of one request. The service takes 3.5 MiB.
const MAX_EVENTS: usize = 1_000;
const MAX_BYTES: usize = 3 * 1_024 * 1_024;
const ATTEMPTS: u32 = 8;
const TEMPORARY: [u16; 5] = [429, 500, 502, 503, 504];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(env::args().nth(1).ok_or("name the file with the events")?)?;
    let client = Client::builder().timeout(Duration::from_secs(35)).build()?;
    let (mut batch, mut events) = (String::new(), 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if events == MAX_EVENTS || (events > 0 && batch.len() + line.len() + 1 > MAX_BYTES) {
            send(&client, &batch).await?;
            batch.clear();
            events = 0;
        }
        batch.push_str(line);
        batch.push('\n');
        events += 1;
    }
    if events > 0 { send(&client, &batch).await } else { Ok(()) }
}

async fn send(client: &Client, body: &str) -> Result<(), Box<dyn Error>> {
    // The same for every attempt, and another one for other events.
    let key = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body.as_bytes())?;
    let gzip = gzip.finish()?;
    for attempt in 0..ATTEMPTS {
        // Add jitter if many senders share a service.
        let mut pause = Duration::from_millis(200 << attempt).min(Duration::from_secs(20));
        let answer = client
            .post(format!("{}/api/audit/events", env::var("AUDIT_EXPORT_URL")?))
            .bearer_auth(env::var("AUDIT_EXPORT_TOKEN")?)
            .header("Content-Type", "application/x-ndjson")
            .header("Content-Encoding", "gzip")
            .header("Idempotency-Key", &key)
            .body(gzip.clone())
            .send()
            .await;
        // Without an answer the events may be stored: the key makes it safe to repeat them.
        if let Ok(answer) = answer {
            if answer.status().is_success() {
                return Ok(());
            }
            if !TEMPORARY.contains(&answer.status().as_u16()) {
                // The events or the token have to change: repeating does not help.
                return Err(format!("{}: {}", answer.status(), answer.text().await?).into());
            }
            let retry_after = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
            pause = retry_after.map_or(pause, Duration::from_secs);
        }
        tokio::time::sleep(pause).await;
    }
    Err(format!("no success in {ATTEMPTS} attempts").into())
}
