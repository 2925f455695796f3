//! The limit headers of an answer.

use keytoll_domain::limits::{LimitName, Limited, Standing, Standings};
use keytoll_domain::time::Timestamp;

use crate::answer::{ceil_secs, put, put_number};

/// Writes limit headers. What the limits are is written anew only where it differs from the call before, which mostly
/// was of the same plan.
#[derive(Default)]
pub(crate) struct LimitFields {
    of: Vec<Terms>,
    /// The line `ratelimit-policy` of these.
    policy: Vec<u8>,
}

#[derive(PartialEq)]
struct Terms {
    name: LimitName,
    limit: u64,
    window_secs: u64,
}

impl Terms {
    fn of(standing: &Standing) -> Self {
        let Standing { name, limit, window_secs, .. } = *standing;
        Self { name, limit, window_secs }
    }
}

impl LimitFields {
    /// Puts the headers in: of the limit that refused, else of the tightest one. Where a product's window stands is not
    /// told: it would tell of other partners' calls.
    pub(crate) fn put(
        &mut self,
        head: &mut Vec<u8>,
        standings: &Standings,
        refused: Option<Limited>,
        now: Timestamp,
    ) {
        let Some(tightest) = standings.tightest() else { return };
        let refused = refused.filter(|limited| !limited.name.is_of_product());
        let (limit, remaining, reset) = match refused {
            Some(limited) => (limited.limit, limited.remaining, limited.retry_at),
            None => (tightest.limit, tightest.remaining, tightest.reset),
        };
        head.extend_from_slice(b"x-ratelimit-limit: ");
        put_number(head, limit);
        head.extend_from_slice(b"\r\nx-ratelimit-remaining: ");
        put_number(head, remaining);
        head.extend_from_slice(b"\r\nx-ratelimit-reset: ");
        put_number(head, whole(ceil_secs(reset.0)));
        head.extend_from_slice(self.policy(standings));
        let mut before: &[u8] = b"\r\nratelimit: \"";
        for one in standings.iter() {
            put(head, &[before, one.name.as_str().as_bytes(), b"\";r="]);
            put_number(head, one.remaining);
            head.extend_from_slice(b";t=");
            put_number(head, whole(ceil_secs(one.reset.0.saturating_sub(now.0))));
            before = b", \"";
        }
        head.extend_from_slice(b"\r\n");
    }

    fn is_of(&self, standings: &Standings) -> bool {
        let mut of = self.of.iter();
        let same = |one: Standing| of.next().is_some_and(|terms| *terms == Terms::of(&one));
        standings.iter().all(same) && of.next().is_none()
    }

    fn policy(&mut self, standings: &Standings) -> &[u8] {
        if !self.is_of(standings) {
            self.of.clear();
            self.policy.clear();
            let mut before: &[u8] = b"\r\nratelimit-policy: \"";
            for one in standings.iter() {
                put(&mut self.policy, &[before, one.name.as_str().as_bytes(), b"\";q="]);
                put_number(&mut self.policy, one.limit);
                self.policy.extend_from_slice(b";w=");
                put_number(&mut self.policy, one.window_secs.max(1));
                self.of.push(Terms::of(&one));
                before = b", \"";
            }
        }
        &self.policy
    }
}

fn whole(secs: i64) -> u64 {
    u64::try_from(secs).unwrap_or(0)
}
