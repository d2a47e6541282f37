//! Writing one object, in one request or in parts. Everything that reaches a customer's bucket passes through here.

use std::time::Duration;

use bytes::Bytes;
use domain::configuration::ConfigurationKey;
use futures::future::try_join_all;
use host::Timer;

use crate::{
    alarms::UNEXPECTED_OBJECT,
    ports::{ContentType, ObjectSink, PartOutcome, PortError, PutCondition, PutObject, PutOutcome},
};

/// The number of times that an upload is started if S3 loses or aborts it.
const MAX_UPLOADS: u32 = 4;

/// The wait before the second upload; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// An object, ready to be written.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    pub key: &'a str,
    pub bytes: Bytes,
    /// The SHA-256 of all bytes.
    pub sha256: [u8; 32],
    pub shape: UploadShape,
    pub content_type: ContentType,
}

/// The requests that write an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadShape {
    Single,
    /// One request, which replaces an object under the key.
    Replacing,
    /// Parts of `part_size` bytes; the last may be shorter.
    Multipart {
        part_size: usize,
    },
}

impl UploadShape {
    /// Returns the shape for an object: in parts only if it does not fit into one.
    #[must_use]
    pub fn for_length(length: usize, part_size: usize) -> Self {
        if length <= part_size { Self::Single } else { Self::Multipart { part_size } }
    }
}

/// The outcome of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    Written,
    /// The key existed. `was_repeated`: an earlier request of this upload may have written it.
    Existed {
        was_repeated: bool,
    },
}

impl Uploaded {
    /// Raises an alarm if the object existed and no request of the service can have written it. For the first known attempt.
    pub(crate) fn alarm_if_foreign(self, configuration: &ConfigurationKey, key: &str) {
        if let Self::Existed { was_repeated: false } = self {
            let (tenant, configuration) = (&configuration.tenant_id, &configuration.configuration_id);
            tracing::error!(%tenant, %configuration, object_key = key, alarm = UNEXPECTED_OBJECT,
                "an object existed before the export wrote it: it was written by a third party or by an earlier export to this place");
        }
    }
}

/// Writes the object, unless its key exists and the shape does not replace it.
///
/// # Errors
/// Those of the sink; transient if S3 lost the last upload, and the error of [`PutOutcome::Aborted`] if it aborted that one.
pub async fn upload(sink: &impl ObjectSink, timer: &impl Timer, object: &Upload<'_>) -> Result<Uploaded, PortError> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let error = match upload_once(sink, object).await? {
            PutOutcome::Written => return Ok(Uploaded::Written),
            PutOutcome::Exists { was_repeated } => {
                return Ok(Uploaded::Existed { was_repeated: was_repeated || attempt > 1 });
            }
            PutOutcome::Lost => {
                PortError::transient("upload", format!("S3 lost upload {attempt} of {MAX_UPLOADS} of {}", object.key))
            }
            PutOutcome::Aborted(error) => error,
        };
        if attempt == MAX_UPLOADS {
            return Err(error);
        }
        timer.sleep(wait).await;
        wait *= 2;
        attempt += 1;
    }
}

async fn upload_once(sink: &impl ObjectSink, object: &Upload<'_>) -> Result<PutOutcome, PortError> {
    let Upload { key, bytes, shape, content_type, .. } = object;
    match *shape {
        UploadShape::Single => put(sink, object, PutCondition::Absent).await,
        UploadShape::Replacing => put(sink, object, PutCondition::Replace).await,
        UploadShape::Multipart { part_size } => {
            let upload = sink.create_multipart_upload(key, *content_type).await?;
            let parts = (1_u16..)
                .zip(part_ranges(bytes.len(), part_size))
                .map(|(number, range)| sink.upload_part(key, &upload, number, bytes.slice(range)));
            // All parts at the same time: objects are bounded, and the bytes are in memory already.
            let mut uploaded = Vec::new();
            for part in try_join_all(parts).await? {
                match part {
                    PartOutcome::Uploaded(part) => uploaded.push(part),
                    PartOutcome::Lost => return Ok(PutOutcome::Lost),
                    PartOutcome::Aborted(error) => return Ok(PutOutcome::Aborted(error)),
                }
            }
            sink.complete_multipart_upload(key, &upload, &uploaded).await
        }
    }
}

async fn put(sink: &impl ObjectSink, object: &Upload<'_>, condition: PutCondition) -> Result<PutOutcome, PortError> {
    let Upload { key, sha256, content_type, .. } = *object;
    sink.put_object(PutObject { key, bytes: object.bytes.clone(), sha256, content_type, condition }).await
}

