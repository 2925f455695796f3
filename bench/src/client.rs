//! One client connection: a request goes out whole, an answer comes in whole.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::poll::Poll;

const HEAD_END: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"content-length: ";

pub(crate) struct Client {
    pub stream: TcpStream,
    input: Vec<u8>,
}

/// What reading came to.
pub(crate) enum Read {
    More,
    Answer(u16),
    /// The other side closed, reset, or said what we do not understand.
    Broken,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr, poll: &Poll, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        poll.add(&stream, number)?;
        Ok(Self { stream, input: Vec::with_capacity(8192) })
    }

    /// Requests are far smaller than a socket's buffer: one that does not fit at once is an error.
    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.input.clear();
        let sent = self.stream.write(request)?;
        if sent == request.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    pub(crate) fn read(&mut self) -> Read {
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Read::Broken,
                Ok(count) => self.input.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::More,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Read::Broken,
            }
            match whole(&self.input) {
                Ok(Some(status)) => return Read::Answer(status),
                Ok(None) => {}
                Err(()) => return Read::Broken,
            }
        }
    }
}

/// The status of a complete answer; an error for one whose end we cannot tell.
fn whole(input: &[u8]) -> Result<Option<u16>, ()> {
    let Some(end) = find(input, HEAD_END) else { return Ok(None) };
    let head = &input[..end + 2];
    let lower = head.to_ascii_lowercase();
    let at = find(&lower, LENGTH).ok_or(())? + LENGTH.len();
    let digits = lower[at..].split(|byte| *byte == b'\r').next().unwrap_or_default();
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<usize>().ok();
    let length = number(digits).ok_or(())?;
    let status = head.get(9..12).and_then(number).ok_or(())?;
    let complete = input.len() >= end + HEAD_END.len() + length;
    Ok(complete.then(|| u16::try_from(status).unwrap_or(0)))
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A GET for each key, without the empty line's end being left out.
pub(crate) fn requests(to: &str, path: &str, keys: &str) -> io::Result<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(keys)?;
    let request = |key: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nX-Api-Key: {key}\r\n\r\n").into_bytes()
    };
    Ok(text.lines().map(request).collect())
}
