//! Pages of a list.

/// The items of one page, and whether more follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub has_next: bool,
}

impl<T> Page<T> {
    /// Returns the first `limit` of `items`.
    pub fn first(limit: u16, items: impl IntoIterator<Item = T>) -> Self {
        let limit = usize::from(limit);
        let mut items: Vec<T> = items.into_iter().take(limit + 1).collect();
        let has_next = items.len() > limit;
        items.truncate(limit);
        Self { items, has_next }
    }
}
