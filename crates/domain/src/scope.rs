//! Scopes: what a key may do. Texts in records and the API, small numbers ([`ScopeIndex`]) in the request path.

/// Holds every scope, future ones too.
pub const ALL: &str = "*";
/// Longest scope accepted.
pub const SCOPE_MAX_LEN: usize = 100;

/// A scope's place in the gateway's list of scope texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeIndex(pub u32);

/// The scopes of a key, as the request path compares them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScopeSet {
    All,
    /// Sorted, without doubles.
    Only(Box<[ScopeIndex]>),
}

impl ScopeSet {
    pub fn only(mut scopes: Vec<ScopeIndex>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self::Only(scopes.into())
    }

    pub fn holds(&self, scope: ScopeIndex) -> bool {
        match self {
            Self::All => true,
            Self::Only(held) => held.binary_search(&scope).is_ok(),
        }
    }

    /// Whether one of the alternatives is held whole; no alternative at all asks for nothing.
    /// The error names the first scope missing from the first alternative.
    pub fn satisfies(&self, alternatives: &[Box<[ScopeIndex]>]) -> Result<(), ScopeIndex> {
        let mut missing = None;
        for alternative in alternatives {
            match alternative.iter().find(|scope| !self.holds(**scope)) {
                None => return Ok(()),
                Some(scope) => missing = missing.or(Some(*scope)),
            }
        }
        missing.map_or(Ok(()), Err)
    }
}

/// Visible ASCII without space, quote or backslash (RFC 6749's scope-token), at most [`SCOPE_MAX_LEN`].
pub fn is_scope(text: &str) -> bool {
    let token = |b: u8| (0x21..=0x7e).contains(&b) && b != b'"' && b != b'\\';
    !text.is_empty() && text.len() <= SCOPE_MAX_LEN && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(held: &[u32]) -> ScopeSet {
        ScopeSet::only(held.iter().copied().map(ScopeIndex).collect())
    }

    fn alternatives(of: &[&[u32]]) -> Vec<Box<[ScopeIndex]>> {
        of.iter().map(|list| list.iter().copied().map(ScopeIndex).collect()).collect()
    }

    #[test]
    fn one_alternative_must_be_held_whole() {
        let held = set(&[3, 1]);
        assert_eq!(held.satisfies(&[]), Ok(()));
        assert_eq!(held.satisfies(&alternatives(&[&[1, 3]])), Ok(()));
        assert_eq!(held.satisfies(&alternatives(&[&[1, 2], &[3]])), Ok(()));
        assert_eq!(held.satisfies(&alternatives(&[&[1, 2], &[4]])), Err(ScopeIndex(2)));
        assert_eq!(ScopeSet::All.satisfies(&alternatives(&[&[9]])), Ok(()));
        assert_eq!(set(&[]).satisfies(&alternatives(&[&[]])), Ok(()));
    }

    #[test]
    fn scope_texts() {
        for good in ["*", "read:articles", "https://a.example/x", "a"] {
            assert!(is_scope(good), "{good}");
        }
        for bad in ["", "a b", "a\"", "ä", "a\n", &"x".repeat(101)] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
