//! Bytes read from a socket and not yet taken. Consumed bytes are skipped, not moved, until room is needed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes asked of the socket at once while a head is awaited.
const HEAD_BYTES: usize = 4 * 1024;
/// Bytes asked of the socket at once while a body streams by.
const BODY_BYTES: usize = 16 * 1024;
/// Larger memory is not kept by an idle connection.
const KEPT_BYTES: usize = HEAD_BYTES;

#[derive(Default)]
pub(crate) struct Buffer {
    /// Always initialised as a whole; `start..end` of it has been read and not been taken.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes bytes from the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Appends what a reader has; 0 = it has ended. Small reads are for heads, large ones for bodies.
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        cx: &mut Context<'_>,
        streaming: bool,
    ) -> Poll<io::Result<usize>> {
        let room = self.room(if streaming { BODY_BYTES } else { HEAD_BYTES });
        let mut buffer = ReadBuf::new(room);
        ready!(Pin::new(reader).poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Free memory behind the data: at least half of what is asked for.
    fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < wanted / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.bytes.len() - self.end < wanted / 2 {
                let longer = (self.end + wanted).next_power_of_two();
                self.bytes.resize(longer, 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    #[cfg(test)]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        while self.bytes.len() - self.end < bytes.len() {
            self.room(2 * bytes.len());
        }
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Gives memory back that only a large body needed.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() && self.bytes.len() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
    }
}
