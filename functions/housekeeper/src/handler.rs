//! The handler of an invocation: a sweep, a pass over the outbox, or the erasure of a tenant.

use lambda_runtime::{Error, LambdaEvent};
use serde::{Deserialize, Serialize};

use crate::{
    erasure::{ErasureReport, ErasureRequest},
    housekeeper::Housekeeper,
    notices::{PublishReport, PublishRequest},
    sweep::{SweepReport, SweepRequest},
};

/// The payload of an invocation. Unknown fields are refused.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HousekeeperEvent {
    /// From a schedule.
    Sweep(SweepRequest),
    /// From a schedule.
    PublishNotices(PublishRequest),
    /// From an operator.
    EraseTenant(ErasureRequest),
}

/// The outcome of an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum HousekeeperOutcome {
    Swept(SweepReport),
    Published(PublishReport),
    Erased(ErasureReport),
}

impl Housekeeper {
    pub(crate) async fn handle(&self, event: LambdaEvent<HousekeeperEvent>) -> Result<HousekeeperOutcome, Error> {
        match event.payload {
            HousekeeperEvent::Sweep(SweepRequest {}) => Ok(HousekeeperOutcome::Swept(self.sweep().await?)),
            HousekeeperEvent::PublishNotices(PublishRequest {}) => {
                Ok(HousekeeperOutcome::Published(self.publish_notices().await?))
            }
            HousekeeperEvent::EraseTenant(request) => {
                Ok(HousekeeperOutcome::Erased(self.erase_tenant(&request, &event.context).await?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_says_what_is_asked_for() {
        let parse = |text| serde_json::from_str::<HousekeeperEvent>(text);
        assert!(matches!(parse(r#"{"sweep":{}}"#).unwrap(), HousekeeperEvent::Sweep(_)));
        assert!(matches!(parse(r#"{"publishNotices":{}}"#).unwrap(), HousekeeperEvent::PublishNotices(_)));
        let erasure = r#"{"eraseTenant":{"tenantId":"acme","reason":"ticket 4711"}}"#;
        assert!(matches!(parse(erasure).unwrap(), HousekeeperEvent::EraseTenant(_)));
        for bad in [
            "{}",
            r#"{"sweep":{"all":true}}"#,
            r#"{"sweep":{},"eraseTenant":{"tenantId":"acme","reason":"both"}}"#,
            r#"{"eraseTenant":{"tenantId":"acme"}}"#,
            r#"{"eraseTenant":{"tenantId":"a#b","reason":"no tenant"}}"#,
            // Only the stored progress decides where an erasure continues.
            r#"{"eraseTenant":{"tenantId":"acme","reason":"ticket 4711","continueFrom":"events"}}"#,
            r#"{"eraseTenant":{"tenantId":"acme","reason":"ticket 4711","position":"events"}}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
