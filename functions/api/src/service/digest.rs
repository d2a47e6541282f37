//! Sealed digests, so that a customer can restore one that was removed from the bucket or replaced there.

use authentication::Caller;
use bytes::Bytes;
use domain::{
    configuration::ConfigurationKey,
    digest::{Digest, DigestReference, Hex32},
    export_job::ExportJobId,
    export_run::ExportState,
};

use super::shared::Service;
use crate::{error::ApiError, ports::PortError};

const OPERATION: &str = "read digest";

/// A digest and its signature as they were put into the bucket, and their place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredDigest {
    pub job: ExportJobId,
    pub reference: DigestReference,
    /// The signed bytes.
    pub text: String,
    pub signature: Bytes,
}

impl Service {
    /// Returns the digest of a job that succeeded.
    ///
    /// A digest that is sealed and not in the bucket yet is `NOT_FOUND`: the next run puts it there, and an edit may still
    /// change the place. So is a digest with an expired history.
    pub async fn digest(&self, caller: &Caller, job_id: &str) -> Result<DeliveredDigest, ApiError> {
        let history = &self.ports.history;
        let job = ExportJobId::parse(job_id).ok_or(ApiError::NotFound)?;
        let configuration = self.get(caller, &job.configuration_id.to_string()).await?;
        let key = &configuration.key;
        let state = history.snapshot(key).await?.ok_or(ApiError::NotFound)?.state;
        if job.sequence >= state.next_sequence {
            return Err(ApiError::NotFound);
        }
        let sealed = history.digest(key, job.sequence).await?.ok_or(ApiError::NotFound)?;
        let reference = self.reference_to(key, job.sequence, state).await?.ok_or(ApiError::NotFound)?;
        let (sha256, signature_sha256) = (Hex32::sha256_of(&sealed.bytes), Hex32::sha256_of(&sealed.signature));
        if (sha256, signature_sha256) != (reference.sha256, reference.signature_sha256) {
            return Err(inconsistent("differs from its reference in the chain").into());
        }
        let text = String::from_utf8(sealed.bytes.into()).map_err(|_| inconsistent("is not UTF-8"))?;
        Ok(DeliveredDigest { job, reference, text, signature: sealed.signature })
    }

    /// Returns the place where a delivered digest was put.
    ///
    /// It is in the next digest, or for the newest digest in the state of the runs. The configuration is not used: its
    /// destination may have changed. `None`: the next digest has expired, so this one counts as expired too.
    async fn reference_to(
        &self,
        key: &ConfigurationKey,
        sequence: u64,
        state: ExportState,
    ) -> Result<Option<DigestReference>, PortError> {
        let next = sequence.saturating_add(1);
        let reference = if next == state.next_sequence {
            state.head
        } else {
            let Some(sealed) = self.ports.history.digest(key, next).await? else { return Ok(None) };
            Digest::from_bytes(&sealed.bytes).map_err(|error| PortError::internal_from(OPERATION, error))?.previous
        };
        reference.map(Some).ok_or_else(|| inconsistent("has no reference in the chain"))
    }
}

fn inconsistent(defect: &str) -> PortError {
    PortError::internal(OPERATION, format!("the digest of a delivered window {defect}"))
}
