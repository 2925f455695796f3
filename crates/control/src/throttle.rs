//! Failed log-ins per e-mail address and per network address, bounded in number and in memory.
//!
//! An attempt is counted before the password is checked and taken back when it was right, so that parallel
//! guesses do not slip through. Counts are kept in this process: several nodes allow several times as many.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Mutex;

use keytoll_domain::time::{MICROS_PER_SECOND, Timestamp};

const WINDOW_MICROS: i64 = 15 * 60 * MICROS_PER_SECOND;
/// Failures allowed per window for one e-mail address and for one network address.
const FAILURES_PER_EMAIL: u32 = 10;
const FAILURES_PER_ADDRESS: u32 = 100;
const SIGN_UPS_PER_ADDRESS: u32 = 200;
/// Subjects remembered. When so many are active, those with a single attempt are forgotten first; only a
/// flood of repeated attempts makes new subjects wait.
const SUBJECTS_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Timestamp,
    count: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<Box<str>, Failures>>);

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    Email(&'a str),
    Address(&'a str),
    /// Sign-ups from a network address; these are never taken back.
    SignUp(&'a str),
}

impl Subject<'_> {
    fn limit(self) -> u32 {
        match self {
            Self::Email(_) => FAILURES_PER_EMAIL,
            Self::Address(_) => FAILURES_PER_ADDRESS,
            Self::SignUp(_) => SIGN_UPS_PER_ADDRESS,
        }
    }

    fn name(self) -> Box<str> {
        match self {
            Self::Email(text) => format!("e {text}").into(),
            Self::Address(text) => format!("a {}", network(text)).into(),
            Self::SignUp(text) => format!("s {}", network(text)).into(),
        }
    }
}

/// Whoever has one IPv6 address has the 2^64 of its network: they are counted as one.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Ok(IpAddr::V4(v4)) => v4.to_string(),
        Err(_) => address.to_owned(),
    }
}

impl Throttle {
    /// Counts an attempt; the error is the number of seconds to wait.
    pub(crate) fn enter(&self, subject: Subject<'_>, now: Timestamp) -> Result<(), u32> {
        let mut failures = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_old = |entry: &Failures| now.0.saturating_sub(entry.since.0) >= WINDOW_MICROS;
        let name = subject.name();
        if failures.len() >= SUBJECTS_MAX && !failures.contains_key(&name) {
            failures.retain(|_, entry| !is_old(entry) && entry.count > 1);
            if failures.len() >= SUBJECTS_MAX {
                return Err(wait_secs(WINDOW_MICROS));
            }
        }
        match failures.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(Failures { since: now, count: 1 });
            }
            Entry::Occupied(mut entry) => {
                let entry = entry.get_mut();
                if is_old(entry) {
                    *entry = Failures { since: now, count: 0 };
                }
                if entry.count >= subject.limit() {
                    return Err(wait_secs(entry.since.0.saturating_add(WINDOW_MICROS) - now.0));
                }
                entry.count += 1;
            }
        }
        Ok(())
    }

    /// Takes an attempt back: it was no failure.
    pub(crate) fn forgive(&self, subject: Subject<'_>) {
        let mut failures = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = failures.entry(subject.name()) {
            entry.get_mut().count = entry.get().count.saturating_sub(1);
            if entry.get().count == 0 {
                entry.remove();
            }
        }
    }
}

fn wait_secs(micros: i64) -> u32 {
    let secs = micros.max(0).saturating_add(MICROS_PER_SECOND - 1) / MICROS_PER_SECOND;
    u32::try_from(secs).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_failure_waits_and_a_success_is_not_counted() {
        let throttle = Throttle::default();
        let start = Timestamp::from_secs(1_000);
        let subject = Subject::Email("a@example.com");
        throttle.enter(subject, start).unwrap();
        throttle.forgive(subject);
        for _ in 0..FAILURES_PER_EMAIL {
            throttle.enter(subject, start).unwrap();
        }
        assert_eq!(throttle.enter(subject, start.plus_secs(60)), Err(14 * 60));
        assert_eq!(throttle.enter(Subject::Email("b@example.com"), start), Ok(()));
        assert_eq!(throttle.enter(subject, start.plus_secs(900)), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
