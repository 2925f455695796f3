use bytes::BytesMut;
use http::Method;

use super::chunked::{Chunked, Step};
use super::head::{Framing, parse};
use super::*;

#[test]
fn parse_takes_urls_apart() {
    let upstream = Upstream::parse("http://a.example:81/x/y/").unwrap();
    assert_eq!((&*upstream.address, &*upstream.authority), ("a.example:81", "a.example:81"));
    assert_eq!(&*upstream.prefix, "/x/y");
    let upstream = Upstream::parse("http://[::1]").unwrap();
    assert_eq!((&*upstream.address, &*upstream.prefix), ("[::1]:80", ""));
}

/// Feeds bytes in pieces of a size; what came out, or the failure.
fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Failure> {
    let (mut state, mut input, mut out) = (Chunked::Size, BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match state.step(&mut input)? {
                Step::Data(data) => out.extend_from_slice(&data),
                Step::Done => return Ok((out, true)),
                Step::More => break,
            }
        }
    }
    Ok((out, false))
}

#[test]
fn chunked_bodies_decode_in_pieces_of_every_size() {
    let body = b"5;x=\"y\"\r\nhello\r\n06 \r\n world\r\n0\r\nTrailer: 1\r\n\r\n";
    for piece in 1..=body.len() {
        assert_eq!(decode(body, piece), Ok((b"hello world".to_vec(), true)), "{piece}");
    }
    assert_eq!(decode(&body[..body.len() - 1], 3), Ok((b"hello world".to_vec(), false)));
}

#[test]
fn chunked_bodies_with_two_readings_are_refused() {
    let wrong: [&[u8]; 9] = [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5 5\r\nhello\r\n",
        b"ffffffffffffffff\r\n",
    ];
    for body in wrong {
        assert_eq!(decode(body, 4), Err(Failure::Garbage), "{}", String::from_utf8_lossy(body));
    }
    assert_eq!(decode(&[b'1'; 5000], 100), Err(Failure::Garbage));
}

fn framing(head: &str, method: &Method) -> Result<Framing, Failure> {
    let mut input = BytesMut::from(head);
    parse(&mut input, method).map(|head| head.expect("a whole head").framing)
}

#[test]
fn framing_of_answers() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let get = |fields: &str| framing(&head(fields), &Method::GET);
    assert_eq!(get("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
    assert_eq!(get("Content-Length: 0\r\n"), Ok(Framing::None));
    assert_eq!(get("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    assert_eq!(get(""), Ok(Framing::UntilClose));
    assert_eq!(framing(&head("Content-Length: 5\r\n"), &Method::HEAD), Ok(Framing::None));
    for wrong in [
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
    ] {
        assert_eq!(get(wrong), Err(Failure::Garbage), "{wrong}");
    }
}

#[test]
fn heads_lose_the_fields_of_the_connection() {
    let text = "HTTP/1.1 200 OK\r\nConnection: X-One, close\r\nX-One: 1\r\nKeep-Alive: 5\r\nX-Two: 2\r\n\r\nrest";
    let mut input = BytesMut::from(text);
    let head = parse(&mut input, &Method::GET).unwrap().unwrap();
    assert!(!head.keep_alive);
    assert_eq!(head.headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-two"]);
    assert_eq!(&input[..], b"rest");
    let mut partial = BytesMut::from(&text[..20]);
    assert!(parse(&mut partial, &Method::GET).unwrap().is_none());
}
