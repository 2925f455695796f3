//! Idle upstream connections of one core.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::{Failure, Upstream};

/// Most idle connections kept per upstream and core.
const IDLE_MAX: usize = 256;
/// An idle connection older than this is not used again: upstreams close theirs at about this age.
const IDLE_AGE_MAX: Duration = Duration::from_secs(30);

/// A connection with its buffers, kept together so that a reused one allocates nothing.
pub(crate) struct Connection {
    pub stream: TcpStream,
    /// Bytes read and not yet taken.
    pub input: BytesMut,
    /// Bytes to write.
    pub output: BytesMut,
    pub timer: Pin<Box<Sleep>>,
    pub reused: bool,
    idle_since: Instant,
}

#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Box<str>, Vec<Connection>>>,
}

impl Pool {
    /// An idle connection that is still open, the most recently used first.
    pub(crate) fn take(&self, upstream: &Upstream) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(&upstream.address)?;
        while let Some(mut connection) = list.pop() {
            if connection.idle_since.elapsed() < IDLE_AGE_MAX && is_quiet(&connection.stream) {
                connection.reused = true;
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose request and answer are both complete.
    pub(crate) fn give(&self, upstream: &Upstream, mut connection: Connection) {
        debug_assert!(connection.input.is_empty() && connection.output.is_empty());
        connection.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if let Some(list) = idle.get_mut(&upstream.address) {
            if list.len() < IDLE_MAX {
                list.push(connection);
            }
        } else {
            idle.insert(upstream.address.clone(), vec![connection]);
        }
    }

    /// Closes the connections that have been idle for too long.
    pub(crate) fn sweep(&self) {
        self.idle.borrow_mut().retain(|_, list| {
            list.retain(|connection| connection.idle_since.elapsed() < IDLE_AGE_MAX);
            !list.is_empty()
        });
    }
}

/// Neither closed nor with bytes that nobody asked for. Reads the cached readiness, mostly without a system call.
fn is_quiet(stream: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(stream.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

pub(crate) async fn connect(upstream: &Upstream, limit: Duration) -> Result<Connection, Failure> {
    let connecting = TcpStream::connect(&*upstream.address);
    let Ok(connected) = tokio::time::timeout(limit, connecting).await else {
        return Err(Failure::Timeout);
    };
    let stream = connected.map_err(|_| Failure::Unreachable)?;
    stream.set_nodelay(true).map_err(|_| Failure::Unreachable)?;
    Ok(Connection {
        stream,
        input: BytesMut::new(),
        output: BytesMut::with_capacity(1024),
        timer: Box::pin(tokio::time::sleep(limit)),
        reused: false,
        idle_since: Instant::now(),
    })
}
