//! What an invocation asks for: a sweep, or the erasure of a tenant.

use aws_adapters::{
    configurations::ConfigurationTable, digest_signer::KmsDigestSigner, events::eraser::EventEraser, runs::RunTable,
};
use function_runtime::lazy::Lazy;
use host::Machine;
use lambda_runtime::{Error, LambdaEvent};
use serde::{Deserialize, Serialize};

use crate::{
    erasure::{ErasureAnswer, ErasureRequest},
    settings::Settings,
    sweep::{SweepAnswer, SweepRequest},
};

/// The housekeeper with everything it works on.
pub(crate) struct Housekeeper {
    pub(crate) configurations: ConfigurationTable,
    pub(crate) runs: RunTable,
    pub(crate) events: EventEraser,
    pub(crate) signer: Lazy<KmsDigestSigner>,
    pub(crate) clock: Machine,
    pub(crate) settings: Settings,
}

/// The payload of an invocation. One that has another field as well is refused.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HousekeeperEvent {
    /// From a schedule.
    Sweep(SweepRequest),
    /// From an operator.
    EraseTenant(ErasureRequest),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum HousekeeperAnswer {
    Swept(SweepAnswer),
    Erased(ErasureAnswer),
}

impl Housekeeper {
    pub(crate) async fn handle(&self, event: LambdaEvent<HousekeeperEvent>) -> Result<HousekeeperAnswer, Error> {
        match event.payload {
            HousekeeperEvent::Sweep(SweepRequest {}) => Ok(HousekeeperAnswer::Swept(self.sweep().await?)),
            HousekeeperEvent::EraseTenant(request) => {
                Ok(HousekeeperAnswer::Erased(self.erase_tenant(&request, &event.context).await?))
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
        let erasure = r#"{"eraseTenant":{"tenantId":"acme","reason":"ticket 4711"}}"#;
        assert!(matches!(parse(erasure).unwrap(), HousekeeperEvent::EraseTenant(_)));
        for bad in [
            "{}",
            r#"{"sweep":{"all":true}}"#,
            r#"{"sweep":{},"eraseTenant":{"tenantId":"acme","reason":"both"}}"#,
            r#"{"eraseTenant":{"tenantId":"acme"}}"#,
            r#"{"eraseTenant":{"tenantId":"a#b","reason":"no tenant"}}"#,
            // Where an erasure goes on is in its notes alone.
            r#"{"eraseTenant":{"tenantId":"acme","reason":"ticket 4711","continueFrom":"events"}}"#,
            r#"{"eraseTenant":{"tenantId":"acme","reason":"ticket 4711","position":"events"}}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
