//! Decoding a chunked body as it streams by, strictly: sizes are hexadecimal digits, lines end in CRLF.

use bytes::{Buf, Bytes, BytesMut};

use super::Failure;

/// Longest chunk-size line and trailer section.
const LINE_MAX_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// Before a size line.
    Size,
    /// So many bytes of the current chunk are missing.
    Data(u64),
    /// The CRLF after a chunk's data.
    DataEnd,
    /// Trailers, of which so many bytes have been dropped.
    Trailers(usize),
    Done,
}

pub(crate) enum Step {
    Data(Bytes),
    Done,
    More,
}

impl Chunked {
    /// Takes what can be taken from the front of `input`.
    pub(crate) fn step(&mut self, input: &mut BytesMut) -> Result<Step, Failure> {
        loop {
            match self {
                Self::Done => return Ok(Step::Done),
                Self::Data(left) => {
                    if input.is_empty() {
                        return Ok(Step::More);
                    }
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    *left -= here as u64;
                    let data = input.split_to(here).freeze();
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Step::Data(data));
                }
                Self::DataEnd => {
                    if input.len() < 2 {
                        return Ok(Step::More);
                    }
                    if &input[..2] != b"\r\n" {
                        return Err(Failure::Garbage);
                    }
                    input.advance(2);
                    *self = Self::Size;
                }
                Self::Size => {
                    let Some(line) = take_line(input)? else { return Ok(Step::More) };
                    let size = size_of(&line)?;
                    *self = if size == 0 { Self::Trailers(0) } else { Self::Data(size) };
                }
                Self::Trailers(dropped) => {
                    let Some(line) = take_line(input)? else { return Ok(Step::More) };
                    *dropped += line.len();
                    if line.is_empty() {
                        *self = Self::Done;
                    } else if *dropped > LINE_MAX_BYTES {
                        return Err(Failure::Garbage);
                    }
                }
            }
        }
    }
}

fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, Failure> {
    let Some(end) = input.iter().take(LINE_MAX_BYTES).position(|b| *b == b'\n') else {
        return if input.len() >= LINE_MAX_BYTES { Err(Failure::Garbage) } else { Ok(None) };
    };
    if end == 0 || input[end - 1] != b'\r' {
        return Err(Failure::Garbage);
    }
    let mut line = input.split_to(end + 1);
    line.truncate(end - 1);
    Ok(Some(line))
}

fn size_of(line: &[u8]) -> Result<u64, Failure> {
    let digits = line.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(line.len());
    let rest = line[digits..].trim_ascii_start();
    if digits == 0 || digits > 15 || !(rest.is_empty() || rest[0] == b';') {
        return Err(Failure::Garbage);
    }
    let value = |b: u8| u64::from((b as char).to_digit(16).unwrap_or(0));
    Ok(line[..digits].iter().fold(0, |sum, digit| sum * 16 + value(*digit)))
}
