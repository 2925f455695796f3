//! Lists have a limit and a keyset cursor: the id of the last row seen.

/// The part of a list that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<Id> {
    /// Rows after this one, in the list's order.
    pub cursor: Option<Id>,
    pub limit: u32,
}

impl<Id> PageRequest<Id> {
    pub const LIMIT_MAX: u32 = 1_000;
    pub const LIMIT_DEFAULT: u32 = 100;

    /// The limit within its bounds: a page has at least one row and at most [`Self::LIMIT_MAX`].
    pub fn limit(&self) -> u32 {
        self.limit.clamp(1, Self::LIMIT_MAX)
    }
}

impl<Id> Default for PageRequest<Id> {
    fn default() -> Self {
        Self { cursor: None, limit: Self::LIMIT_DEFAULT }
    }
}
