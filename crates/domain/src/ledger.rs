//! The ledger's words: calls as journalled, their sums, and the seals that chain them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalog::OperationKey;
use crate::ids::{KeyId, RequestId, SubscriptionId};
use crate::key::Environment;
use crate::time::{Day, Timestamp};

/// Status recorded when the client left before the upstream's answer head.
pub const STATUS_CLIENT_GONE: u16 = 499;
/// The upstream agreed to speak WebSocket: all that such a call asks for.
const STATUS_SWITCHED: u16 = 101;

/// Whether a call's status says that it got what it asked for; all others count as errors.
pub fn is_success(status: u16) -> bool {
    matches!(status, STATUS_SWITCHED | 200..=299)
}

/// Proof of a range of one node's events. `sha256` covers the events and `previous`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    pub node: String,
    /// Counts up by one per node, from 1.
    pub sequence: u64,
    /// Name of the segment the events are in.
    pub segment: String,
    /// Slots `[first, first + count)` of the segment.
    pub first: u64,
    pub count: u64,
    /// Hex of the previous seal's `sha256`; 64 zeros for the first.
    pub previous: String,
    pub sha256: String,
    pub sealed_at: Timestamp,
}

/// One of a key's last calls, as the node that served it remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentCall {
    pub request: RequestId,
    /// When it was admitted.
    pub at: Timestamp,
    pub operation: OperationKey,
    pub status: u16,
    /// Charged.
    pub units: u32,
    /// From admission to the answer head.
    pub latency_micros: u32,
    pub environment: Environment,
    /// Absent while the call runs, and for verifications.
    pub end: Option<CallEnd>,
}

/// Where a call stands in the journal of its node: later calls have greater places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallPlace {
    pub seal: u64,
    pub slot: u32,
}

impl fmt::Display for CallPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seal, self.slot)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the place of a call")]
pub struct CallPlaceError;

impl FromStr for CallPlace {
    type Err = CallPlaceError;

    fn from_str(text: &str) -> Result<Self, CallPlaceError> {
        let (seal, slot) = text.split_once('.').ok_or(CallPlaceError)?;
        let seal = seal.parse().map_err(|_| CallPlaceError)?;
        Ok(Self { seal, slot: slot.parse().map_err(|_| CallPlaceError)? })
    }
}

/// Some of a key's last calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentCalls {
    /// The newest first.
    pub calls: Vec<RecentCall>,
    /// Where to go on; absent when the journal has no more.
    pub next: Option<CallPlace>,
}

/// How a call ended. Bytes of 4 GiB and more are told as 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallEnd {
    pub bytes_in: u32,
    pub bytes_out: u32,
    pub aborted: bool,
}

/// Calls of one key, day, operation and environment. Success = 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    pub key: KeyId,
    pub day: Day,
    pub operation: OperationKey,
    pub environment: Environment,
    pub calls: u64,
    pub successes: u64,
    pub units: u64,
    /// Sum of the times to the answer head, in microseconds.
    pub latency_micros: u64,
}

/// Calls and charged units of one subscription's period: what the quota compares and the invoice prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodRow {
    pub subscription: SubscriptionId,
    pub period_start: Timestamp,
    pub calls: u64,
    pub units: u64,
}

/// When a key was last granted a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTouch {
    pub key: KeyId,
    pub last_used_at: Timestamp,
    /// Live calls to add to the key's total.
    pub calls: u64,
}

/// Refusals of one day by code; `key` is absent where no key was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    pub key: Option<KeyId>,
    pub day: Day,
    pub code: String,
    pub count: u64,
}

/// Consecutive seals of one node and the sums of their events, taken by the store in one transaction or not at all.
/// `refused` is best effort: refusals are not journalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBatch {
    /// At least one, in order.
    pub seals: Vec<Seal>,
    pub usage: Vec<UsageRow>,
    pub periods: Vec<PeriodRow>,
    pub touches: Vec<KeyTouch>,
    pub refused: Vec<RefusedRow>,
}
