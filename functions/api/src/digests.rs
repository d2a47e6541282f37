//! Sealed digests, served again so that a customer can put back what was removed or replaced in the bucket.

use bytes::Bytes;
use domain::{
    configuration::ConfigurationKey,
    digest::{Digest, DigestReference, Hex32},
    export_job::ExportJobId,
    export_run::RunState,
};
use export_engine::ports::PortError;
use function_runtime::token::Caller;
use sha2::{Digest as _, Sha256};

use crate::{schema::errors::ApiError, service::Service};

const OPERATION: &str = "read digest";

/// A digest and its signature as they were put into the bucket, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredDigest {
    pub job: ExportJobId,
    pub reference: DigestReference,
    /// The bytes that are signed.
    pub text: String,
    pub signature: Bytes,
}

impl Service {
    /// Returns the digest of a job that succeeded. One that is sealed, but not in the bucket yet, is `NOT_FOUND`: the
    /// next run puts it, and an edit may still change where. So is one whose history has expired.
    pub async fn digest(&self, caller: &Caller, job_id: &str) -> Result<DeliveredDigest, ApiError> {
        let job = ExportJobId::parse(job_id).ok_or(ApiError::NotFound)?;
        let configuration = self.get(caller, &job.configuration_id.to_string()).await?;
        let key = &configuration.key;
        let state = self.history.snapshot(key).await?.ok_or(ApiError::NotFound)?.state;
        if job.sequence >= state.next_sequence {
            return Err(ApiError::NotFound);
        }
        let sealed = self.history.digest(key, job.sequence).await?.ok_or(ApiError::NotFound)?;
        let reference = self.reference_to(key, job.sequence, state).await?.ok_or(ApiError::NotFound)?;
        let (sha256, signature_sha256) = (sha256(&sealed.bytes), sha256(&sealed.signature));
        if (sha256, signature_sha256) != (reference.sha256, reference.signature_sha256) {
            return Err(inconsistent("is not the one that the chain names").into());
        }
        let text = String::from_utf8(sealed.bytes.into()).map_err(|_| inconsistent("is not UTF-8"))?;
        Ok(DeliveredDigest { job, reference, text, signature: sealed.signature })
    }

    /// Returns where a delivered digest was put. The next digest says so, and the run's state of the newest: the
    /// configuration's destination may be another one today. `None`: the next one has expired, and so has this one, although it
    /// is still there.
    async fn reference_to(
        &self,
        key: &ConfigurationKey,
        sequence: u64,
        state: RunState,
    ) -> Result<Option<DigestReference>, PortError> {
        let next = sequence.saturating_add(1);
        let reference = if next == state.next_sequence {
            state.head
        } else {
            let Some(sealed) = self.history.digest(key, next).await? else { return Ok(None) };
            Digest::from_bytes(&sealed.bytes)
                .map_err(|error| PortError::internal(OPERATION, error.to_string()))?
                .previous
        };
        reference.map(Some).ok_or_else(|| inconsistent("is named by nothing"))
    }
}

fn sha256(bytes: &[u8]) -> Hex32 {
    Hex32(Sha256::digest(bytes).into())
}

fn inconsistent(what: &str) -> PortError {
    PortError::internal(OPERATION, format!("the digest of a delivered window {what}"))
}
