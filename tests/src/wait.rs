//! The only place of the tests that reads the clock or sleeps.

use std::time::{Duration, Instant};

/// How long anything may take before a test calls it broken. Generous, because a loaded machine is no
/// failure; nothing waits this long when it works.
pub const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(20);

/// A point in time that must not be passed.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "tests wait on real processes in real time")]
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    #[expect(clippy::disallowed_methods, reason = "tests wait on real processes in real time")]
    pub fn passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When [`PATIENCE`] is over; `what` says what was waited for.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(PATIENCE);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(!deadline.passed(), "waited {PATIENCE:?} in vain for {what}");
        pause();
    }
}

/// Like [`until`] for a condition.
pub fn until_true(what: &str, mut ask: impl FnMut() -> bool) {
    until(what, || ask().then_some(()));
}

/// Milliseconds of the system clock since 1970, for data that must lie in the past or the future.
#[expect(clippy::disallowed_methods, reason = "the product under test reads the same clock")]
pub fn unix_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// One short rest between two attempts.
#[expect(clippy::disallowed_methods, reason = "polling another process has no event to wait for")]
pub fn pause() {
    std::thread::sleep(PAUSE);
}
