//! Parts of a function that not every invocation needs.

use std::sync::LazyLock;

/// A part that is made when it is first used.
///
/// An AWS client costs a tenth of a millisecond or two to make, mostly for the rules by which it finds endpoints: too much
/// for a cold start that may never call that service.
pub type Lazy<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send>>;

/// Puts off making a part until it is first used.
#[must_use]
pub fn lazily<T>(make: impl FnOnce() -> T + Send + 'static) -> Lazy<T> {
    LazyLock::new(Box::new(make))
}
