//! The customer's bucket and the identity that may write to it.

use bytes::Bytes;
use domain::{
    configuration::{Destination, ExportConfiguration, arn::UserArn},
    export_format::ExportFormat,
};

use super::error::PortError;

/// A connection to the customer's bucket. No write replaces an object: each is conditional (`If-None-Match: *`). The exceptions
/// have [`PutCondition::Replace`]: repairs that a person requested so, and on servers other than AWS's the marker of connection
/// tests. All other writes, the trial included, carry the same headers, so that a policy permits all or none.
pub trait ObjectSink: Send + Sync {
    fn put_object(&self, object: PutObject<'_>) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;

    /// Fails as a write of `key` would, and writes nothing: the bytes are others than announced. Servers other than AWS's that
    /// accept them are refused (`CHECKSUMS_MISSING`).
    fn try_put(&self, key: &str, condition: PutCondition) -> impl Future<Output = Result<(), PortError>> + Send;

    fn create_multipart_upload(
        &self,
        key: &str,
        content_type: ContentType,
    ) -> impl Future<Output = Result<UploadId, PortError>> + Send;

    fn upload_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> impl Future<Output = Result<PartOutcome, PortError>> + Send;

    fn complete_multipart_upload(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;
}

/// An object that is written with one request.
#[derive(Clone, Debug)]
pub struct PutObject<'a> {
    pub key: &'a str,
    pub bytes: Bytes,
    pub sha256: [u8; 32],
    pub content_type: ContentType,
    pub condition: PutCondition,
}

/// The condition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutCondition {
    /// There is no object under the key.
    Absent,
    /// None: an object under the key is replaced.
    Replace,
}

/// The media type of an object. It depends on nothing but the kind of object, so every attempt sends the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// Data objects. They have no `Content-Encoding`: a client that decodes it would get other bytes than the digest states.
    Gzip,
    /// As `Gzip`.
    Zstd,
    Parquet,
    /// Digests.
    Json,
    /// Signatures, which are ASN.1 DER.
    Binary,
    /// The connection test's marker.
    Text,
}

impl ContentType {
    /// Returns the type of data objects.
    #[must_use]
    pub fn of(format: ExportFormat) -> Self {
        match format {
            ExportFormat::NdjsonGzip => Self::Gzip,
            ExportFormat::NdjsonZstd => Self::Zstd,
            ExportFormat::Parquet | ExportFormat::OcsfParquet => Self::Parquet,
        }
    }

    /// Returns the value of the header.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Gzip => "application/gzip",
            Self::Zstd => "application/zstd",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Json => "application/json",
            Self::Binary => "application/octet-stream",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// S3's answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    Written,
    /// 412 to [`PutCondition::Absent`]: the key exists. `was_repeated`: an earlier request of this call may have written it.
    Exists {
        was_repeated: bool,
    },
    /// 409 (another conditional write is in progress) or a lost upload: the state is unknown, and the upload starts over.
    Lost,
    /// 409 (another operation on the bucket is in progress), or what would be [`PutOutcome::Lost`] in AWS, of another server: the
    /// upload is repeated. The error applies if that does not help.
    Aborted(PortError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadId(pub String);

/// The outcome of uploading a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartOutcome {
    Uploaded(UploadedPart),
    /// S3 does not know the upload, or no longer knows it.
    Lost,
    /// The same of another server than AWS's, as in [`PutOutcome::Aborted`].
    Aborted(PortError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    pub number: u16,
    pub entity_tag: String,
    /// SHA-256 of the part, as base 64.
    pub sha256: String,
}

/// STS's answer to an attempt to assume a role that the service should not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// `AccessDenied`. Nothing else is a refusal.
    Refused,
    Granted,
}

/// The external ID that a probe sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeWith {
    NoExternalId,
    AnotherExternalId,
}

/// A new connection and the user that it belongs to.
#[derive(Clone, Debug)]
pub struct Connected<S> {
    pub sink: S,
    /// The owner of the access key. `None`: a role was assumed.
    pub user_arn: Option<UserArn>,
}

/// The source of connections to customers' buckets.
pub trait Connector: Send + Sync {
    type Sink: ObjectSink;

    /// Assumes the role or decrypts the access key, for writes to `destination`.
    fn connect_new(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> impl Future<Output = Result<Connected<Self::Sink>, PortError>> + Send;

    /// Returns a new connection, or an earlier one that outlasts any run and was made for this version of the configuration.
    fn connect(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> impl Future<Output = Result<Self::Sink, PortError>> + Send;

    /// Tries to assume the configuration's role as a request of another tenant would. `None`: it has no role.
    fn probe(
        &self,
        configuration: &ExportConfiguration,
        with: ProbeWith,
    ) -> impl Future<Output = Result<Option<ProbeOutcome>, PortError>> + Send;
}
