//! The service behind the gateways: the same answer to every request, and on request some that are none.
//!
//! It counts every request whose head it has read, whatever it then does. Connections are ended only in answer to a
//! request, so that whoever sends on an idle one is heard.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use crate::arguments::{Arguments, Outcome};
use crate::client::find;
use crate::poll::Poll;
use crate::random::Random;

const LISTENER: usize = usize::MAX;
const HEAD_END: &[u8] = b"\r\n\r\n";
const COUNT_REQUEST: &[u8] = b"GET /-/count ";
const HEAD_MAX_BYTES: usize = 64 * 1024;
const FOREVER: Duration = Duration::from_hours(1);

struct Upstream {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answer: Vec<u8>,
    error: Vec<u8>,
    random: Random,
    faults_per_10_000: u64,
    count: u64,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

pub(crate) fn run(given: &Arguments) -> Outcome {
    let port = given.number("port")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER)?;
    let body = "x".repeat(given.number_or("body", 1024)?);
    let mut upstream = Upstream {
        poll,
        listener,
        connections: Vec::new(),
        free: Vec::new(),
        answer: answer("200 OK", &body),
        error: answer("500 Internal Server Error", "{}"),
        random: Random::new(11),
        faults_per_10_000: given.number_or("faults", 0)?,
        count: 0,
    };
    let mut ready = Vec::new();
    loop {
        upstream.poll.wait(FOREVER, &mut ready)?;
        for number in ready.iter().copied() {
            if number == LISTENER {
                upstream.accept()?;
            } else if upstream.serve(number).is_err() {
                upstream.connections[number] = None;
                upstream.free.push(number);
            }
        }
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nServer: upstream\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Upstream {
    fn accept(&mut self) -> Outcome {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let number = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poll.add(&stream, number)?;
            self.connections[number] = Some(Connection { stream, input: Vec::new() });
        }
        Ok(())
    }

    /// An error ends the connection.
    fn serve(&mut self, number: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[number] else { return Ok(()) };
        let mut piece = [0; 16 * 1024];
        match connection.stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => connection.input.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        while let Some(end) = find(&connection.input, HEAD_END) {
            let asks_count = connection.input.starts_with(COUNT_REQUEST);
            connection.input.drain(..end + HEAD_END.len());
            if asks_count {
                let text = answer("200 OK", &self.count.to_string());
                connection.stream.write_all(&text)?;
                continue;
            }
            self.count += 1;
            if self.random.chance(self.faults_per_10_000) {
                misbehave(self.random.below(5), connection, &self.answer, &self.error)?;
            } else {
                connection.stream.write_all(&self.answer)?;
            }
        }
        if connection.input.len() > HEAD_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }
}

/// One of the ways in which services fail; all but the first end the connection.
fn misbehave(way: u64, connection: &mut Connection, good: &[u8], error: &[u8]) -> io::Result<()> {
    let stream = &mut connection.stream;
    match way {
        0 => return stream.write_all(error),
        1 => {}
        2 => reset(stream)?,
        3 => stream.write_all(&good[..good.len() - 700.min(good.len() / 2)])?,
        _ => stream.write_all(&good[..40])?,
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Closing will send a reset instead of an end.
fn reset(stream: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}
