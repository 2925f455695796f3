//! What one core has of the upstreams: idle connections, budgets of repeats, and chance.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::Upstream;
use super::budget::Budgets;
use super::head::Head;
use super::http2::Connections;
use crate::buffer::Buffer;
use crate::server::deadline::{Deadline, Deadlines, TICK};
use crate::stream::Stream;

/// Most idle connections kept per upstream and core.
const IDLE_MAX: usize = 256;
/// An idle connection older than this is not used again: upstreams close theirs at about this age.
const IDLE_AGE_MAX: Duration = Duration::from_secs(30);

/// A connection with its buffers, kept together so that a reused one allocates nothing.
pub(crate) struct Connection {
    pub upstream: Arc<Upstream>,
    pub stream: Stream,
    /// Bytes read and not yet taken.
    pub input: Buffer,
    /// Bytes to write, and how many of them have been written.
    pub output: Vec<u8>,
    pub written: usize,
    pub head: Head,
    pub reused: bool,
    /// In ticks of the core.
    idle_since: u64,
}

pub(crate) struct Pool {
    clock: Rc<Deadlines>,
    /// By the number of the upstream.
    #[expect(
        clippy::vec_box,
        reason = "a connection moves to an exchange and back as one pointer"
    )]
    idle: RefCell<Vec<Vec<Box<Connection>>>>,
    pub(super) http2: Connections,
    pub(super) budgets: Budgets,
    random: Cell<u64>,
}

impl Connection {
    pub(super) fn over(upstream: &Arc<Upstream>, stream: Stream) -> Box<Self> {
        Box::new(Self {
            upstream: upstream.clone(),
            stream,
            input: Buffer::default(),
            output: Vec::with_capacity(1024),
            written: 0,
            head: Head::default(),
            reused: false,
            idle_since: 0,
        })
    }

    /// Which of its upstream's shared connections it is a stream of.
    pub(super) fn number(&self) -> Option<u64> {
        if let Stream::Http2(stream) = &self.stream { Some(stream.number) } else { None }
    }
}

impl Pool {
    pub(crate) fn new(clock: Rc<Deadlines>) -> Self {
        let random = Cell::new(RandomState::new().hash_one(0u8) | 1);
        Self {
            clock,
            idle: RefCell::default(),
            http2: Connections::default(),
            budgets: Budgets::default(),
            random,
        }
    }

    /// A time limit for another task.
    pub(super) fn deadline(&self) -> Deadline {
        self.clock.add()
    }

    /// Ticks of the core.
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(super) fn after(&self, wait: Duration) -> u64 {
        self.clock.after(wait)
    }

    /// How long it is until a tick.
    pub(super) fn until(&self, tick: u64) -> Duration {
        let ticks = tick.saturating_sub(self.clock.now());
        TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// Chance for a choice that nobody gains by foreseeing (xorshift64*, Vigna 2014).
    pub(super) fn random(&self) -> u64 {
        let mut state = self.random.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// An idle connection that is still open, the most recently used first.
    pub(crate) fn take(&self, upstream: &Upstream) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(upstream.number)?;
        while let Some(mut connection) = list.pop() {
            if self.is_young(connection.idle_since) && connection.stream.is_quiet() {
                connection.reused = true;
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose request and answer are both complete.
    pub(crate) fn give(&self, mut connection: Box<Connection>) {
        debug_assert!(connection.input.is_empty() && connection.output.is_empty());
        connection.idle_since = self.clock.now();
        let mut idle = self.idle.borrow_mut();
        let number = connection.upstream.number;
        if idle.len() <= number {
            idle.resize_with(number + 1, Vec::new);
        }
        let list = &mut idle[number];
        if list.len() < IDLE_MAX {
            list.push(connection);
        }
    }

    /// Closes the connections that their upstreams have closed or that have been idle for too long, and gives memory
    /// of the others back.
    pub(crate) fn sweep(&self) {
        self.http2.sweep(|used| self.is_young(used));
        for list in self.idle.borrow_mut().iter_mut() {
            list.retain_mut(|connection| {
                self.is_young(connection.idle_since) && connection.stream.is_quiet()
            });
            for connection in list {
                connection.input.shrink();
                connection.head.fields.shrink();
            }
        }
    }

    fn is_young(&self, idle_since: u64) -> bool {
        let age = self.clock.now().saturating_sub(idle_since);
        u128::from(age) * TICK.as_millis() < IDLE_AGE_MAX.as_millis()
    }
}
