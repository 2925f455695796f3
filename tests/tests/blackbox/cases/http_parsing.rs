//! `http-parsing*`: raw requests, as friendly and hostile clients send them.
//!
//! Each goes to a product without keys, so that it is the parser that decides and no missing key. A
//! request that is refused is fine; one that reaches the upstream must be in one unambiguous normal form
//! there, and the upstream must never see more requests than the gateway answered.

use keytoll_tests::http::{Connection, Request};
use keytoll_tests::report::{Verdict, run};
use keytoll_tests::upstream::Seen;
use serde_json::{Value, json};

use super::Installation;

#[test]
fn http_parsing() {
    let mut installation = Installation::start("");
    let mut operations = Vec::new();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/", "/{a}", "/{a}/{b}", "/{a}/{b}/{c}", "/{a}/{b}/{c}/{d}"] {
            operations.push(format!("{method} {path}"));
        }
    }
    let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
    let shop = installation.open(&operations, &json!({"key_from": []}), &json!({}));
    let product = shop.map(|shop| shop.product);
    run("http-parsing", |case| match &product {
        Ok(product) => judge(&installation, product, case),
        Err(problem) => Verdict::Failed(problem.clone()),
    });
}

fn judge(installation: &Installation, product: &str, case: &Value) -> Verdict {
    let (Some(raw), Some(rule)) = (case["raw"].as_str(), case["expect"]["gateway"].as_str()) else {
        return Verdict::NotOffered("the runner does not know this form");
    };
    installation.upstream.forget();
    let bytes = unescape(&for_product(raw, product));
    let expected = case["expect"]["complete_messages"].as_u64().unwrap_or(1);
    let answers = statuses(&exchange(installation, &bytes));
    let seen = installation.upstream.seen();
    let alive = Request::get("/healthz").send(installation.server.gateway).map_or(0, |a| a.status);

    let granted = answers.iter().filter(|status| **status == 200).count();
    let mut verdicts = vec![
        Verdict::equal("the gateway lives", &200, &alive),
        Verdict::equal("half requests upstream", &Vec::new(), &installation.upstream.leftovers()),
        Verdict::all(seen.iter().map(normal_form)),
    ];
    if seen.len() > granted {
        let problem = format!("{} requests upstream, {granted} answered", seen.len());
        verdicts.push(Verdict::Failed(problem));
    }
    if rule.starts_with("each complete message") {
        let refused = answers.iter().any(|status| *status >= 400);
        let enough = answers.len() as u64 >= expected || refused;
        verdicts.push(Verdict::equal("each message has its answer", &true, &enough));
    }
    if let Some(length) = case["expect"]["body_length"].as_u64() {
        let lengths: Vec<u64> = seen.iter().map(|seen| seen.body.len() as u64).collect();
        let right = lengths.iter().all(|found| *found == length);
        verdicts.push(Verdict::equal("body length upstream", &true, &right));
    }
    Verdict::all(verdicts)
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

/// Sends the bytes and returns everything that comes back.
///
/// An incomplete request is one the gateway may rightly wait for, so the end of the input follows once
/// the gateway has had time to answer what is complete.
fn exchange(installation: &Installation, bytes: &[u8]) -> Vec<u8> {
    let mut connection =
        Connection::open(installation.server.gateway).expect("the gateway accepts");
    if connection.write(bytes).is_err() {
        return Vec::new();
    }
    let mut all = connection.read_for_a_moment();
    connection.finish_writing();
    all.extend(connection.read_to_close());
    all
}

/// The status of every answer in the bytes. The stub's answers hold no such line themselves.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let heads = text.split("HTTP/1.").skip(1);
    heads.filter_map(|head| head.get(2..5)?.parse().ok()).filter(|status| *status >= 200).collect()
}

/// A request that every server reads in the same way.
fn normal_form(seen: &Seen) -> Verdict {
    let head_end = keytoll_tests::http::find(&seen.raw, b"\r\n\r\n").unwrap_or(0);
    let head = &seen.raw[..head_end];
    let lines: Vec<&[u8]> = split_lines(head);
    let plain = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let problem = if !lines.iter().all(|line| line.iter().all(plain)) {
        "a control character in the head"
    } else if lines.iter().skip(1).any(|line| !well_named(line)) {
        "a malformed header name"
    } else if count(seen, "content-length") + count(seen, "transfer-encoding") > 1 {
        "more than one length"
    } else if count(seen, "host") != 1 {
        "not one Host"
    } else {
        return Verdict::Passed;
    };
    Verdict::Failed(format!("{problem} upstream: {:?}", String::from_utf8_lossy(head)))
}

fn count(seen: &Seen, name: &str) -> usize {
    seen.headers.iter().filter(|(known, _)| known.trim().eq_ignore_ascii_case(name)).count()
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
