//! Literal edges of the trie in one open-addressing table: (node, segment) → node.
//!
//! The keys come from documents that staff import, never from requests, so a plain fast hash is
//! enough: a request can look up, not insert.

use crate::pointer::decode_byte;

#[derive(Debug, Clone, Default)]
pub(super) struct EdgeTable {
    edges: Vec<Edge>,
    /// Positions in `edges` plus one; zero is free. The length is a power of two.
    slots: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Edge {
    hash: u64,
    from: u32,
    to: u32,
    literal: Box<[u8]>,
}

impl EdgeTable {
    /// Where an encoded segment leads from a node.
    pub(super) fn get(&self, from: u32, segment: &[u8]) -> Option<u32> {
        let mut hasher = Hasher::new(from);
        let mut rest = segment;
        while let Some((byte, after)) = decode_byte(rest) {
            hasher.add(byte);
            rest = after;
        }
        self.find(hasher.finish(), from, |literal| decodes_to(segment, literal))
    }

    /// `literal` is decoded already.
    pub(super) fn get_or_insert(&mut self, from: u32, literal: &[u8], to: u32) -> u32 {
        let mut hasher = Hasher::new(from);
        for byte in literal {
            hasher.add(*byte);
        }
        let hash = hasher.finish();
        if let Some(known) = self.find(hash, from, |known| known == literal) {
            return known;
        }
        self.edges.push(Edge { hash, from, to, literal: literal.into() });
        if self.edges.len() * 2 > self.slots.len() {
            self.grow();
        } else {
            self.place(self.edges.len() - 1);
        }
        to
    }

    fn find(&self, hash: u64, from: u32, is_same: impl Fn(&[u8]) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = start(hash, mask);
        loop {
            let index = self.slots[slot].checked_sub(1)? as usize;
            let edge = &self.edges[index];
            if edge.hash == hash && edge.from == from && is_same(&edge.literal) {
                return Some(edge.to);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![0; (self.edges.len() * 4).next_power_of_two()];
        for index in 0..self.edges.len() {
            self.place(index);
        }
    }

    fn place(&mut self, index: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = start(self.edges[index].hash, mask);
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = u32::try_from(index + 1).expect("fewer edges than bytes of templates");
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only the low bits choose a slot")]
const fn start(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}

fn decodes_to(segment: &[u8], literal: &[u8]) -> bool {
    let mut rest = segment;
    for expected in literal {
        match decode_byte(rest) {
            Some((byte, after)) if byte == *expected => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

/// FNV-1a with the finishing step of `MurmurHash3`, so that the low bits are good.
struct Hasher(u64);

impl Hasher {
    const fn new(from: u32) -> Self {
        Self(0xcbf2_9ce4_8422_2325 ^ (from as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    const fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }

    const fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}
