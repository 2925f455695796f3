//! How many connections one client address holds at once, over all cores.
//!
//! IPv4 counts by address, IPv6 by /64, because that is what one customer of a network gets. A [`Place`] is given
//! back when it is dropped; an address without connections costs nothing. Who is exempt is the caller's business.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cores meet in a shard only when their clients share it; a power of two.
const SHARDS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    V6(u64),
}

/// Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: u32,
    /// Seeded, so that nobody can choose addresses that meet in one shard.
    hasher: RandomState,
    shards: [Mutex<HashMap<Network, u32>>; SHARDS],
}

/// One connection's place. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    network: Network,
}

impl Places {
    /// At most `max` connections per address, which is at least 1.
    pub(crate) fn new(max: u32) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self(Arc::new(Inner { max: max.max(1), hasher: RandomState::new(), shards }))
    }

    /// A place for a connection from this address, if it has one left.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut shard = self.shard(network);
        let held = shard.entry(network).or_insert(0);
        if *held >= self.0.max {
            return None;
        }
        *held += 1;
        Some(Place { places: self.clone(), network })
    }

    fn shard(&self, network: Network) -> MutexGuard<'_, HashMap<Network, u32>> {
        // Masked before the cast, so nothing is cut off.
        let index = self.0.hasher.hash_one(network) & (SHARDS as u64 - 1);
        let index = usize::try_from(index).unwrap_or(0);
        self.0.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shard = self.places.shard(self.network);
        let Some(held) = shard.get_mut(&self.network) else { return };
        *held -= 1;
        if *held == 0 {
            shard.remove(&self.network);
        }
    }
}

fn network(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(address) => Network::V4(address.to_bits()),
        // The upper half.
        IpAddr::V6(address) => {
            Network::V6(u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX))
        }
    }
}

#[cfg(test)]
mod tests;
