use super::{Answer, CheckRequest, Denied, Granted};
use crate::auth::protobuf::{Fields, Malformed, Writer};

/// A message as Envoy writes it, fields that nobody here reads among the others.
fn question(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(1, |attributes| {
        attributes.message(1, |source| {
            source.message(1, |address| {
                address.message(1, |socket| {
                    socket.number(1, 0);
                    socket.bytes(2, b"192.0.2.7");
                    socket.number(3, 4711);
                });
            });
            source.bytes(4, b"somebody");
        });
        attributes.message(4, |request| {
            request.message(1, |time| time.number(1, 1_700_000_000));
            request.message(2, |http| {
                http.bytes(1, b"an id");
                http.bytes(2, b"POST");
                entry(http, 3, b":path", b"/items?a=b");
                entry(http, 3, b"authorization", b"Bearer secret");
                http.bytes(4, b"/items?a=b");
                http.bytes(5, b"api.example.test");
                http.number(9, u64::MAX);
            });
        });
        entry(attributes, 10, b"other", b"x");
        entry(attributes, 10, b"product", b"items");
        fill(attributes);
    });
    writer.finish()
}

fn entry(writer: &mut Writer, field: u32, name: &[u8], value: &[u8]) {
    writer.message(field, |entry| {
        entry.bytes(1, name);
        entry.bytes(2, value);
    });
}

#[test]
fn a_question_is_read() {
    let bytes = question(|_| {});
    let read = CheckRequest::read(&bytes).expect("a message");
    assert_eq!(
        read,
        CheckRequest {
            method: "POST",
            target: "/items?a=b",
            headers: vec![("authorization", b"Bearer secret")],
            product: Some("items"),
            source: Some([192, 0, 2, 7].into()),
        }
    );
    assert_eq!(CheckRequest::read(&[]), Ok(CheckRequest::default()));
}

#[test]
fn raw_headers_are_read_one_by_one() {
    let mut writer = Writer::default();
    writer.message(1, |attributes| {
        attributes.message(4, |request| {
            request.message(2, |http| {
                http.message(13, |map| {
                    entry(map, 1, b"x-api-key", b"one");
                    map.message(1, |header| {
                        header.bytes(1, b"x-api-key");
                        header.bytes(3, b"\xfftwo");
                    });
                });
            });
        });
    });
    let bytes = writer.finish();
    let read = CheckRequest::read(&bytes).expect("a message");
    assert_eq!(read.headers, [("x-api-key", &b"one"[..]), ("x-api-key", &b"\xfftwo"[..])]);
}

#[test]
fn a_question_cut_anywhere_is_an_error_or_another_question() {
    let bytes = question(|_| {});
    for length in 1..bytes.len() {
        assert_eq!(CheckRequest::read(&bytes[..length]), Err(Malformed), "{length}");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        let _ = CheckRequest::read(&flipped);
    }
}

#[test]
fn too_many_headers_are_an_error() {
    let many = |count: usize| {
        question(|attributes| {
            attributes.message(4, |request| {
                request.message(2, |http| {
                    (0..count).for_each(|_| entry(http, 3, b"a", b"b"));
                });
            });
        })
    };
    assert!(CheckRequest::read(&many(super::HEADERS_MAX - 1)).is_ok());
    assert_eq!(CheckRequest::read(&many(super::HEADERS_MAX)), Err(Malformed));
}

/// The numbers of a message's fields.
fn numbers(message: &[u8]) -> Vec<u64> {
    Fields::of(message).map(|field| field.expect("a field").0).collect()
}

/// The bytes of the first field with that number.
fn inside(message: &[u8], number: u64) -> &[u8] {
    let found = Fields::of(message).flatten().find(|field| field.0 == number);
    found.expect("the field is there").1.bytes().expect("it holds bytes")
}

#[test]
fn answers_are_written() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let granted = Answer::Granted(Granted {
        headers: vec![pair("x-keytoll-plan", "open"), pair("x-keytoll-scopes", "")],
        remove: vec!["authorization".to_owned()],
        remove_query: vec!["api_key".to_owned()],
        to_client: vec![pair("x-ratelimit-limit", "5")],
    });
    let bytes = granted.write();
    assert_eq!(numbers(&bytes), [1, 3]);
    assert_eq!(inside(&bytes, 1), b"", "status 0");
    let ok = inside(&bytes, 3);
    assert_eq!(numbers(ok), [2, 2, 5, 6, 8]);
    assert_eq!((inside(ok, 5), inside(ok, 8)), (&b"authorization"[..], &b"api_key"[..]));
    let option = inside(ok, 2);
    assert_eq!(numbers(option), [1, 2, 3, 4]);
    let header = inside(option, 1);
    assert_eq!((inside(header, 1), inside(header, 2)), (&b"x-keytoll-plan"[..], &b"open"[..]));

    let headers = vec![pair("retry-after", "3")];
    let denied = Answer::Denied(Denied { status: 429, headers, body: b"{}".to_vec() });
    let bytes = denied.write();
    assert_eq!(numbers(&bytes), [1, 2]);
    assert_eq!(inside(&bytes, 1), [0x08, 7]);
    let response = inside(&bytes, 2);
    assert_eq!(inside(response, 1), [0x08, 0xad, 0x03]);
    assert_eq!(inside(response, 3), b"{}");
    assert_eq!(numbers(response), [1, 2, 3]);
}
