//! The log lines that raise alarms.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
    subscriber::NoSubscriber,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

/// The fields of a log line.
#[derive(Debug, Default)]
struct Line(BTreeMap<&'static str, String>);

/// The collected log lines with a field `alarm`.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlarmLines(Arc<Mutex<Vec<Line>>>);

impl AlarmLines {
    /// Runs a future and collects the lines of the alarms that it raises.
    pub(crate) async fn of<T>(&self, work: impl Future<Output = T>) -> T {
        // A single subscriber would disable call sites that other tests' threads reach first.
        let _other = Dispatch::new(NoSubscriber::new());
        work.with_subscriber(tracing_subscriber::registry().with(self.clone())).await
    }

    /// Removes the lines, and returns their alarms.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken_with(["alarm"]).into_iter().flatten().collect()
    }

    /// Removes the lines, and returns these fields of each.
    pub(crate) fn taken_with<const N: usize>(&self, fields: [&str; N]) -> Vec<[String; N]> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        lines.iter().map(|line| fields.map(|field| line.0.get(field).cloned().unwrap_or_default())).collect()
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber> Layer<S> for AlarmLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.0.contains_key("alarm") {
            self.0.lock().unwrap().push(line);
        }
    }
}
