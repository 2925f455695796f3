//! The targets of a product that share its calls, and which of them takes the next.
//!
//! How a target fares is one set of numbers for all cores, read and written without order: a choice may be based on
//! what was true a moment ago. With one target there is nothing to choose and nothing is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use keytoll_domain::catalog::{Target, UpstreamOptions};
use tokio::time::Instant;

use super::{Failure, Upstream};

/// Where a product's calls of one environment go. It stays the same when routes are made anew, unless its targets or
/// options change.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub members: Box<[Member]>,
    pub policy: Policy,
    /// What it was made of.
    pub targets: Vec<Target>,
    pub options: UpstreamOptions,
    /// Moments are told as milliseconds since this one.
    epoch: Instant,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub upstream: Arc<Upstream>,
    weight: u32,
}

/// The options as the request path wants them; absent times are the gateway's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// The product, by which repeats are budgeted.
    pub product: u32,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub idle: Option<Duration>,
    pub total: Option<Duration>,
    pub attempts: u8,
    pub budget_percent: u8,
    /// Failures in a row, and for how long they leave a target out, in milliseconds.
    eject: Option<(u32, u64)>,
    is_checked: bool,
}

/// How a target fares.
#[derive(Debug)]
pub(crate) struct State {
    /// Calls that it has now; counted only beside other targets.
    in_flight: AtomicU32,
    /// Calls that failed in a row.
    failures: AtomicU32,
    /// In milliseconds of the cluster; 0 = it is not left out.
    ejected_until: AtomicU64,
    /// What health checks say.
    pub healthy: AtomicBool,
    /// Its handshakes fail, which has been logged.
    pub distrusted: AtomicBool,
}

/// One call on its way to a target, counted until it is dropped.
pub(crate) struct Flight {
    cluster: Arc<Cluster>,
    index: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            healthy: AtomicBool::new(true),
            distrusted: AtomicBool::new(false),
        }
    }
}

impl Policy {
    fn of(product: u32, options: &UpstreamOptions) -> Self {
        let millis = |ms: Option<u32>| ms.map(|ms| Duration::from_millis(u64::from(ms)));
        Self {
            product,
            connect: millis(options.connect_ms),
            first_byte: millis(options.first_byte_ms),
            idle: millis(options.idle_ms),
            total: millis(options.total_ms),
            attempts: options.retries.attempts,
            budget_percent: options.retries.budget_percent,
            eject: options.eject.map(|eject| (eject.failures, u64::from(eject.secs) * 1000)),
            is_checked: options.health.is_some(),
        }
    }
}

impl Cluster {
    /// `upstreams` are those of `targets`, in their order; at least one.
    pub(crate) fn new(
        product: u32,
        options: &UpstreamOptions,
        targets: &[Target],
        upstreams: Vec<Arc<Upstream>>,
        epoch: Instant,
    ) -> Self {
        let member = |(upstream, target): (Arc<Upstream>, &Target)| Member {
            upstream,
            weight: u32::from(target.weight.max(1)),
        };
        Self {
            members: upstreams.into_iter().zip(targets).map(member).collect(),
            policy: Policy::of(product, options),
            targets: targets.to_vec(),
            options: options.clone(),
            epoch,
        }
    }

    /// The target for the next attempt: the less loaded of two that chance names by weight, apart from those in
    /// `tried` (a bit each) while there are others. Targets that are left out count as usable when all are; none that
    /// fails its health checks is ever chosen.
    pub(crate) fn choose(&self, tried: u64, random: impl Fn() -> u64) -> Result<usize, Failure> {
        if let [only] = &*self.members {
            let up = !self.policy.is_checked || only.upstream.state.healthy.load(Relaxed);
            return if up { Ok(0) } else { Err(Failure::Unavailable) };
        }
        let (healthy, available) = self.usable();
        for set in [available & !tried, healthy & !tried, available, healthy] {
            if set != 0 {
                let (one, two) = (self.sample(set, random()), self.sample(set, random()));
                return Ok(if self.is_less_loaded(two, one) { two } else { one });
            }
        }
        Err(Failure::Unavailable)
    }

