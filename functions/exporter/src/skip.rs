//! An operator's approval to skip a corrupt block: docs/RUNBOOKS.md, "A corrupt block".

use aws_adapters::runs::SkipApprovalOutcome;
use domain::{block::BlockId, operator_reason::OperatorReason, tenant::TenantId};
use export_engine::GzipEncoders;
use export_runs::Exporter;
use host::Clock;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SkipApproval {
    tenant_id: TenantId,
    /// The block named in the log line with the alarm `CORRUPT_BLOCK`.
    block_id: BlockId,
    /// The reason for the approval. It is stored, but not part of any digest.
    reason: OperatorReason,
}

pub(crate) async fn approve(exporter: &Exporter<GzipEncoders>, approval: SkipApproval) -> Result<SkipApproval, Error> {
    let SkipApproval { tenant_id: tenant, block_id: block, reason } = &approval;
    let reason = reason.as_str();
    match exporter.runs.approve_skip(tenant, *block, reason, exporter.machine.now()).await {
        Ok(SkipApprovalOutcome::Approved) => {
            tracing::warn!(%tenant, %block, reason, "an operator approved that exports leave a corrupt block out");
            Ok(approval)
        }
        Ok(SkipApprovalOutcome::NotFound) => {
            Err(format!("blockId: no run of {tenant} has found the block {block} corrupt").into())
        }
        Err(error) => {
            tracing::error!(%tenant, %block, %error, "the approval was not stored");
            Err("the approval was not stored; try again".into())
        }
    }
}
