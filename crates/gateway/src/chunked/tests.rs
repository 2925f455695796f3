use super::*;

/// Feeds bytes in pieces of a size; what came out, or the failure.
fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Malformed> {
    let (mut state, mut input, mut out) = (Chunked::Size, Buffer::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        input.push(piece);
        loop {
            match state.step(&mut input)? {
                Step::Data(here) => {
                    out.extend_from_slice(&input.data()[..here]);
                    input.consume(here);
                    state.taken(here);
                }
                Step::Done => return Ok((out, true)),
                Step::More => break,
            }
        }
    }
    Ok((out, false))
}

#[test]
fn bodies_decode_in_pieces_of_every_size() {
    let body = b"5 \t; x=\"y\"\r\nhello\r\n06 \r\n world\r\n0\r\nTrailer: 1\r\n\r\n";
    for piece in 1..=body.len() {
        assert_eq!(decode(body, piece), Ok((b"hello world".to_vec(), true)), "{piece}");
    }
    assert_eq!(decode(&body[..body.len() - 1], 3), Ok((b"hello world".to_vec(), false)));
}

#[test]
fn bodies_with_two_readings_are_refused() {
    let wrong: [&[u8]; 12] = [
        b"5\r\r\nhello\r\n",
        b"5\x0c;x\r\nhello\r\n",
        b"5;x\r0\r\nhello\r\n",
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
        assert_eq!(decode(body, 4), Err(Malformed), "{}", String::from_utf8_lossy(body));
    }
    assert_eq!(decode(&[b'1'; 5000], 100), Err(Malformed));
}

#[test]
fn sizes_are_written_in_hexadecimal() {
    for (size, text) in [(0, "0\r\n"), (10, "a\r\n"), (16, "10\r\n"), (0xabcde, "abcde\r\n")] {
        let mut out = Vec::new();
        write_size(&mut out, size);
        assert_eq!(out, text.as_bytes());
    }
}
