//! The PROXY protocol, versions 1 (text) and 2 (binary): what a load balancer says about the client before the
//! client's first byte.
//!
//! [`parse`] is pure and takes nothing beyond the header; [`read`] takes exactly the header off a connection, so
//! that TLS or HTTP behind it begins at its own first byte. Only peers that the operator trusts may send one:
//! whoever calls this decides that. Format: haproxy's `doc/proxy-protocol.txt`, 2020/03/05.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Longest line of version 1, its end included.
const LINE_MAX_BYTES: usize = 107;
/// Longest header of version 2, what follows the addresses included.
const BINARY_MAX_BYTES: usize = 536;
/// How long a trusted peer may take to say whom it speaks for.
const HEADER_WAIT: Duration = Duration::from_secs(5);

const LINE_START: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const BINARY_HEAD_BYTES: usize = 16;
const IPV4_BYTES: usize = 12;
const IPV6_BYTES: usize = 36;

/// What the peer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The client; `None` when the peer speaks for itself (a health check) or does not know.
    pub source: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("the connection does not begin with a PROXY header")]
    Absent,
    #[error("the PROXY header is longer than allowed")]
    TooLong,
    #[error("the PROXY line is malformed")]
    Line,
    #[error("the PROXY header has an unknown version, command or address family")]
    Unsupported,
    #[error("the PROXY header is too short for its addresses")]
    TooShort,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Header(#[from] Error),
    #[error("the connection ended within the PROXY header")]
    Ended,
    #[error("no whole PROXY header within {HEADER_WAIT:?}")]
    TimedOut,
    #[error("cannot read the PROXY header: {0}")]
    Io(#[from] io::Error),
}

/// The header at the start of these bytes and its length; `None` when all of them belong to it and more must
/// follow.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    if starts_alike(bytes, SIGNATURE) {
        return if bytes.len() < SIGNATURE.len() { Ok(None) } else { parse_binary(bytes) };
    }
    if starts_alike(bytes, LINE_START) {
        return parse_line(bytes);
    }
    Err(Error::Absent)
}

/// Whether the bytes begin with the text, as far as they go.
fn starts_alike(bytes: &[u8], text: &[u8]) -> bool {
    bytes.iter().zip(text).all(|(byte, wanted)| byte == wanted)
}

fn parse_line(bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    let within = &bytes[..bytes.len().min(LINE_MAX_BYTES)];
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE_MAX_BYTES { Ok(None) } else { Err(Error::TooLong) };
    };
    let line = within[..end].strip_suffix(b"\r").ok_or(Error::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Error::Line)?;
    let mut words = line.split(' ');
    let (_proxy, protocol) = (words.next(), words.next());
    let source = match protocol {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(addresses::<Ipv6Addr>(words)?),
        _ => return Err(Error::Line),
    };
    Ok(Some((Header { source }, end + 1)))
}

/// The source, of `source destination source-port destination-port`.
fn addresses<'a, A>(mut words: impl Iterator<Item = &'a str>) -> Result<SocketAddr, Error>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut address = || words.next().and_then(|word| word.parse::<A>().ok()).ok_or(Error::Line);
    let (source, _destination) = (address()?, address()?);
    let (source_port, _port) = (port(words.next())?, port(words.next())?);
    if words.next().is_some() {
        return Err(Error::Line);
    }
    Ok(SocketAddr::new(source.into(), source_port))
}

fn port(word: Option<&str>) -> Result<u16, Error> {
    let word = word.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    word.and_then(|word| word.parse().ok()).ok_or(Error::Line)
}

fn parse_binary(bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    // Refused as early as it is known, so that a wrong peer is not waited for.
    let command = match bytes.get(SIGNATURE.len()) {
        None => return Ok(None),
        Some(0x20) => Command::Local,
        Some(0x21) => Command::Proxy,
        Some(_) => return Err(Error::Unsupported),
    };
    let Some(head) = bytes.get(..BINARY_HEAD_BYTES) else { return Ok(None) };
    let length = BINARY_HEAD_BYTES + usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > BINARY_MAX_BYTES {
        return Err(Error::TooLong);
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let source = match command {
        Command::Local => None,
        Command::Proxy => binary_source(head[13], &whole[BINARY_HEAD_BYTES..])?,
    };
    Ok(Some((Header { source }, length)))
}

#[derive(Clone, Copy)]
enum Command {
    Local,
    Proxy,
}

/// The source address; what follows the addresses (type-length-value fields) is skipped.
fn binary_source(family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, Error> {
    match family {
        // Unspecified, and Unix stream sockets: there is a client, but no address to name.
        0x00 | 0x31 => Ok(None),
        0x11 => {
            let block: &[u8; IPV4_BYTES] = rest.first_chunk().ok_or(Error::TooShort)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *block;
            let port = u16::from_be_bytes([high, low]);
            Ok(Some((Ipv4Addr::new(a, b, c, d), port).into()))
        }
        0x21 => {
            let block: &[u8; IPV6_BYTES] = rest.first_chunk().ok_or(Error::TooShort)?;
            let mut address = [0; 16];
            address.copy_from_slice(&block[..16]);
            let port = u16::from_be_bytes([block[32], block[33]]);
            Ok(Some((Ipv6Addr::from(address), port).into()))
        }
        _ => Err(Error::Unsupported),
    }
}

/// Takes the header off the connection, and not a byte more.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Header, ReadError> {
    read_within(stream, HEADER_WAIT).await
}

async fn read_within(stream: &mut TcpStream, wait: Duration) -> Result<Header, ReadError> {
    let reading = tokio::time::timeout(wait, read_whole(stream));
    reading.await.map_err(|_| ReadError::TimedOut)?
}

async fn read_whole(stream: &mut TcpStream) -> Result<Header, ReadError> {
    let mut buffer = [0; BINARY_MAX_BYTES];
    let mut taken = 0;
    loop {
        // No header is longer than the buffer, so a full one was an answer or an error before.
        let seen = stream.peek(&mut buffer[taken..]).await?;
        if seen == 0 {
            return Err(ReadError::Ended);
        }
        let parsed = parse(&buffer[..taken + seen])?;
        let end = parsed.map_or(taken + seen, |(_, length)| length);
        stream.read_exact(&mut buffer[taken..end]).await?;
        if let Some((header, _)) = parsed {
            return Ok(header);
        }
        taken = end;
    }
}

#[cfg(test)]
mod tests;
