//! Publishing the progress of a test while it runs.

use std::time::Duration;

use domain::{
    configuration::{ConfigurationKey, ExportConfiguration},
    connection_test::progress::{ConnectionTestProgress, TestStep},
};
use export_engine::{connection_test::TestWatch, ports::TestProgressStore};
use host::Clock;
use tokio::sync::watch;

/// The time of storing one state. A test waits at most for the state that is being stored when it ends, and for the last one.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_millis(500);

type State = Option<ConnectionTestProgress>;

/// Notes the steps of one test. No call waits.
#[derive(Debug)]
pub(super) struct Watch<'a, K> {
    clock: &'a K,
    state: watch::Sender<State>,
}

/// The states of one test, to be stored while it runs.
#[derive(Debug)]
pub(super) struct States(watch::Receiver<State>);

impl<'a, K: Clock> Watch<'a, K> {
    pub(super) fn new(clock: &'a K) -> (Self, States) {
        let (state, states) = watch::channel(None);
        (Self { clock, state }, States(states))
    }

    /// Ends the test. To be called after its outcome was stored: whoever sees no running test sees its outcome.
    pub(super) fn ended(self) {
        self.change(ConnectionTestProgress::end);
    }

    fn change(&self, change: impl FnOnce(&mut ConnectionTestProgress)) {
        self.state.send_if_modified(|state| {
            let Some(progress) = state else { return false };
            let before = progress.revision();
            change(progress);
            progress.revision() != before
        });
    }
}

impl<K: Clock> TestWatch for Watch<'_, K> {
    fn started(&self, configuration: &ExportConfiguration) {
        self.state.send_replace(Some(ConnectionTestProgress::started(configuration, self.clock.now())));
    }

    fn reached(&self, step: TestStep) {
        self.change(|progress| progress.reach(step));
    }
}

impl States {
    /// Stores each state until the test has ended. States that follow each other faster than they are stored are skipped. One
    /// that can't be stored changes nothing about the test.
    pub(super) async fn store(mut self, store: &impl TestProgressStore, key: &ConfigurationKey) {
        // The last state is received although its sender is gone.
        while self.0.changed().await.is_ok() {
            let Some(progress) = self.0.borrow_and_update().clone() else { continue };
            let (tenant, configuration) = (&key.tenant_id, &key.configuration_id);
            match tokio::time::timeout(STORE_TIMEOUT, store.store_progress(key, &progress)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%tenant, %configuration, %error, "the progress of a test could not be stored");
                }
                Err(_) => tracing::warn!(%tenant, %configuration, "the progress of a test took too long to store"),
            }
        }
    }
}
