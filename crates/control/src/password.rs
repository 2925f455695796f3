//! Passwords as argon2id PHC strings.
//!
//! Hashing takes tens of milliseconds and 19 MiB on purpose, so it runs on blocking threads, a few at a time;
//! a flood of log-ins queues here instead of taking the memory of the machine.

use std::fmt;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

/// Hashes computed at the same time.
const CONCURRENT: usize = 4;
/// Callers hashing or waiting to; one more is told to come again.
const WAITING: usize = 64;
pub(crate) const PASSWORD_MIN_CHARS: usize = 10;
pub(crate) const PASSWORD_MAX_CHARS: usize = 200;

/// A password in the clear, on its way to being hashed. `Debug` hides it.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether its length is within the bounds; what is in it is the owner's business.
    pub(crate) fn is_acceptable(&self) -> bool {
        let count = self.0.chars().take(PASSWORD_MAX_CHARS + 1).count();
        (PASSWORD_MIN_CHARS..=PASSWORD_MAX_CHARS).contains(&count)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Too many log-ins at once, or the hash function failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

#[derive(Debug)]
pub(crate) struct Passwords {
    queue: Semaphore,
    slots: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { queue: Semaphore::new(WAITING), slots: Arc::new(Semaphore::new(CONCURRENT)) }
    }
}

impl Passwords {
    pub(crate) async fn hash(&self, password: Password, salt: [u8; 16]) -> Result<String, Busy> {
        self.run(move || {
            let hash = Argon2::default().hash_password_with_salt(password.0.as_bytes(), &salt);
            hash.map(|hash: PasswordHash| hash.to_string()).map_err(|_| Busy)
        })
        .await?
    }

    /// Whether the password belongs to the hash. Without a hash (an unknown e-mail address) the same work is
    /// done and the answer is no, so that the time of an answer does not tell who has an account.
    pub(crate) async fn verify(
        &self,
        password: Password,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        self.run(move || {
            let argon2 = Argon2::default();
            if let Some(Ok(hash)) = hash.as_deref().map(PasswordHash::new) {
                return argon2.verify_password(password.0.as_bytes(), &hash).is_ok();
            }
            let spent: Result<PasswordHash, _> =
                argon2.hash_password_with_salt(password.0.as_bytes(), &[0; 16]);
            drop(spent);
            false
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _queued = self.queue.try_acquire().map_err(|_| Busy)?;
        // The permit goes with the work: a caller that leaves does not free the slot before the hash is done.
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Busy)?;
        let run = move || {
            let done = work();
            drop(slot);
            done
        };
        tokio::task::spawn_blocking(run).await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Password {
        Password::new(text.into())
    }

    #[tokio::test]
    async fn a_password_is_verified_against_its_own_hash_only() {
        let passwords = Passwords::default();
        let hash = passwords.hash(word("correct horse"), [7; 16]).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert_eq!(passwords.verify(word("correct horse"), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify(word("wrong horse"), Some(hash)).await, Ok(false));
        assert_eq!(passwords.verify(word("correct horse"), None).await, Ok(false));
    }
}
