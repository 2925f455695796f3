//! A stub of the provider's service: answers every request and remembers every byte.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::http::find;
use crate::scratch::free_port;
use crate::wait;

/// One request as the upstream saw it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The request's bytes, head and body, as they came.
    pub raw: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
    extra: Vec<(String, String)>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    answer: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    /// Bytes that were no complete request when their connection ended.
    leftovers: Mutex<Vec<Vec<u8>>>,
    open: Mutex<Vec<TcpStream>>,
    /// Connections that have not ended.
    serving: AtomicUsize,
    stopped: AtomicBool,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Upstream(Arc<Shared>);

impl Upstream {
    pub fn start() -> Self {
        Self::start_on(free_port())
    }

    pub fn start_on(port: u16) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the stub's port is free");
        let answer = Answer {
            status: 200,
            content_type: "application/json".to_owned(),
            body: br#"{"from":"upstream"}"#.to_vec(),
            extra: Vec::new(),
        };
        let shared = Arc::new(Shared {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            answer: Mutex::new(answer),
            seen: Mutex::default(),
            leftovers: Mutex::default(),
            open: Mutex::default(),
            serving: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &for_thread));
        Self(shared)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The base URL with a path of its own, as a real service has one.
    pub fn url(&self) -> String {
        format!("http://{}/base", self.0.address)
    }

    pub fn answer_with(&self, status: u16, content_type: &str, body: impl Into<Vec<u8>>) {
        let mut answer = lock(&self.0.answer);
        answer.status = status;
        content_type.clone_into(&mut answer.content_type);
        answer.body = body.into();
    }

    /// Adds a header to every answer from now on.
    pub fn answer_header(&self, name: &str, value: &str) {
        lock(&self.0.answer).extra.push((name.to_owned(), value.to_owned()));
    }

    pub fn count(&self) -> usize {
        lock(&self.0.seen).len()
    }

    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.0.seen).clone()
    }

    /// How many connections have ended within a request.
    pub fn half_requests(&self) -> usize {
        lock(&self.0.leftovers).len()
    }

    /// What connections held that ended within a request. Waits until all have ended, so whoever opened
    /// them must be gone.
    pub fn leftovers(&self) -> Vec<Vec<u8>> {
        wait::until_true("the connections to the stub to end", || {
            self.0.serving.load(Ordering::SeqCst) == 0
        });
        lock(&self.0.leftovers).clone()
    }

    pub fn last(&self) -> Seen {
        lock(&self.0.seen).last().cloned().expect("the upstream saw a request")
    }

    pub fn forget(&self) {
        lock(&self.0.seen).clear();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.0.address);
        for stream in lock(&self.0.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(clone) = stream.try_clone() {
            lock(&shared.open).push(clone);
        }
        let shared = Arc::clone(shared);
        shared.serving.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            serve(stream, &shared);
            shared.serving.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    loop {
        while let Some((seen, length)) = parse(&buffer) {
            buffer.drain(..length);
            let head_only = seen.method == "HEAD";
            let close = seen.header("connection").is_some_and(|value| value.contains("close"));
            lock(&shared.seen).push(seen);
            if stream.write_all(&render(&lock(&shared.answer), head_only)).is_err() || close {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
        let mut chunk = [0; 16 * 1024];
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => buffer.extend_from_slice(&chunk[..count]),
            _ => break,
        }
    }
    if !buffer.is_empty() {
        lock(&shared.leftovers).push(buffer);
    }
}

fn render(answer: &Answer, head_only: bool) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {} Stub\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        answer.status,
        answer.content_type,
        answer.body.len(),
    );
    for (name, value) in &answer.extra {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if !head_only {
        bytes.extend_from_slice(&answer.body);
    }
    bytes
}

/// The first complete request in the bytes and its length.
fn parse(bytes: &[u8]) -> Option<(Seen, usize)> {
    let head_end = find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut request_line = lines.next()?.split(' ').map(str::to_owned);
    let mut seen = Seen {
        method: request_line.next()?,
        target: request_line.next().unwrap_or_default(),
        ..Seen::default()
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        seen.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let chunked = seen.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let (body, length) = if chunked {
        let (body, used) = dechunk(&bytes[head_end..])?;
        (body, head_end + used)
    } else {
        let size = seen.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        (bytes.get(head_end..head_end + size)?.to_vec(), head_end + size)
    };
    seen.body = body;
    seen.raw = bytes[..length].to_vec();
    Some((seen, length))
}

/// The body in chunked bytes, and how many bytes it took; none while incomplete, and none for ever if a
/// chunk is not followed by its line end.
fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line_end = at + find(bytes.get(at..)?, b"\r\n")?;
        let line = String::from_utf8_lossy(&bytes[at..line_end]).into_owned();
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        at = line_end + 2;
        if size == 0 {
            // Trailers, if any, end with an empty line.
            loop {
                let end = at + find(&bytes[at..], b"\r\n")?;
                let empty = end == at;
                at = end + 2;
                if empty {
                    return Some((body, at));
                }
            }
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
}
