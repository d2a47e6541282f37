//! S3 as far as the service uses it: <https://docs.aws.amazon.com/AmazonS3/latest/API/>. What is put is hashed, looked at
//! and dropped.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::read::GzDecoder;
use hyper::{HeaderMap, Method};
use sha2::{Digest, Sha256};

/// Of so many data objects, one is decompressed and its lines are counted; the first always.
const DECODED_ONE_IN: u64 = 8;

/// What is kept of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sha256: [u8; 32],
    pub length: u64,
    /// What the trailer of a gzip file says of its raw length; nothing for other files.
    pub gzip_raw_length: Option<u64>,
    /// Lines of those that were decompressed.
    pub decoded_lines: Option<u64>,
    /// The whole of small ones: digests and their signatures.
    pub bytes: Option<Bytes>,
}

/// The buckets, all in one.
#[derive(Debug, Default)]
pub struct Buckets {
    pub objects: BTreeMap<String, Stored>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    next_upload: u64,
    data_objects: u64,
    /// Those that are to be decompressed, when nothing is measured any more.
    samples: Vec<(String, Vec<Bytes>)>,
}

/// Status, entity tag, and body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Reply {
    pub status: u16,
    pub entity_tag: Option<String>,
    pub body: String,
}

impl S3Reply {
    fn ok(body: String) -> Self {
        Self { status: 200, entity_tag: None, body }
    }

    fn error(status: u16, code: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>Refused by the stub.</Message></Error>");
        Self { status, entity_tag: None, body }
    }
}

/// Objects of at most so many bytes are kept.
const MAX_KEPT_LENGTH: usize = 512 * 1024;

impl Buckets {
    pub fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> (&'static str, S3Reply) {
        let parameters: HashMap<&str, &str> =
            query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let upload = parameters.get("uploadId").map(|id| (*id).to_owned());
        let part = parameters.get("partNumber").and_then(|number| number.parse().ok());
        if headers.get("content-encoding").is_some_and(|value| value.as_bytes().starts_with(b"aws-chunked")) {
            return ("s3:chunked", S3Reply::error(501, "NotImplemented"));
        }
        match (method, upload, part) {
            (&Method::POST, None, _) if parameters.contains_key("uploads") => {
                ("s3:CreateMultipartUpload", self.create(path))
            }
            (&Method::PUT, Some(upload), Some(part)) => ("s3:UploadPart", self.put_part(&upload, part, headers, body)),
            (&Method::POST, Some(upload), _) => ("s3:CompleteMultipartUpload", self.complete(path, &upload, headers)),
            (&Method::PUT, None, None) => ("s3:PutObject", self.put(path, headers, body)),
            _ => ("s3:other", S3Reply::error(501, "NotImplemented")),
        }
    }

    fn create(&mut self, path: &str) -> S3Reply {
        self.next_upload += 1;
        let id = format!("upload-{}", self.next_upload);
        self.uploads.insert(id.clone(), BTreeMap::new());
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        S3Reply::ok(format!(
            "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
             </InitiateMultipartUploadResult>"
        ))
    }

    fn put_part(&mut self, upload: &str, part: u32, headers: &HeaderMap, body: &Bytes) -> S3Reply {
        if !is_as_announced(headers, body) {
            return S3Reply::error(400, "BadDigest");
        }
        let Some(parts) = self.uploads.get_mut(upload) else { return S3Reply::error(404, "NoSuchUpload") };
        parts.insert(part, body.clone());
        S3Reply { status: 200, entity_tag: Some(format!("\"{upload}-{part}\"")), body: String::new() }
    }

    fn complete(&mut self, path: &str, upload: &str, headers: &HeaderMap) -> S3Reply {
        if headers.contains_key("if-none-match") && self.objects.contains_key(path) {
            return S3Reply::error(412, "PreconditionFailed");
        }
        let Some(parts) = self.uploads.remove(upload) else { return S3Reply::error(404, "NoSuchUpload") };
        let parts: Vec<Bytes> = parts.into_values().collect();
        self.store(path, &parts);
        S3Reply::ok("<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>".to_owned())
    }

    fn put(&mut self, path: &str, headers: &HeaderMap, body: &Bytes) -> S3Reply {
        if !is_as_announced(headers, body) {
            return S3Reply::error(400, "BadDigest");
        }
        if headers.contains_key("if-none-match") && self.objects.contains_key(path) {
            return S3Reply::error(412, "PreconditionFailed");
        }
        self.store(path, std::slice::from_ref(body));
        S3Reply { status: 200, entity_tag: Some("\"whole\"".to_owned()), body: String::new() }
    }

