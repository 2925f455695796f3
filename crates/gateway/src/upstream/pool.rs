//! Idle upstream connections of one core.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::head::Head;
use super::{Failure, Upstream};
use crate::buffer::Buffer;
use crate::server::deadline::{Deadlines, TICK};
use crate::stream::Stream;

/// Most idle connections kept per upstream and core.
const IDLE_MAX: usize = 256;
/// An idle connection older than this is not used again: upstreams close theirs at about this age.
const IDLE_AGE_MAX: Duration = Duration::from_secs(30);

/// A connection with its buffers, kept together so that a reused one allocates nothing.
pub(crate) struct Connection {
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
    idle: RefCell<Vec<Vec<Box<Connection>>>>,
}

impl Pool {
    pub(crate) fn new(clock: Rc<Deadlines>) -> Self {
        Self { clock, idle: RefCell::default() }
    }

    /// An idle connection that is still open, the most recently used first.
    pub(crate) fn take(&self, upstream: &Upstream) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(upstream.number)?;
        while let Some(mut connection) = list.pop() {
            if self.is_young(&connection) && connection.stream.is_quiet() {
                connection.reused = true;
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose request and answer are both complete.
    pub(crate) fn give(&self, upstream: &Upstream, mut connection: Box<Connection>) {
        debug_assert!(connection.input.is_empty() && connection.output.is_empty());
        connection.idle_since = self.clock.now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() <= upstream.number {
            idle.resize_with(upstream.number + 1, Vec::new);
        }
        let list = &mut idle[upstream.number];
        if list.len() < IDLE_MAX {
            list.push(connection);
        }
    }

    /// Closes the connections that have been idle for too long, and gives memory of the others back.
    pub(crate) fn sweep(&self) {
        for list in self.idle.borrow_mut().iter_mut() {
            list.retain(|connection| self.is_young(connection));
            for connection in list {
                connection.input.shrink();
                connection.head.fields.shrink();
            }
        }
    }

    fn is_young(&self, connection: &Connection) -> bool {
        let age = self.clock.now().saturating_sub(connection.idle_since);
        u128::from(age) * TICK.as_millis() < IDLE_AGE_MAX.as_millis()
    }
}

pub(crate) async fn connect(
    upstream: &Upstream,
    limit: Duration,
) -> Result<Box<Connection>, Failure> {
    let connecting = TcpStream::connect(&*upstream.address);
    let Ok(connected) = tokio::time::timeout(limit, connecting).await else {
        return Err(Failure::Timeout);
    };
    let stream = connected.map_err(|_| Failure::Unreachable)?;
    stream.set_nodelay(true).map_err(|_| Failure::Unreachable)?;
    Ok(Box::new(Connection {
        stream: Stream::Tcp(stream),
        input: Buffer::default(),
        output: Vec::with_capacity(1024),
        written: 0,
        head: Head::default(),
        reused: false,
        idle_since: 0,
    }))
}
