//! Pages of queries that are read without the SDK's tree of values.
//!
//! The SDK keeps the request, its signature, the retries and all errors: only its deserializer is replaced, for one request,
//! and that leaves every answer to the SDK's own which the given function does not read.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::operation::query::{Query as QueryOperation, QueryOutput};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeSerializationInterceptorContextRef, Error, Output},
        },
        orchestrator::{HttpResponse, OrchestratorError},
        runtime_plugin::RuntimePlugin,
        ser_de::{DeserializeResponse, SharedResponseDeserializer},
    },
};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use export_engine::ports::PortError;

use super::{
    read::{Page, Query},
    table::Table,
};
use crate::error::port_error;

/// A function that reads the body of a successful answer. `None`: the SDK has to read it.
pub type ReadAnswer<T> = fn(&[u8]) -> Option<T>;

/// A page of a query.
#[derive(Clone, Debug)]
pub enum DirectPage<T> {
    /// The page as the function read it.
    Direct(T),
    /// The page as the SDK read it.
    Sdk(Page),
}

impl Table {
    /// Reads the first page of a query with `read`, or with the SDK if that returns `None`.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn direct_page<T: Debug + Send + 'static>(
        &self,
        operation: &'static str,
        query: &Query,
        read: ReadAnswer<T>,
    ) -> Result<DirectPage<T>, PortError> {
        let answer = Arc::new(Mutex::new(None));
        let replacement = DirectAnswer { read, answer: Arc::clone(&answer) };
        let request = self.query(query).customize().interceptor(replacement);
        let output = request.send().await.map_err(|error| port_error(operation, error))?;
        let direct = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(direct.map_or_else(|| DirectPage::Sdk(output.into()), DirectPage::Direct))
    }
}

/// Replaces the deserializer of one request.
#[derive(Debug)]
struct DirectAnswer<T> {
    read: ReadAnswer<T>,
    /// The last answer, if `read` returned one.
    answer: Arc<Mutex<Option<T>>>,
}

impl<T: Debug + Send + 'static> Intercept for DirectAnswer<T> {
    fn name(&self) -> &'static str {
        "DirectAnswer"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An SDK that keeps its deserializer elsewhere reads all answers itself: slower, but not wrong.
        if let Some(sdk) = SdkDeserializer::new() {
            let deserializer = DirectDeserializer { read: self.read, answer: Arc::clone(&self.answer), sdk };
            configuration.interceptor_state().store_put(SharedResponseDeserializer::new(deserializer));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct DirectDeserializer<T> {
    read: ReadAnswer<T>,
    answer: Arc<Mutex<Option<T>>>,
    sdk: SdkDeserializer,
}

impl<T: Debug + Send> DeserializeResponse for DirectDeserializer<T> {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        configuration: &ConfigBag,
    ) -> Option<DeserializedAnswer> {
        self.sdk.get()?.deserialize_streaming_with_config(response, configuration)
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        configuration: &ConfigBag,
    ) -> DeserializedAnswer {
        let is_success = response.status().as_u16() == 200;
        let direct = response.body().bytes().filter(|_| is_success).and_then(self.read);
        let is_read = direct.is_some();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = direct;
        if is_read {
            return Ok(Output::erase(QueryOutput::builder().build()));
        }
        let sdk = self.sdk.get().ok_or_else(|| OrchestratorError::other("the SDK has no deserializer"))?;
        sdk.deserialize_nonstreaming_with_config(response, configuration)
    }
}

type DeserializedAnswer = Result<Output, OrchestratorError<Error>>;

/// The SDK's own deserializer, which can't be cloned out of the configuration of the operation.
#[derive(Debug)]
pub(crate) struct SdkDeserializer(FrozenLayer);

impl SdkDeserializer {
    pub(crate) fn new() -> Option<Self> {
        let deserializer = Self(QueryOperation::new().config()?);
        deserializer.get().is_some().then_some(deserializer)
    }

    pub(crate) fn get(&self) -> Option<&SharedResponseDeserializer> {
        self.0.load::<SharedResponseDeserializer>()
    }
}