    fn store(&mut self, path: &str, parts: &[Bytes]) {
        let mut sha256 = Sha256::new();
        for part in parts {
            sha256.update(part);
        }
        let length: usize = parts.iter().map(Bytes::len).sum();
        let is_data = path.as_bytes().ends_with(b".gz");
        if is_data && self.data_objects.is_multiple_of(DECODED_ONE_IN) {
            self.samples.push((path.to_owned(), parts.to_vec()));
        }
        self.data_objects += u64::from(is_data);
        let stored = Stored {
            sha256: sha256.finalize().into(),
            length: length as u64,
            gzip_raw_length: is_data.then(|| raw_length(parts)).flatten(),
            decoded_lines: None,
            bytes: (length <= MAX_KEPT_LENGTH).then(|| parts.concat().into()),
        };
        self.objects.insert(path.to_owned(), stored);
    }

    /// Decompresses the samples and counts their lines.
    pub fn settle(&mut self) {
        for (path, parts) in std::mem::take(&mut self.samples) {
            if let Some(stored) = self.objects.get_mut(&path) {
                stored.decoded_lines = Some(count_lines(&parts));
            }
        }
    }

    /// Objects whose path ends so.
    pub fn ending(&self, end: &str) -> impl Iterator<Item = (&String, &Stored)> {
        self.objects.iter().filter(move |(path, _)| path.ends_with(end))
    }
}

/// A body has the SHA-256 that its header says; without the header, nothing is said.
fn is_as_announced(headers: &HeaderMap, body: &Bytes) -> bool {
    let Some(announced) = headers.get("x-amz-checksum-sha256") else { return true };
    announced.as_bytes() == STANDARD.encode(Sha256::digest(body)).as_bytes()
}

/// The last four bytes of a gzip file.
fn raw_length(parts: &[Bytes]) -> Option<u64> {
    let mut end: Vec<u8> = parts.iter().rev().flat_map(|part| part.iter().rev()).take(4).copied().collect();
    end.reverse();
    Some(u32::from_le_bytes(end.try_into().ok()?).into())
}

/// Lines of a gzip file whose checksum and length are right; none if they aren't.
fn count_lines(parts: &[Bytes]) -> u64 {
    let mut decoder = GzDecoder::new(PartsReader { parts, offset: 0 });
    let mut buffer = vec![0; 256 * 1024];
    let mut lines = 0;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return lines,
            Ok(length) => {
                #[expect(clippy::naive_bytecount, reason = "beside a decompressor it doesn't show")]
                let found = buffer[..length].iter().filter(|byte| **byte == b'\n').count();
                lines += found as u64;
            }
            Err(_) => return 0,
        }
    }
}

struct PartsReader<'a> {
    parts: &'a [Bytes],
    offset: usize,
}

impl Read for PartsReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let Some(part) = self.parts.first() {
            let rest = part.get(self.offset..).unwrap_or_default();
            if rest.is_empty() {
                self.parts = &self.parts[1..];
                self.offset = 0;
                continue;
            }
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            self.offset += length;
            return Ok(length);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

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
        let mut put = |headers: &HeaderMap| buckets.answer(&Method::PUT, "/b/k", "", headers, &body).1.status;
        assert_eq!([put(&wrong), put(&right), put(&right)], [400, 200, 412]);
    }

    #[test]
    fn parts_become_one_object_that_is_looked_into() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(b"one\ntwo\n").unwrap();
        let whole = Bytes::from(encoder.finish().unwrap());
        let mut buckets = Buckets::default();
        let none = HeaderMap::new();
        let path = "/b/a.ndjson.gz";
        let created = buckets.answer(&Method::POST, path, "uploads", &none, &Bytes::new()).1;
        assert!(created.body.contains("<UploadId>upload-1</UploadId>"));
        // In any order.
        for (number, range) in [(2, 10..whole.len()), (1, 0..10)] {
            let query = format!("partNumber={number}&uploadId=upload-1");
            assert_eq!(buckets.answer(&Method::PUT, path, &query, &none, &whole.slice(range)).1.status, 200);
        }
        assert_eq!(buckets.answer(&Method::POST, path, "uploadId=upload-1", &none, &Bytes::new()).1.status, 200);
        buckets.settle();
        let stored = &buckets.objects[path];
        assert_eq!(stored.sha256, <[u8; 32]>::from(Sha256::digest(&whole)));
        assert_eq!((stored.gzip_raw_length, stored.decoded_lines), (Some(8), Some(2)));
        assert_eq!(buckets.answer(&Method::POST, path, "uploadId=upload-1", &none, &Bytes::new()).1.status, 404);
    }

    #[test]
    fn a_damaged_file_has_no_lines() {
        assert_eq!(count_lines(&[Bytes::from_static(b"no gzip\n")]), 0);
    }
}
