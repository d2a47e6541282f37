//! The body of a request: its form and its compression.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use domain::{
    error_code::ErrorCode,
    event::{BodyForm, MAX_BODY_LENGTH, Rejection},
};
use flate2::bufread::MultiGzDecoder;
use function_runtime::{content_type::media_type, http_error::ErrorBody};
use http::{HeaderMap, StatusCode, header::CONTENT_ENCODING};

/// The first bytes of gzip data (RFC 1952, 2.3.1). No JSON text starts with them.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// A body that can't be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(
        "Send events as application/json (an array) or application/x-ndjson (one event a line), in UTF-8; the Content-Type header must say which."
    )]
    ContentTypeUnsupported,
    #[error("The body's Content-Encoding is not supported; compress the body with gzip, or send it uncompressed.")]
    CompressionUnsupported,
    #[error("The gzip data is corrupt or truncated; compress the body again.")]
    GzipInvalid,
    #[error("{}", Rejection::BodyTooLarge)]
    TooLarge,
}

impl From<BodyError> for ErrorBody {
    fn from(error: BodyError) -> Self {
        let (status, code) = match error {
            BodyError::ContentTypeUnsupported => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::ContentTypeUnsupported)
            }
            BodyError::CompressionUnsupported => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::ContentEncodingUnsupported)
            }
            BodyError::GzipInvalid => (StatusCode::BAD_REQUEST, ErrorCode::GzipInvalid),
            BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Rejection::BodyTooLarge.code()),
        };
        Self::new(status, code, error.to_string())
    }
}

/// Returns the form of the body that the `Content-Type` header declares.
pub(crate) fn form(headers: &HeaderMap) -> Result<BodyForm, BodyError> {
    match media_type(headers).as_deref() {
        Some("application/json") => Ok(BodyForm::Array),
        Some("application/x-ndjson") => Ok(BodyForm::Lines),
        _ => Err(BodyError::ContentTypeUnsupported),
    }
}

/// Checks that the body has no other compression than gzip, once.
pub(crate) fn check_compression(headers: &HeaderMap) -> Result<(), BodyError> {
    let mut compressions = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| BodyError::CompressionUnsupported)?;
        compressions.extend(value.split(',').map(|name| name.trim().to_ascii_lowercase()));
    }
    compressions.retain(|name| !matches!(name.as_str(), "" | "identity"));
    match compressions.as_slice() {
        [] => Ok(()),
        // RFC 9110, 8.4.1.3: the second is another name of the first.
        [one] if matches!(one.as_str(), "gzip" | "x-gzip") => Ok(()),
        _ => Err(BodyError::CompressionUnsupported),
    }
}

/// Returns the decompressed body. Only the first bytes decide whether it is gzip data: API Gateway may decompress a
/// body and keep the header that declares the compression.
pub(crate) fn decompressed(body: &[u8]) -> Result<Cow<'_, [u8]>, BodyError> {
    if !body.starts_with(&GZIP_MAGIC) {
        return if body.len() > MAX_BODY_LENGTH { Err(BodyError::TooLarge) } else { Ok(Cow::Borrowed(body)) };
    }
    let mut raw = Vec::with_capacity(capacity(body));
    // One byte more than allowed, to detect a body that is too long.
    let limit = u64::try_from(MAX_BODY_LENGTH + 1).unwrap_or(u64::MAX);
    let outcome: io::Result<usize> = MultiGzDecoder::new(body).take(limit).read_to_end(&mut raw);
    if raw.len() > MAX_BODY_LENGTH {
        return Err(BodyError::TooLarge);
    }
    outcome.map_err(|_| BodyError::GzipInvalid)?;
    Ok(Cow::Owned(raw))
}

