//! Taking one of a tenant's shares, keeping it, and returning it.

use domain::{export_run::RunTrigger, tenant::TenantId};
use host::Clock;

use super::engine::{EnginePorts, ExportEngine};
use crate::ports::{PortError, ShareRequest, TenantShare, TenantShares};

impl<P: EnginePorts> ExportEngine<'_, P> {
    /// Takes a share of the tenant. `None`: other runs have all of them.
    pub(crate) async fn take_share(
        &self,
        tenant: &TenantId,
        trigger: RunTrigger,
    ) -> Result<Option<TenantShare>, PortError> {
        let request = ShareRequest {
            tenant,
            trigger,
            shares: self.settings.max_runs_per_tenant,
            holder: self.holder,
            now: self.clock.now(),
            expires_at: self.lease_end(),
        };
        self.runs.take_share(&request).await
    }

    /// Extends a share. A failure is only logged: the share outlasts two of them.
    pub(crate) async fn renew_share(&self, share: &TenantShare) {
        if let Err(error) = self.runs.renew_share(share, self.lease_end()).await {
            tracing::warn!(%error, "the tenant's share was not renewed this time");
        }
    }

    /// Returns a share. A failure is only logged: the share expires.
    pub(crate) async fn return_share(&self, share: &TenantShare) {
        if let Err(error) = self.runs.return_share(share).await {
            tracing::warn!(%error, "the tenant's share was not returned; it expires");
        }
    }
}
