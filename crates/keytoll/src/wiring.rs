//! Connects the ports: the system's clock and randomness, and the store behind the gateway.

use std::sync::Arc;

use keytoll_control::{Clock, Entropy, Wake};
use keytoll_domain::time::Timestamp;
use tokio::sync::Notify;

/// The system's clock: the one place that reads it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock port's one implementation")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// The kernel's CSPRNG.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the kernel gives randomness once it has started");
    }
}

/// Wakes the gateway's feed when a change was committed in this process.
#[derive(Clone, Debug, Default)]
pub struct FeedWake(pub Arc<Notify>);

impl Wake for FeedWake {
    fn wake(&self) {
        self.0.notify_one();
    }
}
