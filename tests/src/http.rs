//! A small HTTP/1.1 client that sends exactly the bytes it is given.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::wait::PATIENCE;

/// A request in the making. Nothing is added but `Host`, `Content-Length` and `Connection: close`.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, secret: &str) -> Self {
        self.header("Authorization", &format!("Bearer {secret}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    fn bytes(&self, host: SocketAddr, connection: &str) -> Vec<u8> {
        let mut headers = self.headers.clone();
        headers.insert(0, ("Host".to_owned(), host.to_string()));
        let bodiless = matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if !bodiless || !self.body.is_empty() {
            headers.push(("Content-Length".to_owned(), self.body.len().to_string()));
        }
        headers.push(("Connection".to_owned(), connection.to_owned()));
        let lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{} {} HTTP/1.1\r\n{}\r\n", self.method, self.target, lines.concat());
        [head.into_bytes(), self.body.clone()].concat()
    }

    /// Sends the request over a connection of its own.
    pub fn send(&self, to: SocketAddr) -> Result<Response> {
        let mut connection = Connection::open(to)?;
        connection.write(&self.bytes(to, "close"))?;
        connection.read_response(self.method == "HEAD")
    }
}

/// An answer, complete.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The values of all headers of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{} with no JSON body ({error}): {}", self.status, self.text())
        })
    }

    /// The stable `code` of a problem body, or an empty text.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails unless the answer has this status; the message holds the whole body.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "unexpected answer: {}", self.text());
        self
    }
}

/// A TCP connection with what was read from it and not yet used.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    to: SocketAddr,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, to, buffer: Vec::new() })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish_writing(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends one request and keeps the connection.
    pub fn exchange(&mut self, request: &Request) -> Result<Response> {
        self.write(&request.bytes(self.to, "keep-alive"))?;
        self.read_response(request.method == "HEAD")
    }

    /// What the other side sends until it closes, or until it has said nothing for a moment.
    pub fn read_for_a_moment(&mut self) -> Vec<u8> {
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(100)));
        let bytes = self.read_to_close();
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(10)));
        bytes
    }

    /// Everything the other side sends until it closes or the connection breaks.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        self.read_until(|_| false)
    }

    /// What the other side sends until it is enough, or the other side closes.
    pub fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        while !enough(&self.buffer) && matches!(self.fill(), Ok(count) if count > 0) {}
        std::mem::take(&mut self.buffer)
    }

    /// The next answer, interim answers (1xx) skipped.
    pub fn read_response(&mut self, to_head: bool) -> Result<Response> {
        loop {
            let head_end = loop {
                if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                    break at;
                }
                if self.fill()? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            };
            let head: Vec<u8> = self.buffer.drain(..head_end + 4).collect();
            let (status, headers) = parse_head(&head)?;
            if status < 200 {
                continue;
            }
            let mut response = Response { status, headers, body: Vec::new() };
            if !to_head && status != 204 && status != 304 {
                response.body = self.read_body(&response)?;
            }
            return Ok(response);
        }
    }

    fn read_body(&mut self, head: &Response) -> Result<Vec<u8>> {
        let chunked =
            head.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
        if chunked {
            return self.read_chunks();
        }
        match head.header("content-length") {
            Some(length) => {
                self.take(length.trim().parse().map_err(|_| malformed("content-length"))?)
            }
            None => Ok(self.read_to_close()),
        }
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).map_err(|_| malformed("chunk size"))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            self.line()?;
        }
    }

    fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    fn fill(&mut self) -> Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

/// Status and headers of an answer's head.
fn parse_head(head: &[u8]) -> Result<(u16, Vec<(String, String)>)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
    let status_line = lines.next().ok_or_else(|| malformed("status line"))?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok((status.ok_or_else(|| malformed("status"))?, headers))
}

/// Where `needle` first begins in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("malformed {what} in an answer"))
}
