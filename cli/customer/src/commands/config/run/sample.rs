//! The first events of an exported file, read with the user's own AWS credentials.

use std::{io::Read, time::Duration};

use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use verification::ExportFiles;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::{
    commands::place::{Format, bucket::Bucket},
    failure::Failure,
    model::{Configuration, Endpoint},
};
use terminal::text::printable;

const SHOWN_EVENTS: usize = 3;
/// Bytes of the file to fetch. Three typical events have a hundredth of that.
const MAX_FETCHED_LENGTH: usize = 256 * 1_024;
/// Bytes to inflate them to.
const MAX_INFLATED_LENGTH: u64 = 4 * 1_024 * 1_024;
/// Includes the search for credentials, which may query an unreachable address.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Columns of a line without a terminal.
const DEFAULT_WIDTH: usize = 160;
/// Characters of the reason why no events can be shown.
const MAX_REASON_LENGTH: usize = 200;

/// Formats three events of the file, each on a line, or the command that shows them.
pub async fn show(configuration: &Configuration, object_key: &str) -> String {
    let width = console::Term::stdout().size_checked().map_or(DEFAULT_WIDTH, |(_, columns)| usize::from(columns));
    let endpoint = &configuration.endpoint_configuration;
    let format = match Format::of(object_key) {
        Ok(Format::Parquet) => return format!("To see its first three events: {}", command(endpoint, object_key)),
        Ok(format) => format,
        // A later version of the service made it.
        Err(error) => return format!("Its events can't be shown from here: {error}"),
    };
    let timed_out = |_| Err(Failure::Bucket(format!("no answer within {} s", READ_TIMEOUT.as_secs())));
    match tokio::time::timeout(READ_TIMEOUT, fetch(configuration, object_key)).await.unwrap_or_else(timed_out) {
        Ok(beginning) => lines(format, &beginning, width).join("\n"),
        Err(failure) => {
            let reason = printable(&failure.to_string().replace('\n', " "));
            format!(
                "Its events can't be shown from here: {}\nTo see the first three: {}",
                console::truncate_str(&reason, MAX_REASON_LENGTH, "…"),
                command(endpoint, object_key),
            )
        }
    }
}

/// Returns the command that shows the first events of the file.
fn command(endpoint: &Endpoint, object_key: &str) -> String {
    let copy = format!("aws s3 cp{} 's3://{}/{object_key}'", endpoint.server_option(), endpoint.bucket_name);
    let shown = format!("head -{SHOWN_EVENTS}");
    match Format::of(object_key) {
        Ok(Format::NdjsonZstd) => format!("{copy} - | zstdcat | {shown}"),
        Ok(Format::Parquet) => {
            let name = object_key.rsplit('/').next().unwrap_or(object_key);
            let column = if object_key.contains("/eventDay=") { "raw_data" } else { "event" };
            let sql = format!("SELECT {column} FROM read_parquet('{name}') LIMIT {SHOWN_EVENTS}");
            format!("{copy} . && duckdb -noheader -list -c \"{sql}\"")
        }
        Ok(Format::NdjsonGzip) | Err(_) => format!("{copy} - | zcat | {shown}"),
    }
}

/// Fetches the beginning of the file.
async fn fetch(configuration: &Configuration, object_key: &str) -> Result<Vec<u8>, Failure> {
    let endpoint = &configuration.endpoint_configuration;
    if endpoint.endpoint_url.is_some() {
        // Credentials for AWS must not be tried on a server that somebody else configured.
        return Err(Failure::Bucket("the bucket is not in AWS".to_owned()));
    }
    let place = endpoint.place(configuration.parsed_id()?)?;
    let name = place.name_of(object_key).ok_or_else(|| Failure::Bucket(format!("the file is not in {place}")))?;
    let bucket = Bucket::connect(&place, Some(endpoint.region.to_string()), None).await?;
    let mut pieces = bucket.read(&name);
    let mut fetched = Vec::new();
    while fetched.len() < MAX_FETCHED_LENGTH
        && let Some(piece) = pieces.next().await
    {
        fetched.extend_from_slice(&piece.map_err(|error| Failure::Bucket(error.to_string()))?);
    }
    fetched.truncate(MAX_FETCHED_LENGTH);
    Ok(fetched)
}

