//! Who asks again: a gateway asks thousands of times a second with one token, whose digest need not be made each time.

use std::cell::RefCell;

/// Longer tokens are hashed each time.
const TOKEN_MAX_BYTES: usize = 256;

/// The token that asked last on this core, until any token changes. Only one that may ask is kept.
#[derive(Default)]
pub(crate) struct LastAsker(RefCell<Option<Asker>>);

struct Asker {
    token: Box<[u8]>,
    /// The state of all tokens in which it might ask.
    version: u64,
}

impl LastAsker {
    pub(super) fn is(&self, token: &[u8], version: u64) -> bool {
        let last = self.0.borrow();
        last.as_ref().is_some_and(|last| last.version == version && same(&last.token, token))
    }

    pub(super) fn set(&self, token: &[u8], version: u64) {
        let kept = token.len() <= TOKEN_MAX_BYTES;
        *self.0.borrow_mut() = kept.then(|| Asker { token: token.into(), version });
    }
}

/// Takes as long for tokens that differ at their beginning as for those that differ at their end.
fn same(known: &[u8], token: &[u8]) -> bool {
    let differing = known.iter().zip(token).fold(0, |bits, (one, other)| bits | (one ^ other));
    known.len() == token.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_token_of_the_present_state_is_known() {
        let asker = LastAsker::default();
        assert!(!asker.is(b"", 0));
        asker.set(b"token-1", 5);
        assert!(asker.is(b"token-1", 5));
        for (token, version) in [
            (&b"token-1"[..], 6),
            (b"token-1", 4),
            (b"token-2", 5),
            (b"token-", 5),
            (b"token-11", 5),
        ] {
            assert!(!asker.is(token, version), "{} {version}", token.escape_ascii());
        }
        assert!(!asker.is(b"", 5));
        asker.set(b"token-2", 6);
        assert!(asker.is(b"token-2", 6) && !asker.is(b"token-1", 6));
        let long = vec![b'a'; TOKEN_MAX_BYTES + 1];
        asker.set(&long, 6);
        assert!(!asker.is(&long, 6) && !asker.is(b"token-2", 6));
    }
}
