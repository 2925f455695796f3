//! `http-parsing*`: raw requests, as friendly and hostile clients send them.
//!
//! Each is sent twice: as it is to a product without keys, so that it is the parser that decides and no
//! missing key; and with a key as its first header to a product that meters. A request that is refused is
//! fine; one that reaches the upstream must be in one unambiguous normal form there, and the upstream must
//! see exactly the calls that the ledger holds.

use keytoll_tests::http::{Connection, Request};
use keytoll_tests::report::{Verdict, run};
use keytoll_tests::upstream::Upstream;
use keytoll_tests::wait::{self, Deadline, PATIENCE};
use serde_json::{Value, json};

use super::{Installation, Shop};

/// A product as a way into the gateway, with an upstream of its own.
struct Door {
    shop: Shop,
    upstream: Upstream,
    /// Sent with every request; none where the product asks for none.
    key: Option<String>,
}

#[test]
fn http_parsing() {
    let mut installation = Installation::start("");
    let open = Door::new(&mut installation, &json!([]));
    let metered = Door::new(&mut installation, &json!(["header"]));
    run("http-parsing", |case| {
        let (Some(raw), Some(_)) = (case["raw"].as_str(), case["expect"]["gateway"].as_str())
        else {
            return Verdict::NotOffered("the runner does not know this form");
        };
        Verdict::all([
            open.judge(&installation, case, raw),
            metered.judge(&installation, case, raw),
            metered.is_counted(&installation),
        ])
    });
    let requests = metered.upstream.count() + metered.upstream.half_requests();
    assert_eq!(installation.charged(&metered.shop), requests, "calls charged, requests upstream");
    assert!(open.upstream.count() > 0, "some requests are friendly and reach the upstream");
    assert!(metered.upstream.count() > 0, "some requests are friendly and reach the upstream");

    // A request whose body breaks off may have been forwarded in part, but only in normal form.
    installation.server.kill();
    for door in [open, metered] {
        let whole = door.upstream.seen().into_iter().map(|seen| seen.raw);
        for raw in whole.chain(door.upstream.leftovers()) {
            assert_eq!(normal_form(&raw), Verdict::Passed);
        }
    }
}

impl Door {
    fn new(installation: &mut Installation, key_from: &Value) -> Self {
        let mut operations = Vec::new();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            for path in ["/", "/{a}", "/{a}/{b}", "/{a}/{b}/{c}", "/{a}/{b}/{c}/{d}"] {
                operations.push(format!("{method} {path}"));
            }
        }
        let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
        let upstream = Upstream::start();
        let product = json!({"key_from": key_from, "upstream": upstream.url()});
        let shop = installation.open(&operations, &product, &json!({}));
        let shop = shop.expect("a product can be sold");
        let keyless = key_from == &json!([]);
        let key = (!keyless).then(|| installation.secret(&shop, &json!({})));
        Self { shop, upstream, key }
    }

    fn judge(&self, installation: &Installation, case: &Value, raw: &str) -> Verdict {
        let mut bytes = unescape(&for_product(raw, &self.shop.product));
        if let Some(key) = &self.key {
            bytes = with_key(bytes, key);
        }
        let expect = &case["expect"];
        let messages = expect["complete_messages"].as_u64();
        let messages = messages.or(expect["body_length"].as_u64().map(|_| 1)).unwrap_or(0);
        let before = self.upstream.count();
        let answers = exchange(installation, &bytes, usize::try_from(messages).unwrap_or(0));
        let seen = &self.upstream.seen()[before..];
        let alive = Request::get("/healthz").send(installation.server.gateway);

        let refused = answers.iter().any(|status| *status >= 400);
        let enough = answers.len() as u64 >= messages || refused;
        let mut verdicts = vec![
            Verdict::equal("the gateway lives", &200, &alive.map_or(0, |answer| answer.status)),
            Verdict::all(seen.iter().map(|seen| normal_form(&seen.raw))),
            Verdict::equal("each message has its answer", &true, &enough),
        ];
        if let Some(length) = expect["body_length"].as_u64() {
            let right = seen.iter().all(|seen| seen.body.len() as u64 == length);
            verdicts.push(Verdict::equal("body length upstream", &true, &right));
        }
        Verdict::all(verdicts)
    }

    /// Whether as many calls are counted as requests reached the upstream, those included whose body broke
    /// off on the way.
    fn is_counted(&self, installation: &Installation) -> Verdict {
        let target = format!("/{}/.keytoll/usage", self.shop.product);
        let key = self.key.as_deref().unwrap_or_default();
        let deadline = Deadline::after(PATIENCE);
        loop {
            let requests = self.upstream.count() + self.upstream.half_requests();
            let usage = Request::get(&target).header("X-API-Key", key);
            let usage = usage.send(installation.server.gateway).expect("the gateway answers");
            let units = usage.expect(200).json()["units"].as_u64().unwrap_or(0);
            // The gateway and the stub notice the end of a broken request each in its own time.
            if units == requests as u64 || deadline.passed() {
                return Verdict::equal("calls counted", &(requests as u64), &units);
            }
            wait::pause();
        }
    }
}

