//! What carries an HTTP/2 connection of either side: its stream, of which bytes may have been read already. It counts
//! what moves, and its owner has the stream back when the protocol is done with it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::Buffer;
use crate::stream::Stream;

/// The protocol's end.
pub(crate) struct Carrier {
    before: Buffer,
    of: Rc<Carried>,
}

/// The owner's end.
pub(crate) struct Carried {
    pub stream: RefCell<Stream>,
    /// Bytes so far.
    pub read: Cell<u64>,
    pub written: Cell<u64>,
}

impl Carrier {
    /// `before` has been read from the stream and is read again first.
    pub(crate) fn of(before: Buffer, stream: Stream) -> (Self, Rc<Carried>) {
        let stream = RefCell::new(stream);
        let of = Rc::new(Carried { stream, read: Cell::new(0), written: Cell::new(0) });
        (Self { before, of: of.clone() }, of)
    }

    fn written(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = polled {
            self.of.written.set(self.of.written.get() + count as u64);
        }
        polled
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.before.is_empty() {
            let filled = buffer.filled().len();
            let polled = Pin::new(&mut *this.of.stream.borrow_mut()).poll_read(cx, buffer);
            let count = buffer.filled().len() - filled;
            this.of.read.set(this.of.read.get() + count as u64);
            return polled;
        }
        let count = this.before.len().min(buffer.remaining());
        buffer.put_slice(&this.before.data()[..count]);
        this.before.consume(count);
        this.before.shrink();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.of.stream.borrow_mut()).poll_write(cx, bytes);
        self.written(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.of.stream.borrow_mut()).poll_write_vectored(cx, parts);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.of.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.of.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.of.stream.borrow_mut()).poll_shutdown(cx)
    }
}
