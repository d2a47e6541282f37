//! The alarms that a test raises.

use std::sync::{Arc, Mutex};

/// The values of the field `alarm` of the lines that were logged.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarms(Arc<Mutex<Vec<String>>>);

impl Alarms {
    /// Runs a future and collects the alarms that it raises.
    pub(super) async fn of<T>(&self, work: impl Future<Output = T>) -> T {
        // A single subscriber would disable call sites that other tests' threads reach first.
        let _other = tracing::Dispatch::new(Self::default());
        let _guard = tracing::subscriber::set_default(self.clone());
        work.await
    }

    pub(super) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl tracing::field::Visit for &Alarms {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "alarm" {
            self.0.lock().unwrap().push(format!("{value:?}").trim_matches('"').to_owned());
        }
    }
}

impl tracing::Subscriber for Alarms {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut &*self);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
