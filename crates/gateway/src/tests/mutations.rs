//! Requests that were whole once, then cut, flipped, doubled and torn apart, by a seeded hand: the gateway stays up,
//! every answer is well formed, and an upstream sees nothing that could be read in two ways.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::*;

const ROUNDS: usize = 6000;
const HANDS: usize = 16;
const WAIT: Duration = Duration::from_millis(120);

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }
}

fn whole_requests() -> Vec<Vec<u8>> {
    let head = format!("Host: api.example\r\nX-API-Key: {KEY}\r\n");
    [
        format!("GET /zoo/animals/5?a=1&b=%20 HTTP/1.1\r\n{head}Accept: */*\r\n\r\n"),
        format!("GET http://api.example/zoo/animals HTTP/1.1\r\n{head}Cookie: a=b\r\n\r\n"),
        format!("POST /zoo/animals HTTP/1.1\r\n{head}Content-Length: 11\r\n\r\nhello world"),
        format!(
            "POST /zoo/animals HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n"
        ),
        format!("PUT /zoo/animals HTTP/1.1\r\n{head}Connection: keep-alive, x-a\r\nX-A: 1\r\nContent-Length: 3\r\n\r\nabc"),
        format!("GET /zoo/animals HTTP/1.0\r\n{head}Connection: keep-alive\r\n\r\n"),
        format!("GET /zoo/pens/1/locks HTTP/1.1\r\n{head}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
        format!("GET /zoo/animals HTTP/1.1\r\n{head}\r\nDELETE /zoo/animals/1 HTTP/1.1\r\n{head}\r\n"),
    ]
    .map(String::into_bytes)
    .into()
}

fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    const SPICE: [&[u8]; 14] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"\r\n ",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"0\r\n\r\n",
        b"\xff",
        b"%2f..",
        b"\r\n\r\n",
    ];
    for _ in 0..=dice.roll(3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.roll(bytes.len());
        let end = (at + 1 + dice.roll(24)).min(bytes.len());
        match dice.roll(6) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => {
                bytes.splice(at..at, SPICE[dice.roll(SPICE.len())].iter().copied());
            }
            _ => bytes.truncate(end.max(20)),
        }
    }
}

/// What a strict server saw.
#[derive(Default)]
struct Ear {
    heads: AtomicU64,
    whole: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

struct StrictUpstream {
    addr: SocketAddr,
    ear: Arc<Ear>,
}

impl StrictUpstream {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, ear) = (listener.local_addr().unwrap(), Arc::new(Ear::default()));
        let shared = ear.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, ear) = (stream.unwrap(), shared.clone());
                std::thread::spawn(move || listen(stream, &ear));
            }
        });
        Self { addr, ear }
    }
}

fn listen(mut stream: TcpStream, ear: &Ear) {
    let mut bytes = Vec::new();
    loop {
        let Some(end) = read_to(&mut stream, &mut bytes, b"\r\n\r\n") else {
            if !bytes.is_empty() {
                ear.wrong.lock().unwrap().push(format!("a part of a head: {bytes:?}"));
            }
            return;
        };
        ear.heads.fetch_add(1, Ordering::SeqCst);
        let head: Vec<u8> = bytes.drain(..end).collect();
        let read = match strict_framing(&head) {
            Ok(Framing::Length(length)) => Ok(read_length(&mut stream, &mut bytes, length)),
            Ok(Framing::Chunked) => read_chunks(&mut stream, &mut bytes),
            Err(why) => {
                let head = String::from_utf8_lossy(&head).into_owned();
                ear.wrong.lock().unwrap().push(format!("{why}: {head:?}"));
                return;
            }
        };
        match read {
            Ok(true) => {}
            Ok(false) => return,
            Err(why) => return ear.wrong.lock().unwrap().push(why),
        }
        ear.whole.fetch_add(1, Ordering::SeqCst);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut more = [0; 4096];
    let read = stream.read(&mut more).unwrap_or(0);
    bytes.extend_from_slice(&more[..read]);
    read > 0
}

fn read_to(stream: &mut TcpStream, bytes: &mut Vec<u8>, end: &[u8]) -> Option<usize> {
    loop {
        if let Some(at) = find(bytes, end) {
            return Some(at + end.len());
        }
        if !fill(stream, bytes) {
            return None;
        }
    }
}

/// Whether all of it came.
fn read_length(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> bool {
    while bytes.len() < length {
        if !fill(stream, bytes) {
            return false;
        }
    }
    bytes.drain(..length);
    true
}

fn read_chunks(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<bool, String> {
    loop {
        let Some(end) = read_to(stream, bytes, b"\r\n") else { return Ok(false) };
        let line: Vec<u8> = bytes.drain(..end).collect();
        let digits = &line[..end - 2];
        let size = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
        let size = size.and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or_else(|| format!("a chunk's size {line:?}"))?;
        if !read_length(stream, bytes, size) || !read_length_is(stream, bytes, b"\r\n")? {
            return Ok(false);
        }
        if size == 0 {
            return Ok(true);
        }
    }
}

fn read_length_is(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    wanted: &[u8],
) -> Result<bool, String> {
    while bytes.len() < wanted.len() {
        if !fill(stream, bytes) {
            return Ok(false);
        }
    }
    let got: Vec<u8> = bytes.drain(..wanted.len()).collect();
    if got == wanted { Ok(true) } else { Err(format!("{got:?} where a chunk ends")) }
}

enum Framing {
    Length(usize),
    Chunked,
}

fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// The one reading of a head, or why there is another.
fn strict_framing(head: &[u8]) -> Result<Framing, &'static str> {
    let head = std::str::from_utf8(head).or_else(|_| {
        let text: Vec<u8> = head.iter().copied().filter(u8::is_ascii).collect();
        Ok::<_, &str>(String::from_utf8(text).unwrap().leak() as &str)
    })?;
    let lines: Vec<&str> = head[..head.len() - 4].split("\r\n").collect();
    let parts: Vec<&str> = lines[0].split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else { return Err("no request line") };
    if !is_token(method) || !target.starts_with("/base/") {
        return Err("a strange request line");
    }
    if !target.bytes().all(|byte| (0x21..0x7f).contains(&byte)) || target.contains("/../") {
        return Err("a strange target");
    }
    let (mut hosts, mut length, mut codings) = (0, None, 0);
    for line in &lines[1..] {
        let (name, value) = line.split_once(": ").ok_or("a line that is no field")?;
        if !is_token(name) || value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
        {
            return Err("a strange field");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                if !digits || length.is_some() {
                    return Err("a strange length");
                }
                length = value.parse().ok();
            }
            "transfer-encoding" if value == "chunked" && codings == 0 => codings = 1,
            "transfer-encoding" => return Err("a strange coding"),
            "x-api-key" | "authorization" if value.contains(KEY) => return Err("the key"),
            _ => {}
        }
    }
    match (hosts, codings, length) {
        (1, 0, length) => Ok(Framing::Length(length.unwrap_or(0))),
        (1, _, None) => Ok(Framing::Chunked),
        (1, _, Some(_)) => Err("two framings"),
        _ => Err("no host, or several"),
    }
}

/// All answers of a connection until it ends, each whole.
fn read_answers(client: &mut Client) -> usize {
    let mut count = 0;
    while let Some(answer) = client.answer() {
        assert!((100..=599).contains(&answer.status), "{answer:?}");
        if answer.status >= 400 {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!answer.code().is_empty(), "{body}");
        }
        assert_eq!(answer.header("x-request-id").len(), if answer.status == 100 { 0 } else { 36 });
        count += 1;
    }
    assert!(client.take(1).is_empty(), "bytes behind the last answer");
    count
}

