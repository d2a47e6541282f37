//! S3 as far as the service uses it: <https://docs.aws.amazon.com/AmazonS3/latest/API/>. Objects are hashed, described and
//! dropped, except for short ones and segments, which can be read.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{HeaderMap, header::HeaderValue};
use sha2::{Digest, Sha256};

use super::reply::Reply;

/// The largest objects whose bytes are kept, except for segments: digests and their signatures.
const MAX_KEPT_LENGTH: usize = 512 * 1024;

/// The end of the keys of segments, which the archiver reads back.
const SEGMENT_SUFFIX: &str = ".segment";

/// The description of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sha256: [u8; 32],
    pub length: u64,
    /// The raw length in the trailer of a gzip file.
    pub gzip_raw_length: Option<u64>,
    /// The bytes of a short object or a segment.
    pub bytes: Option<Bytes>,
}

/// The buckets, all in one.
#[derive(Debug, Default)]
pub struct Buckets {
    pub objects: BTreeMap<String, Stored>,
}

impl Buckets {
    /// Answers `PutObject`, conditional or not. Objects of the current plans fit into one request.
    pub fn put(&mut self, path: &str, headers: &HeaderMap, body: &Bytes) -> Reply {
        let sha256 = <[u8; 32]>::from(Sha256::digest(body));
        let is_announced = |hash: &HeaderValue| hash.as_bytes() == STANDARD.encode(sha256).as_bytes();
        if !headers.get("x-amz-checksum-sha256").is_none_or(is_announced) {
            return Reply::xml_error(400, "BadDigest");
        }
        if headers.contains_key("if-none-match") && self.objects.contains_key(path) {
            return Reply::xml_error(412, "PreconditionFailed");
        }
        let trailer = body.last_chunk().filter(|_| path.as_bytes().ends_with(b".gz"));
        let stored = Stored {
            sha256,
            length: body.len() as u64,
            gzip_raw_length: trailer.map(|length| u32::from_le_bytes(*length).into()),
            bytes: (body.len() <= MAX_KEPT_LENGTH || path.ends_with(SEGMENT_SUFFIX)).then(|| body.clone()),
        };
        self.objects.insert(path.to_owned(), stored);
        Reply { entity_tag: Some("\"whole\"".to_owned()), ..Reply::xml(200, "") }
    }

    /// Returns a part of an object whose bytes are kept, by a header `Range`.
    pub fn read(&self, path: &str, range: &str) -> Option<Bytes> {
        part(self.objects.get(path)?.bytes.as_ref()?, range)
    }

    /// Returns the objects whose path has this suffix.
    pub fn ending(&self, suffix: &str) -> impl Iterator<Item = (&String, &Stored)> {
        self.objects.iter().filter(move |(path, _)| path.ends_with(suffix))
    }
}

/// Returns a part of an object, by a header `Range`. `None`: the header is none, or the object is shorter.
pub fn part(bytes: &Bytes, range: &str) -> Option<Bytes> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < bytes.len()).then(|| bytes.slice(first..=last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn other_bytes_than_announced_are_refused_and_no_key_is_written_twice() {
        let mut buckets = Buckets::default();
        let body = Bytes::from_static(b"bytes");
        let right =
            headers(&[("x-amz-checksum-sha256", &STANDARD.encode(Sha256::digest(&body))), ("if-none-match", "*")]);
        let wrong = headers(&[("x-amz-checksum-sha256", &STANDARD.encode(Sha256::digest(b"other")))]);
        let mut put = |headers: &HeaderMap| buckets.put("/b/k", headers, &body).status;
        assert_eq!([put(&wrong), put(&right), put(&right)], [400, 200, 412]);
    }

    #[test]
    fn a_long_segment_is_kept_and_read_in_parts() {
        let mut buckets = Buckets::default();
        let long = Bytes::from(vec![7; MAX_KEPT_LENGTH + 1]);
        for path in ["/b/a.segment", "/b/a.gz"] {
            buckets.put(path, &HeaderMap::new(), &long);
        }
        let length = |path, range| buckets.read(path, range).map(|part| part.len());
        assert_eq!(length("/b/a.segment", "bytes=0-524288"), Some(MAX_KEPT_LENGTH + 1));
        assert_eq!(length("/b/a.segment", "bytes=524288-524288"), Some(1));
        for (path, range) in [("/b/a.segment", "bytes=0-524289"), ("/b/a.segment", ""), ("/b/a.gz", "bytes=0-1")] {
            assert_eq!(length(path, range), None, "{path} {range}");
        }
    }

    #[test]
    fn a_gzip_file_is_described() {
        let mut buckets = Buckets::default();
        let file = Bytes::from_static(b"a gzip file and its length: \x08\0\0\0");
        buckets.put("/b/a.ndjson.gz", &HeaderMap::new(), &file);
        let stored = &buckets.objects["/b/a.ndjson.gz"];
        assert_eq!((stored.length, stored.gzip_raw_length), (32, Some(8)));
    }
}
