//! Interceptors of requests to S3.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use aws_runtime::auth::PayloadSigningOverride;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef},
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use domain::digest::Hex32;

/// Signs a request with the known SHA-256 of its body. The SDK would compute it again, which takes a tenth of an export's
/// processor time.
#[derive(Debug)]
pub(crate) struct KnownPayloadHash(pub(crate) [u8; 32]);

impl Intercept for KnownPayloadHash {
    fn name(&self) -> &'static str {
        "KnownPayloadHash"
    }

    fn modify_before_signing(
        &self,
        _context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let hash = Hex32(self.0).to_string();
        configuration.interceptor_state().store_put(PayloadSigningOverride::Precomputed(hash));
        Ok(())
    }
}

/// The number of times that a request was sent: the SDK repeats one that got no answer, or an answer that S3 failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Transmissions(Arc<AtomicU32>);

impl Transmissions {
    /// Returns whether the object may have been written before the request that was answered.
    pub(super) fn was_repeated(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

impl Intercept for Transmissions {
    fn name(&self) -> &'static str {
        "Transmissions"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