/// Returns the length in the trailer of the last gzip member, usually that of the body.
fn capacity(gzip: &[u8]) -> usize {
    let claimed = gzip.last_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
    usize::try_from(claimed).unwrap_or(MAX_BODY_LENGTH).min(MAX_BODY_LENGTH) + 1
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use http::{HeaderValue, header::CONTENT_TYPE};

    use super::*;

    fn gzip(raw: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(raw).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_recognised_by_its_first_bytes() {
        assert_eq!(*decompressed(b"[]").unwrap(), *b"[]");
        assert_eq!(*decompressed(&gzip(b"[]")).unwrap(), *b"[]");
        assert_eq!(*decompressed(&gzip(b"")).unwrap(), *b"");
        let members = [gzip(b"{}\n"), gzip(b""), gzip(b"{}\n")].concat();
        assert_eq!(*decompressed(&members).unwrap(), *b"{}\n{}\n");
    }

    #[test]
    fn broken_gzip_is_refused() {
        let good = gzip(b"[{\"id\":\"1\"}]");
        for end in 2..good.len() {
            assert_eq!(decompressed(&good[..end]), Err(BodyError::GzipInvalid), "cut at {end}");
        }
        let mut wrong_checksum = good.clone();
        let position = wrong_checksum.len() - 5;
        wrong_checksum[position] ^= 1;
        let more_behind_it = [&good[..], b"x"].concat();
        let second_is_cut = [&good[..], &good[..good.len() - 1]].concat();
        for bad in [wrong_checksum, more_behind_it, second_is_cut] {
            assert_eq!(decompressed(&bad), Err(BodyError::GzipInvalid));
        }
    }

    #[test]
    fn the_bound_counts_decompressed_bytes() {
        let longest = vec![b' '; MAX_BODY_LENGTH];
        assert_eq!(decompressed(&longest).unwrap().len(), MAX_BODY_LENGTH);
        assert_eq!(decompressed(&gzip(&longest)).unwrap().len(), MAX_BODY_LENGTH);
        let too_long = vec![b' '; MAX_BODY_LENGTH + 1];
        assert_eq!(decompressed(&too_long), Err(BodyError::TooLarge));
        assert_eq!(decompressed(&gzip(&too_long)), Err(BodyError::TooLarge));
        // A decompression bomb: ten times the limit, in many members that each fit.
        let bomb = gzip(&vec![b' '; MAX_BODY_LENGTH / 2]).repeat(20);
        assert_eq!(decompressed(&bomb), Err(BodyError::TooLarge));
        // A false length reserves no more than the limit.
        let mut liar = gzip(b"[]");
        let end = liar.len();
        liar[end - 4..].fill(0xFF);
        assert_eq!(decompressed(&liar), Err(BodyError::GzipInvalid));
    }

    #[test]
    fn no_compression_but_gzip_is_read() {
        let check = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
            }
            check_compression(&headers)
        };
        for good in [&[][..], &["gzip"], &["GZip"], &["x-gzip"], &["identity"], &[""], &["identity, gzip"]] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for bad in [&["zstd"][..], &["deflate"], &["br"], &["snappy"], &["gzip, gzip"], &["gzip", "br"], &["*"]] {
            assert_eq!(check(bad), Err(BodyError::CompressionUnsupported), "{bad:?}");
        }
    }

    #[test]
    fn the_content_type_says_the_form() {
        let form_of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            }
            form(&headers)
        };
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json; charset=utf8",
            "application/json;",
        ] {
            assert_eq!(form_of(&[json]), Ok(BodyForm::Array), "{json}");
        }
        assert_eq!(form_of(&["application/x-ndjson"]), Ok(BodyForm::Lines));
        for bad in ["text/plain", "application/jsonp", "application/json; charset=latin1", "", "json", "*/*"] {
            assert_eq!(form_of(&[bad]), Err(BodyError::ContentTypeUnsupported), "{bad}");
        }
        assert_eq!(form_of(&[]), Err(BodyError::ContentTypeUnsupported));
        assert_eq!(form_of(&["application/json"; 2]), Err(BodyError::ContentTypeUnsupported));
    }
}
