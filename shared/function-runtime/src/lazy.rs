//! Values that not every invocation needs.

use std::{
    sync::{Arc, LazyLock},
    thread,
};

/// A value that is created at its first use.
///
/// Creating an AWS client takes a tenth of a millisecond or two, mostly for its endpoint rules: too long for a cold
/// start that may never call that service.
pub type Lazy<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send>>;

/// Creates a lazy value.
#[must_use]
pub fn lazily<T>(make: impl FnOnce() -> T + Send + 'static) -> Lazy<T> {
    LazyLock::new(Box::new(make))
}

/// Creates a value on another thread, while this one goes on with the start. Its first use waits for it.
#[must_use]
pub fn created_meanwhile<T: Send + Sync + 'static>(make: impl FnOnce() -> T + Send + 'static) -> Arc<Lazy<T>> {
    let value = Arc::new(lazily(make));
    let created = Arc::clone(&value);
    // If there is no thread, the first use creates the value.
    let _ = thread::Builder::new().spawn(move || {
        LazyLock::force(&created);
    });
    value
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_value_is_created_before_its_use_and_once() {
        let (created, creations) = mpsc::channel();
        let value = created_meanwhile(move || {
            created.send(thread::current().id()).unwrap();
            7
        });
        assert_ne!(creations.recv().unwrap(), thread::current().id());
        assert_eq!(**value, 7);
        assert!(creations.recv().is_err(), "created twice");
    }
}