    /// The targets that are healthy, and those of them that are not left out either; a bit each.
    fn usable(&self) -> (u64, u64) {
        let (mut healthy, mut available) = (0, 0);
        for (index, member) in self.members.iter().enumerate() {
            let state = &member.upstream.state;
            if state.healthy.load(Relaxed) {
                healthy |= 1 << index;
                let until = state.ejected_until.load(Relaxed);
                if until == 0 || self.is_over(state, until) {
                    available |= 1 << index;
                }
            }
        }
        (healthy, available)
    }

    fn is_over(&self, state: &State, until: u64) -> bool {
        let over = self.millis() >= until;
        if over {
            // A failure as the first thing after its return leaves it out again.
            let _ = state.ejected_until.compare_exchange(until, 0, Relaxed, Relaxed);
        }
        over
    }

    fn sample(&self, set: u64, random: u64) -> usize {
        let members = || {
            let all = self.members.iter().enumerate();
            all.filter(move |(index, _)| set >> index & 1 == 1)
        };
        let sum: u64 = members().map(|(_, member)| u64::from(member.weight)).sum();
        let mut left = random % sum.max(1);
        for (index, member) in members() {
            let weight = u64::from(member.weight);
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// Whether `one` has less to do than `other`, relative to its weight.
    fn is_less_loaded(&self, one: usize, other: usize) -> bool {
        let load = |index: usize| u64::from(self.members[index].upstream.in_flight());
        let weight = |index: usize| u64::from(self.members[index].weight);
        load(one) * weight(other) < load(other) * weight(one)
    }

    pub(crate) fn succeeded(&self, index: usize) {
        let failures = &self.members[index].upstream.state.failures;
        // Mostly there is nothing to write.
        if failures.load(Relaxed) != 0 {
            failures.store(0, Relaxed);
        }
    }

    /// Leaves a target out that failed too often in a row, unless it is the last.
    pub(crate) fn failed(&self, index: usize) {
        let Some((most, millis)) = self.policy.eject else { return };
        if self.members.len() < 2 {
            return;
        }
        let upstream = &self.members[index].upstream;
        let failures = upstream.state.failures.fetch_add(1, Relaxed).saturating_add(1);
        let (_, available) = self.usable();
        if failures < most || available & !(1 << index) == 0 {
            return;
        }
        upstream.state.failures.store(most - 1, Relaxed);
        let until = self.millis() + millis;
        if upstream.state.ejected_until.swap(until, Relaxed) == 0 {
            tracing::warn!(target_url = %upstream.url, failures, millis, "a failing target is left out");
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether each target would be given calls now, if anybody watches them.
    pub(crate) fn states(&self) -> Option<impl Iterator<Item = (&Upstream, bool)>> {
        let watched =
            self.policy.is_checked || self.policy.eject.is_some() && self.members.len() > 1;
        let (_, available) = self.usable();
        let members = self.members.iter().enumerate();
        watched.then(|| {
            members.map(move |(index, member)| (&*member.upstream, available >> index & 1 == 1))
        })
    }
}

impl Upstream {
    pub(crate) fn in_flight(&self) -> u32 {
        self.state.in_flight.load(Relaxed)
    }
}

impl Flight {
    /// `None` beside no other target, where nobody asks.
    pub(crate) fn begin(cluster: &Arc<Cluster>, index: usize) -> Option<Self> {
        if cluster.members.len() < 2 {
            return None;
        }
        cluster.members[index].upstream.state.in_flight.fetch_add(1, Relaxed);
        Some(Self { cluster: cluster.clone(), index })
    }

    /// The answer's body broke off.
    pub(crate) fn failed(&self) {
        self.cluster.failed(self.index);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.cluster.members[self.index].upstream.state.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