fn hurried(upstream: SocketAddr) -> World {
    let unused = Upstream::new();
    let mut setup = Setup::new(&unused);
    setup.upstream = Some(format!("http://{upstream}/base"));
    setup.options = Box::new(|options| {
        options.bounds.head = WAIT;
        options.bounds.idle = WAIT;
    });
    setup.start()
}

fn check(world: &World, ear: &Ear) {
    eventually("every connection ends", || world.connections() == 0);
    let wrong = ear.wrong.lock().unwrap().clone();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let sums = world.sums();
    let (whole, heads) = (ear.whole.load(Ordering::SeqCst), ear.heads.load(Ordering::SeqCst));
    assert!(whole <= sums.units, "{whole} whole requests, {sums:?}");
    assert!(sums.units <= heads, "{heads} heads, {sums:?}");
    assert!(heads <= sums.calls, "{heads} heads, {sums:?}");
    assert_eq!(world.get("/zoo/animals").body, b"ok");
}

#[test]
fn mutated_requests_are_refused_or_read_in_one_way() {
    let upstream = StrictUpstream::new();
    let world = hurried(upstream.addr);
    let (next, answers) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let requests = whole_requests();
    let last = format!(
        "GET /zoo/animals HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n"
    );
    std::thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::SeqCst);
                    if round >= ROUNDS {
                        return;
                    }
                    let mut dice = Dice(round as u64);
                    let mut bytes = requests[dice.roll(requests.len())].clone();
                    mutate(&mut dice, &mut bytes);
                    bytes.extend_from_slice(last.as_bytes());
                    let mut client = world.client();
                    client.stream.set_nodelay(true).unwrap();
                    let mut rest = bytes.as_slice();
                    for _ in 0..dice.roll(3) {
                        let (piece, more) = rest.split_at(dice.roll(rest.len() + 1));
                        let _ = client.stream.write_all(piece);
                        std::thread::yield_now();
                        rest = more;
                    }
                    let _ = client.stream.write_all(rest);
                    answers.fetch_add(read_answers(&mut client), Ordering::SeqCst);
                }
            });
        }
    });
    assert!(answers.load(Ordering::SeqCst) > ROUNDS / 2);
    check(&world, &upstream.ear);
}

#[test]
fn a_request_may_be_torn_at_every_byte() {
    let upstream = StrictUpstream::new();
    let world = hurried(upstream.addr);
    for request in whole_requests() {
        let mut client = world.client();
        client.stream.set_nodelay(true).unwrap();
        let old = request.windows(8).any(|part| part == b"HTTP/1.0");
        let answers = if request.windows(6).any(|part| part == b"DELETE") { 2 } else { 1 };
        for at in 1..request.len() {
            client.send(&request[..at]);
            std::thread::yield_now();
            client.send(&request[at..]);
            for _ in 0..answers {
                assert_eq!(client.answer().unwrap().body, b"ok", "{at}, old: {old}");
            }
        }
    }
    let (whole, heads) = (&upstream.ear.whole, &upstream.ear.heads);
    assert_eq!(whole.load(Ordering::SeqCst), heads.load(Ordering::SeqCst));
    assert_eq!(world.sums().units, heads.load(Ordering::SeqCst));
    check(&world, &upstream.ear);
}
