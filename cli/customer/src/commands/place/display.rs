//! The progress of reading an export.

use indicatif::{ProgressBar, ProgressStyle};
use verification::Progress;

/// A progress bar on standard error, hidden without a terminal.
pub struct Display {
    bar: ProgressBar,
}

impl Display {
    pub fn new() -> Self {
        Self { bar: ProgressBar::new(0) }
    }

    pub fn show(&self, progress: Progress<'_>) {
        match progress {
            Progress::DigestsListed { count } => self.begin(count, "{bar:30} {pos}/{len} digests (ready in {eta})"),
            Progress::DigestChecked => self.bar.inc(1),
            Progress::ObjectsCounted { stored_bytes, .. } => {
                self.begin(
                    stored_bytes,
                    "{bar:30} {bytes}/{total_bytes} of objects {binary_bytes_per_sec} (ready in {eta})",
                );
            }
            Progress::BytesRead { count } => self.bar.inc(count),
            Progress::ObjectChecked | Progress::ObjectProven { .. } => {}
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Runs a function that prints, with the bar out of the way.
    pub fn suspended<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    fn begin(&self, length: u64, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.reset();
        self.bar.set_length(length);
    }
}