/// Returns the complete events in the beginning of a file, at most `width` columns of each.
fn lines(format: Format, beginning: &[u8], width: usize) -> Vec<String> {
    let decoder: Box<dyn Read + '_> = match format {
        Format::NdjsonGzip => Box::new(MultiGzDecoder::new(beginning)),
        Format::NdjsonZstd => match ZstdDecoder::with_buffer(beginning) {
            Ok(decoder) => Box::new(decoder),
            Err(_) => return Vec::new(),
        },
        Format::Parquet => return Vec::new(),
    };
    let mut raw = Vec::new();
    // The file is truncated, which the decoder reports after it has returned the beginning.
    let _ = decoder.take(MAX_INFLATED_LENGTH).read_to_end(&mut raw);
    raw.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .take(SHOWN_EVENTS)
        .map(|line| console::truncate_str(&printable(&String::from_utf8_lossy(line)), width, "…").into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn compress(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn three_events_are_shown_each_on_a_line_that_fits() {
        let file =
            compress("{\"id\":\"1\"}\n{\"name\":\"Zoë \u{1b}[2J\u{202e}\",\"long\":true}\n{\"id\":3}\n{\"id\":4}\n");
        assert_eq!(
            lines(Format::NdjsonGzip, &file, 80),
            ["{\"id\":\"1\"}", "{\"name\":\"Zoë [2J\",\"long\":true}", "{\"id\":3}"]
        );
        assert_eq!(lines(Format::NdjsonGzip, &file, 12), ["{\"id\":\"1\"}", "{\"name\":\"Zo…", "{\"id\":3}"]);
    }

    #[test]
    fn the_command_fits_the_format() {
        let configuration = crate::model::tests::configuration(&serde_json::json!({}));
        let endpoint = &configuration.endpoint_configuration;
        for (end, rest) in [
            ("ndjson.gz", " - | zcat | head -3"),
            ("ndjson.zst", " - | zstdcat | head -3"),
            (
                "parquet",
                " . && duckdb -noheader -list -c \"SELECT event FROM read_parquet('a_1-b_2.parquet') LIMIT 3\"",
            ),
        ] {
            let key = format!("logs/date=2026-11-22/a_1-b_2.{end}");
            let copied = format!("aws s3 cp 's3://{}/{key}'", endpoint.bucket_name);
            assert_eq!(command(endpoint, &key), format!("{copied}{rest}"));
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_read_here_is_not_fetched() {
        let configuration = crate::model::tests::configuration(&serde_json::json!({}));
        let shown = show(&configuration, "logs/date=2026-11-22/a_1-b_2.parquet").await;
        assert!(shown.starts_with("To see its first three events: aws s3 cp 's3://"), "{shown}");
        let shown = show(&configuration, "logs/date=2026-11-22/a_1-b_2.orc").await;
        assert!(shown.starts_with("Its events can't be shown from here: the format .orc is not supported"), "{shown}");
    }

    #[test]
    fn the_beginning_of_a_file_is_enough() {
        // Pseudo-random, so that half of the file does not hold all of them.
        let lines_of_file = (0..20_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string());
        let events = lines_of_file.collect::<Vec<_>>().join("\n");
        let zstd = zstd::encode_all(events.as_bytes(), 3).unwrap();
        for (format, file) in [(Format::NdjsonGzip, compress(&events)), (Format::NdjsonZstd, zstd)] {
            let shown = lines(format, file.get(..file.len() / 2).unwrap(), 80);
            assert_eq!(shown, events.lines().take(3).collect::<Vec<_>>(), "{format:?}");
            assert!(lines(format, b"something else", 80).is_empty());
        }
    }
}
