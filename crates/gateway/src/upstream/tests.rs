use super::head::{Asked, Framing, Head};
use super::*;
use crate::buffer::Buffer;
use crate::fields::Field;

#[test]
fn parse_takes_urls_apart() {
    let upstream = Upstream::parse("http://a.example:81/x/y/", 0).unwrap();
    assert_eq!((&*upstream.address, &*upstream.authority), ("a.example:81", "a.example:81"));
    assert_eq!(&*upstream.prefix, "/x/y");
    let upstream = Upstream::parse("https://a.example/x", 0).unwrap();
    assert_eq!((&*upstream.address, &*upstream.host), ("a.example:443", "a.example"));
    assert!(upstream.secure);
    let upstream = Upstream::parse("http://[::1]", 0).unwrap();
    assert_eq!((&*upstream.address, &*upstream.prefix), ("[::1]:80", ""));
}

fn buffer(text: &str) -> Buffer {
    let mut buffer = Buffer::default();
    buffer.push(text.as_bytes());
    buffer
}

fn framing(text: &str, asked: Asked) -> Result<Framing, Failure> {
    let mut head = Head::default();
    assert!(head.parse(&mut buffer(text), asked)?, "a whole head");
    Ok(head.framing)
}

#[test]
fn framing_of_answers() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let get = |fields: &str| framing(&head(fields), Asked::Content);
    assert_eq!(get("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
    assert_eq!(get("Content-Length: 0\r\n"), Ok(Framing::None));
    assert_eq!(get("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    assert_eq!(get(""), Ok(Framing::UntilClose));
    assert_eq!(framing(&head("Content-Length: 5\r\n"), Asked::Head), Ok(Framing::None));
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
    let (mut input, mut head) = (buffer(text), Head::default());
    assert!(head.parse(&mut input, Asked::Content).unwrap() && !head.keep_alive);
    let names: Vec<&[u8]> = head.passing().map(|field: Field<'_>| field.name).collect();
    assert_eq!(names, [b"X-Two"]);
    assert_eq!(input.data(), b"rest");
    assert!(!head.parse(&mut buffer(&text[..20]), Asked::Content).unwrap());
}
