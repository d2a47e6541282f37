//! S3 as far as the service uses it: <https://docs.aws.amazon.com/AmazonS3/latest/API/>. Objects are hashed, described and
//! dropped.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{HeaderMap, Method};
use sha2::{Digest, Sha256};

use super::reply::Reply;

/// The largest objects whose bytes are kept: digests and their signatures.
const MAX_KEPT_LENGTH: usize = 512 * 1024;

/// The description of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sha256: [u8; 32],
    pub length: u64,
    /// The raw length in the trailer of a gzip file.
    pub gzip_raw_length: Option<u64>,
    /// The bytes of a small object.
    pub bytes: Option<Bytes>,
}

/// The buckets, all in one.
#[derive(Debug, Default)]
pub struct Buckets {
    pub objects: BTreeMap<String, Stored>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    next_upload: u64,
}

impl Buckets {
    pub fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> (&'static str, Reply) {
        let parameters: HashMap<&str, &str> =
            query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let upload = parameters.get("uploadId").copied();
        let part = parameters.get("partNumber").and_then(|number| number.parse().ok());
        if headers.get("content-encoding").is_some_and(|value| value.as_bytes().starts_with(b"aws-chunked")) {
            return ("s3:chunked", Reply::unprepared());
        }
        match (method, upload, part) {
            (&Method::POST, None, _) if parameters.contains_key("uploads") => {
                ("s3:CreateMultipartUpload", self.create(path))
            }
            (&Method::PUT, Some(upload), Some(part)) => ("s3:UploadPart", self.put_part(upload, part, headers, body)),
            (&Method::POST, Some(upload), _) => ("s3:CompleteMultipartUpload", self.complete(path, upload, headers)),
            (&Method::PUT, None, None) => ("s3:PutObject", self.put(path, headers, body)),
            _ => ("s3:other", Reply::unprepared()),
        }
    }

    fn create(&mut self, path: &str) -> Reply {
        self.next_upload += 1;
        let id = format!("upload-{}", self.next_upload);
        self.uploads.insert(id.clone(), BTreeMap::new());
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        Reply::xml(
            200,
            format!(
                "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>"
            ),
        )
    }

    fn put_part(&mut self, upload: &str, part: u32, headers: &HeaderMap, body: &Bytes) -> Reply {
        if !has_announced_hash(headers, body) {
            return Reply::xml_error(400, "BadDigest");
        }
        let Some(parts) = self.uploads.get_mut(upload) else { return Reply::xml_error(404, "NoSuchUpload") };
        parts.insert(part, body.clone());
        Reply { entity_tag: Some(format!("\"{upload}-{part}\"")), ..Reply::xml(200, "") }
    }

    fn complete(&mut self, path: &str, upload: &str, headers: &HeaderMap) -> Reply {
        if headers.contains_key("if-none-match") && self.objects.contains_key(path) {
            return Reply::xml_error(412, "PreconditionFailed");
        }
        let Some(parts) = self.uploads.remove(upload) else { return Reply::xml_error(404, "NoSuchUpload") };
        self.store(path, &parts.into_values().collect::<Vec<_>>());
        Reply::xml(200, "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>")
    }

    fn put(&mut self, path: &str, headers: &HeaderMap, body: &Bytes) -> Reply {
        if !has_announced_hash(headers, body) {
            return Reply::xml_error(400, "BadDigest");
        }
        if headers.contains_key("if-none-match") && self.objects.contains_key(path) {
            return Reply::xml_error(412, "PreconditionFailed");
        }
        self.store(path, std::slice::from_ref(body));
        Reply { entity_tag: Some("\"whole\"".to_owned()), ..Reply::xml(200, "") }
    }

    fn store(&mut self, path: &str, parts: &[Bytes]) {
        let mut sha256 = Sha256::new();
        for part in parts {
            sha256.update(part);
        }
        let length: usize = parts.iter().map(Bytes::len).sum();
        let stored = Stored {
            sha256: sha256.finalize().into(),
            length: length as u64,
            gzip_raw_length: path.as_bytes().ends_with(b".gz").then(|| raw_length(parts)).flatten(),
            bytes: (length <= MAX_KEPT_LENGTH).then(|| parts.concat().into()),
        };
        self.objects.insert(path.to_owned(), stored);
    }

    /// Returns the objects whose path has this suffix.
    pub fn ending(&self, suffix: &str) -> impl Iterator<Item = (&String, &Stored)> {
        self.objects.iter().filter(move |(path, _)| path.ends_with(suffix))
    }
}

/// Returns whether a body has the SHA-256 of its header. Without the header, nothing is announced.
fn has_announced_hash(headers: &HeaderMap, body: &Bytes) -> bool {
    let Some(announced) = headers.get("x-amz-checksum-sha256") else { return true };
    announced.as_bytes() == STANDARD.encode(Sha256::digest(body)).as_bytes()
}

/// Returns the last four bytes of a gzip file as a number.
fn raw_length(parts: &[Bytes]) -> Option<u64> {
    let mut end: Vec<u8> = parts.iter().rev().flat_map(|part| part.iter().rev()).take(4).copied().collect();
    end.reverse();
    Some(u32::from_le_bytes(end.try_into().ok()?).into())
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
        let mut put = |headers: &HeaderMap| buckets.answer(&Method::PUT, "/b/k", "", headers, &body).1.status;
        assert_eq!([put(&wrong), put(&right), put(&right)], [400, 200, 412]);
    }

    #[test]
    fn parts_become_one_object() {
        let whole = Bytes::from_static(b"a gzip file and its length: \x08\0\0\0");
        let mut buckets = Buckets::default();
        let none = HeaderMap::new();
        let path = "/b/a.ndjson.gz";
        let created = buckets.answer(&Method::POST, path, "uploads", &none, &Bytes::new()).1;
        assert!(String::from_utf8(created.body.concat()).unwrap().contains("<UploadId>upload-1</UploadId>"));
        // In any order.
        for (number, range) in [(2, 30..whole.len()), (1, 0..30)] {
            let query = format!("partNumber={number}&uploadId=upload-1");
            assert_eq!(buckets.answer(&Method::PUT, path, &query, &none, &whole.slice(range)).1.status, 200);
        }
        assert_eq!(buckets.answer(&Method::POST, path, "uploadId=upload-1", &none, &Bytes::new()).1.status, 200);
        let stored = &buckets.objects[path];
        assert_eq!(stored.sha256, <[u8; 32]>::from(Sha256::digest(&whole)));
        assert_eq!(stored.gzip_raw_length, Some(8));
        assert_eq!(buckets.answer(&Method::POST, path, "uploadId=upload-1", &none, &Bytes::new()).1.status, 404);
    }
}