fn part_ranges(length: usize, part_size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let part_size = part_size.max(1);
    (0..length).step_by(part_size).map(move |start| start..(start + part_size).min(length))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::connection::{AwsErrorCode, ConnectionFailure, Refusal};

    use super::*;
    use crate::ports::{ErrorKind, UploadId, UploadedPart};

    /// A bucket that returns these outcomes of writes in order, and that of each part if there is one; and a timer that does not wait.
    struct Scripted(Mutex<Vec<PutOutcome>>, Option<PartOutcome>);

    impl Timer for Scripted {
        async fn sleep(&self, _duration: Duration) {}
    }

    impl ObjectSink for Scripted {
        async fn put_object(&self, _object: PutObject<'_>) -> Result<PutOutcome, PortError> {
            Ok(self.0.lock().unwrap().remove(0))
        }

        async fn try_put(&self, _key: &str, _condition: PutCondition) -> Result<(), PortError> {
            unreachable!("an upload writes")
        }

        async fn create_multipart_upload(&self, _key: &str, _type: ContentType) -> Result<UploadId, PortError> {
            Ok(UploadId("u".to_owned()))
        }

        async fn upload_part(
            &self,
            _key: &str,
            _upload: &UploadId,
            number: u16,
            _bytes: Bytes,
        ) -> Result<PartOutcome, PortError> {
            let part = UploadedPart { number, entity_tag: "e".to_owned(), sha256: String::new() };
            Ok(self.1.clone().unwrap_or(PartOutcome::Uploaded(part)))
        }

        async fn complete_multipart_upload(
            &self,
            _key: &str,
            _upload: &UploadId,
            _parts: &[UploadedPart],
        ) -> Result<PutOutcome, PortError> {
            Ok(self.0.lock().unwrap().remove(0))
        }
    }

    #[tokio::test]
    async fn an_object_that_is_there_may_be_our_own_only_after_it_was_sent_before() {
        use PutOutcome::{Aborted, Exists, Lost, Written};

        let exists = |was_repeated| Exists { was_repeated };
        for shape in [UploadShape::Single, UploadShape::Multipart { part_size: 1 }] {
            for (outcomes, uploaded) in [
                (vec![Written], Uploaded::Written),
                (vec![exists(false)], Uploaded::Existed { was_repeated: false }),
                (vec![exists(true)], Uploaded::Existed { was_repeated: true }),
                (vec![Lost, exists(false)], Uploaded::Existed { was_repeated: true }),
                (vec![Lost, Written], Uploaded::Written),
                (vec![Aborted(aborted()), exists(false)], Uploaded::Existed { was_repeated: true }),
                (vec![Lost, Aborted(aborted()), Lost, Written], Uploaded::Written),
            ] {
                let case = format!("{shape:?}: {outcomes:?}");
                let bucket = Scripted(Mutex::new(outcomes), None);
                assert_eq!(upload(&bucket, &bucket, &object(shape)).await, Ok(uploaded), "{case}");
            }
        }
    }

    fn object(shape: UploadShape) -> Upload<'static> {
        let content_type = ContentType::Gzip;
        Upload { key: "k", bytes: Bytes::from_static(b"ab"), sha256: [0; 32], shape, content_type }
    }

    fn aborted() -> PortError {
        let refusal = Refusal { code: AwsErrorCode::parse("OperationAborted"), status: 409 };
        PortError::customer("s3:PutObject", ConnectionFailure::BucketRefused(refusal), "OperationAborted")
    }

    #[tokio::test]
    async fn an_upload_is_begun_four_times_at_the_most() {
        use PutOutcome::{Aborted, Lost};

        for (outcomes, kind) in [
            (vec![Lost; 5], ErrorKind::Transient),
            (vec![Aborted(aborted()); 5], aborted().kind),
            (vec![Aborted(aborted()), Lost, Lost, Lost, Lost], ErrorKind::Transient),
        ] {
            let bucket = Scripted(Mutex::new(outcomes), None);
            let error = upload(&bucket, &bucket, &object(UploadShape::Single)).await.unwrap_err();
            assert_eq!(error.kind, kind);
            assert_eq!(bucket.0.lock().unwrap().len(), 1, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn parts_that_are_lost_each_time_end_an_upload_as_the_bucket_says() {
        for (part, kind) in
            [(PartOutcome::Lost, ErrorKind::Transient), (PartOutcome::Aborted(aborted()), aborted().kind)]
        {
            let bucket = Scripted(Mutex::new(Vec::new()), Some(part));
            let error = upload(&bucket, &bucket, &object(UploadShape::Multipart { part_size: 1 })).await.unwrap_err();
            assert_eq!(error.kind, kind);
        }
    }

    #[test]
    fn parts_cover_the_object_once() {
        for (length, part_size, expected) in
            [(10, 5, &[0..5, 5..10][..]), (11, 5, &[0..5, 5..10, 10..11]), (3, 5, &[0..3; 1])]
        {
            assert_eq!(part_ranges(length, part_size).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn one_part_is_put_at_once() {
        assert_eq!(UploadShape::for_length(5, 5), UploadShape::Single);
        assert_eq!(UploadShape::for_length(6, 5), UploadShape::Multipart { part_size: 5 });
    }
}
