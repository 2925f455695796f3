use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;

fn source(text: &str) -> Header {
    Header { source: Some(text.parse().unwrap()) }
}

const UNKNOWN: Header = Header { source: None };

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn ipv4_block() -> Vec<u8> {
    vec![192, 0, 2, 7, 198, 51, 100, 1, 0xdd, 0xd5, 0x01, 0xbb]
}

fn ipv6_block() -> Vec<u8> {
    let source: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let destination: Ipv6Addr = "2001:db8::1".parse().unwrap();
    [&source.octets()[..], &destination.octets(), &[0xdd, 0xd5, 0x01, 0xbb]].concat()
}

/// Whole headers with what they say.
fn headers() -> Vec<(Vec<u8>, Header)> {
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_MAX_BYTES - 16));
    let fields = [&ipv4_block()[..], &[0x04, 0, 3, 0, 0, 0, 0x20, 0, 1, 9]].concat();
    let full =
        [&ipv4_block()[..], &[0; BINARY_MAX_BYTES - BINARY_HEAD_BYTES - IPV4_BYTES]].concat();
    vec![
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56789 443\r\n".to_vec(), source("192.0.2.7:56789")),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 56789 443\r\n".to_vec(),
            source("[2001:db8::7]:56789"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), UNKNOWN),
        (b"PROXY UNKNOWN ff:: ff:: 1 2\r\n".to_vec(), UNKNOWN),
        (longest.into_bytes(), UNKNOWN),
        (binary(0x21, 0x11, &ipv4_block()), source("192.0.2.7:56789")),
        (binary(0x21, 0x11, &fields), source("192.0.2.7:56789")),
        (binary(0x21, 0x11, &full), source("192.0.2.7:56789")),
        (binary(0x21, 0x21, &ipv6_block()), source("[2001:db8::7]:56789")),
        (binary(0x20, 0x00, &[]), UNKNOWN),
        (binary(0x20, 0x11, &ipv4_block()), UNKNOWN),
        (binary(0x21, 0x00, &[1, 2, 3]), UNKNOWN),
        (binary(0x21, 0x31, &[b'/'; 216]), UNKNOWN),
    ]
}

#[test]
fn every_whole_header_is_read_and_what_follows_is_left() {
    for (bytes, header) in headers() {
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
        for given in [&bytes, &followed] {
            assert_eq!(parse(given), Ok(Some((header, bytes.len()))), "{given:?}");
        }
    }
}

#[test]
fn every_beginning_of_a_header_asks_for_more() {
    for (bytes, _) in headers() {
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{:?}", &bytes[..end]);
        }
    }
}

#[test]
fn what_is_no_header_is_refused_at_once() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n"[..], b"G", b"PROXX", b"\r\n\r\n\0\r\nQUIX", b"\x16\x03\x01"]
    {
        assert_eq!(parse(bytes), Err(Error::Absent), "{bytes:?}");
    }
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 56789 443\n",
        "PROXY \r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
        "PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1  2\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Error::Line), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_MAX_BYTES - 15));
    assert_eq!(parse(endless.as_bytes()), Err(Error::TooLong));
    for command in [0x00, 0x01, 0x11, 0x22, 0x31, 0xff] {
        assert_eq!(parse(&binary(command, 0x11, &ipv4_block())), Err(Error::Unsupported));
    }
    for family in [0x12, 0x22, 0x32, 0x41, 0xff] {
        assert_eq!(parse(&binary(0x21, family, &ipv6_block())), Err(Error::Unsupported));
    }
    assert_eq!(parse(&binary(0x21, 0x11, &ipv4_block()[..11])), Err(Error::TooShort));
    assert_eq!(parse(&binary(0x21, 0x21, &ipv6_block()[..35])), Err(Error::TooShort));
    let long = binary(0x21, 0x11, &[0; BINARY_MAX_BYTES - BINARY_HEAD_BYTES + 1]);
    assert_eq!(parse(&long[..BINARY_HEAD_BYTES]), Err(Error::TooLong));
}

proptest! {
    /// Of any bytes: no panic, no header beyond the bytes or the bounds, no waiting beyond the bounds, and
    /// more bytes never change an answer.
    #[test]
    fn garbage_has_a_bounded_and_stable_answer(
        start in prop::sample::select(vec![&b""[..], LINE_START, b"PROXY TCP4 ", b"PROXY TCP6 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"]),
        rest in prop::collection::vec(any::<u8>(), 0..700),
        more in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let bytes = [start, &rest].concat();
        let longer = [&bytes[..], &more].concat();
        match parse(&bytes) {
            Ok(Some((_, length))) => {
                prop_assert!(length <= bytes.len() && length <= BINARY_MAX_BYTES);
                prop_assert_eq!(parse(&longer), parse(&bytes));
            }
            Ok(None) => prop_assert!(bytes.len() < BINARY_MAX_BYTES),
            Err(error) => prop_assert_eq!(parse(&longer), Err(error)),
        }
    }

    #[test]
    fn a_written_line_is_read_back(source: SocketAddr, destination: u16) {
        let (kind, ip) = match source.ip() {
            IpAddr::V4(ip) => ("TCP4", ip.to_string()),
            IpAddr::V6(ip) => ("TCP6", ip.to_string()),
        };
        let line = format!("PROXY {kind} {ip} {ip} {} {destination}\r\n", source.port());
        let expected = SocketAddr::new(source.ip(), source.port());
        prop_assert_eq!(
            parse(line.as_bytes()),
            Ok(Some((Header { source: Some(expected) }, line.len())))
        );
    }
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

#[tokio::test]
async fn reading_takes_the_header_and_not_a_byte_more() {
    for (bytes, header) in headers() {
        let (mut client, mut server) = pair().await;
        let writing = tokio::spawn(async move {
            client.set_nodelay(true).unwrap();
            let (one, two) = bytes.split_at(bytes.len() / 2);
            client.write_all(one).await.unwrap();
            tokio::task::yield_now().await;
            client.write_all(&[two, b"rest"].concat()).await.unwrap();
        });
        assert_eq!(read(&mut server).await.unwrap(), header);
        writing.await.unwrap();
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"rest");
    }
}

#[tokio::test]
async fn reading_ends_with_the_connection() {
    let (mut client, mut server) = pair().await;
    client.write_all(b"PROXY TCP4").await.unwrap();
    drop(client);
    assert!(matches!(read(&mut server).await, Err(ReadError::Ended)));
}

#[tokio::test]
async fn a_silent_peer_is_not_waited_for() {
    let (_client, mut server) = pair().await;
    let read = read_within(&mut server, Duration::from_millis(1)).await;
    assert!(matches!(read, Err(ReadError::TimedOut)));
}