/// The request with a key as its first header, if it has a first line.
fn with_key(mut bytes: Vec<u8>, key: &str) -> Vec<u8> {
    if let Some(end) = keytoll_tests::http::find(&bytes, b"\r\n") {
        let header = format!("X-API-Key: {key}\r\n");
        bytes.splice(end + 2..end + 2, header.into_bytes());
    }
    bytes
}

/// The first target of a raw request, moved under the product.
fn for_product(raw: &str, product: &str) -> String {
    match raw.split_once(" /") {
        Some((method, rest)) if !method.contains("\\r") && !method.contains(' ') => {
            format!("{method} /{product}/{rest}")
        }
        _ => raw.to_owned(),
    }
}

/// Bytes of a text with `\r \n \t \xNN \\`.
fn unescape(raw: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let Some((kind, tail)) = rest.split_first() else {
            bytes.push(b'\\');
            break;
        };
        rest = tail;
        match kind {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'x' if rest.len() >= 2 => {
                let digits = String::from_utf8_lossy(&rest[..2]).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    bytes
}

/// Sends the bytes and returns the status of every answer.
///
/// An incomplete request is one the gateway may rightly wait for. So the end of the input follows once the
/// complete messages have their answers, or, where nobody knows what is complete, after a moment.
fn exchange(installation: &Installation, bytes: &[u8], messages: usize) -> Vec<u16> {
    let mut connection =
        Connection::open(installation.server.gateway).expect("the gateway accepts");
    if connection.write(bytes).is_err() {
        return Vec::new();
    }
    let mut all = match messages {
        0 => connection.read_for_a_moment(),
        _ => connection.read_until(|read| statuses(read).len() >= messages),
    };
    connection.finish_writing();
    all.extend(connection.read_to_close());
    statuses(&all)
}

/// The status of every answer in the bytes. The stub's answers hold no such line themselves.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let heads = text.split("HTTP/1.").skip(1);
    heads.filter_map(|head| head.get(2..5)?.parse().ok()).filter(|status| *status >= 200).collect()
}

/// Whether every server reads the head of a request in the same way.
fn normal_form(raw: &[u8]) -> Verdict {
    let head_end = keytoll_tests::http::find(raw, b"\r\n\r\n").unwrap_or(0);
    let head = &raw[..head_end];
    let lines: Vec<&[u8]> = split_lines(head);
    let plain = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let problem = if !lines.iter().all(|line| line.iter().all(plain)) {
        "a control character in the head"
    } else if lines.iter().skip(1).any(|line| !well_named(line)) {
        "a malformed header name"
    } else if count(&lines, "content-length") + count(&lines, "transfer-encoding") > 1 {
        "more than one length"
    } else if count(&lines, "host") != 1 {
        "not one Host"
    } else {
        return Verdict::Passed;
    };
    Verdict::Failed(format!("{problem} upstream: {:?}", String::from_utf8_lossy(head)))
}

fn count(lines: &[&[u8]], name: &str) -> usize {
    let named = |line: &&&[u8]| {
        let known = line.split(|byte| *byte == b':').next().unwrap_or_default();
        known.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
    };
    lines.iter().filter(named).count()
}

fn well_named(line: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    !name.is_empty() && name.len() < line.len() && name.iter().all(token)
}

fn split_lines(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(end) = keytoll_tests::http::find(rest, b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    lines
}
