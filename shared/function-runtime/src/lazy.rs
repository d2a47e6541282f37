//! Values that not every invocation needs.

use std::sync::LazyLock;

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
