//! A connection's bytes, whatever carries them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::upstream::http2::CallStream;

/// A stream of either side.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// One call's part of a connection to an upstream that speaks HTTP/2: the bodies alone.
    Http2(Box<CallStream>),
}

impl Stream {
    /// What both sides agreed to speak in the TLS handshake.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Tcp(_) | Self::Http2(_) => None,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol(),
        }
    }

    /// Neither closed nor with bytes that nobody asked for. Reads the cached readiness, mostly without a system call.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        match self {
            Self::Tcp(tcp) => matches!(
                tcp.try_read(&mut byte),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            ),
            Self::Tls(tls) => {
                let mut cx = Context::from_waker(Waker::noop());
                Pin::new(tls).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
            }
            Self::Http2(_) => false,
        }
    }

    /// Makes [`Self::poll_sent`] tell the truth. What is written from now on goes out in small pieces.
    pub(crate) fn watch_sent(&self) {
        if let Some(tcp) = self.tcp() {
            // Where the system has no such thing, what fits into its buffer counts as sent.
            let _ = SockRef::from(tcp).set_tcp_notsent_lowat(1);
        }
    }

    /// Ready when nothing waits in this system any more, because the other side has had room for all that was written.
    pub(crate) fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(tcp) = self.tcp() else { return Poll::Ready(()) };
        loop {
            if ready!(tcp.poll_write_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            let tried = tcp.try_io(Interest::WRITABLE, || {
                let mut polled = [PollFd::new(tcp, PollFlags::OUT)];
                let count = rustix::event::poll(&mut polled, Some(&Timespec::default()))?;
                if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            if tried.is_ok() || real_error(tried).is_some() {
                return Poll::Ready(());
            }
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::Tls(tls) => Some(tls.get_ref().0),
            Self::Http2(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => poll_receive(tcp, cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
            Self::Http2(call) => Pin::new(call).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => poll_send(tcp, cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Self::Http2(call) => Pin::new(call).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, parts),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, parts),
            Self::Http2(call) => Pin::new(call).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Http2(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Http2(call) => Pin::new(call).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Http2(call) => Pin::new(call).poll_shutdown(cx),
        }
    }
}

/// Reads by a plain system call: the C library's own is a cancellation point, which costs as much again as the
/// call's way into the kernel. A short read means that the socket is empty, which spares asking once more.
fn poll_receive(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(tcp.poll_read_ready(cx))?;
        let room = buffer.initialize_unfilled();
        let mut received = None;
        let tried = tcp.try_io(Interest::READABLE, || {
            let (_, count) = rustix::net::recv(tcp, &mut *room, RecvFlags::empty())?;
            received = Some(count);
            let emptied = count > 0 && count < room.len();
            if emptied { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if let Some(count) = received {
            buffer.advance(count);
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = real_error(tried) {
            return Poll::Ready(Err(error));
        }
    }
}

fn poll_send(tcp: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_write_ready(cx))?;
        let mut sent = None;
        let tried = tcp.try_io(Interest::WRITABLE, || {
            let count = rustix::net::send(tcp, bytes, SendFlags::NOSIGNAL)?;
            sent = Some(count);
            let filled = count < bytes.len();
            if filled { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if let Some(count) = sent {
            return Poll::Ready(Ok(count));
        }
        if let Some(error) = real_error(tried) {
            return Poll::Ready(Err(error));
        }
    }
}

/// What is worth telling: not that the socket was not ready after all, or that a signal came.
fn real_error(tried: io::Result<()>) -> Option<io::Error> {
    let passing = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
    tried.err().filter(|error| !passing.contains(&error.kind()))
}
