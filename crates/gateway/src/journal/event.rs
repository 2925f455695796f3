//! Events and their bytes: 96 per slot, little endian, a CRC-32 over the rest in the last four.
//!
//! An event counts if its CRC is right and it names its own slot; an all-zero slot was never written.
//! The CRC is the last word stored, so a process killed in the middle of a slot leaves a slot that does
//! not count.

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::key::Environment;
use keytoll_domain::time::Timestamp;

use crate::core::RequestId;

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 96;
/// Bytes of a slot before its CRC.
pub(super) const BODY_BYTES: usize = SLOT_BYTES - 4;

/// Where a slot has its request, and a charge its key.
const REQUEST_AT: usize = 16;
const KEY_AT: usize = 32;

const KIND_CHARGE: u8 = 1;
const KIND_END: u8 = 2;
const FLAG_TEST: u8 = 1;
const FLAG_VERIFICATION: u8 = 2;
const FLAG_ABORTED: u8 = 4;

/// One granted call, written at the upstream's answer head and before the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// When the call was admitted: decides window, day and period.
    pub at: Timestamp,
    pub key: KeyId,
    pub subscription: SubscriptionId,
    pub period_start: Timestamp,
    pub operation: OperationKey,
    pub environment: Environment,
    pub status: u16,
    /// What windows counted.
    pub units_admitted: u32,
    /// What quota and bill count; test keys are never charged, whatever stands here.
    pub units_charged: u32,
    /// From admission to the answer head.
    pub latency_micros: u32,
    pub request: u128,
    pub verification: bool,
}

impl Charge {
    /// The request's id as the answer's `X-Request-Id` and the access log show it.
    pub fn request_id(&self) -> String {
        RequestId(self.request).text().map(char::from).iter().collect()
    }
}

/// How a call ended. Best effort: no bill reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub request: u128,
    pub at: Timestamp,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub total_micros: u32,
    pub aborted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Charge(Charge),
    End(End),
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Empty,
    Event(Event),
    /// Torn or damaged.
    Bad,
}

pub(super) type SlotBytes = [u8; SLOT_BYTES];

/// Writes values one after another; the layout of a slot is the order of the calls.
struct Cursor {
    bytes: SlotBytes,
    at: usize,
}

impl Cursor {
    #[inline]
    fn put<const N: usize>(&mut self, value: [u8; N]) {
        self.bytes[self.at..self.at + N].copy_from_slice(&value);
        self.at += N;
    }

    #[inline]
    fn head(kind: u8, flags: u8, status: u16, slot: u32, at: Timestamp, request: u128) -> Self {
        let mut cursor = Self { bytes: [0; SLOT_BYTES], at: 0 };
        cursor.put([kind, flags]);
        cursor.put(status.to_le_bytes());
        cursor.put(slot.to_le_bytes());
        cursor.put(at.0.to_le_bytes());
        cursor.put(request.to_le_bytes());
        cursor
    }

    #[inline]
    fn finish(mut self) -> SlotBytes {
        let crc = crc32fast::hash(&self.bytes[..BODY_BYTES]);
        self.bytes[BODY_BYTES..].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

#[inline]
pub(super) fn encode_charge(charge: &Charge, slot: u32) -> SlotBytes {
    let mut flags = 0;
    if charge.environment == Environment::Test {
        flags |= FLAG_TEST;
    }
    if charge.verification {
        flags |= FLAG_VERIFICATION;
    }
    let mut cursor =
        Cursor::head(KIND_CHARGE, flags, charge.status, slot, charge.at, charge.request);
    cursor.put(charge.key.to_bytes());
    cursor.put(charge.subscription.to_bytes());
    cursor.put(charge.period_start.0.to_le_bytes());
    cursor.put(charge.operation.0.to_le_bytes());
    cursor.put(charge.units_admitted.to_le_bytes());
    cursor.put(charge.units_charged.to_le_bytes());
    cursor.put(charge.latency_micros.to_le_bytes());
    cursor.finish()
}

#[inline]
pub(super) fn encode_end(end: &End, slot: u32) -> SlotBytes {
    let flags = if end.aborted { FLAG_ABORTED } else { 0 };
    let mut cursor = Cursor::head(KIND_END, flags, 0, slot, end.at, end.request);
    cursor.put(end.bytes_in.to_le_bytes());
    cursor.put(end.bytes_out.to_le_bytes());
    cursor.put(end.total_micros.to_le_bytes());
    cursor.finish()
}

/// `bytes` is the slot numbered `slot` of a segment.
pub(super) fn decode(bytes: &SlotBytes, slot: u32) -> Slot {
    if bytes.iter().all(|byte| *byte == 0) {
        return Slot::Empty;
    }
    let crc = crc32fast::hash(&bytes[..BODY_BYTES]);
    if field::<4>(bytes, BODY_BYTES) != crc.to_le_bytes()
        || field::<4>(bytes, 4) != slot.to_le_bytes()
    {
        return Slot::Bad;
    }
    match bytes[0] {
        KIND_CHARGE => Slot::Event(Event::Charge(decode_charge(bytes))),
        KIND_END => Slot::Event(Event::End(decode_end(bytes))),
        _ => Slot::Bad,
    }
}

/// Whether this may be a charge of the key: a look before [`decode`], which costs more.
#[inline]
pub(super) fn charge_is_of(bytes: &SlotBytes, key: &[u8; 16]) -> bool {
    bytes[0] == KIND_CHARGE && bytes[KEY_AT..KEY_AT + 16] == *key
}

/// Whose charge this may be.
#[inline]
pub(super) fn key_of(bytes: &SlotBytes) -> Option<[u8; 16]> {
    (bytes[0] == KIND_CHARGE).then(|| field(bytes, KEY_AT))
}

/// The request whose end this may be: a look before [`decode`], which costs more.
#[inline]
pub(super) fn end_of(bytes: &SlotBytes) -> Option<u128> {
    (bytes[0] == KIND_END).then(|| u128::from_le_bytes(field(bytes, REQUEST_AT)))
}

fn decode_charge(bytes: &SlotBytes) -> Charge {
    let test = bytes[1] & FLAG_TEST != 0;
    Charge {
        at: time(bytes, 8),
        key: KeyId::from_bytes(field(bytes, KEY_AT)),
        subscription: SubscriptionId::from_bytes(field(bytes, 48)),
        period_start: time(bytes, 64),
        operation: OperationKey(i64::from_le_bytes(field(bytes, 72))),
        environment: if test { Environment::Test } else { Environment::Live },
        status: u16::from_le_bytes(field(bytes, 2)),
        units_admitted: u32::from_le_bytes(field(bytes, 80)),
        units_charged: u32::from_le_bytes(field(bytes, 84)),
        latency_micros: u32::from_le_bytes(field(bytes, 88)),
        request: u128::from_le_bytes(field(bytes, REQUEST_AT)),
        verification: bytes[1] & FLAG_VERIFICATION != 0,
    }
}

fn decode_end(bytes: &SlotBytes) -> End {
    End {
        request: u128::from_le_bytes(field(bytes, REQUEST_AT)),
        at: time(bytes, 8),
        bytes_in: u64::from_le_bytes(field(bytes, 32)),
        bytes_out: u64::from_le_bytes(field(bytes, 40)),
        total_micros: u32::from_le_bytes(field(bytes, 48)),
        aborted: bytes[1] & FLAG_ABORTED != 0,
    }
}

fn time(bytes: &SlotBytes, at: usize) -> Timestamp {
    Timestamp(i64::from_le_bytes(field(bytes, at)))
}

/// The `N` bytes from `at`; every caller names a place inside the record.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests;
