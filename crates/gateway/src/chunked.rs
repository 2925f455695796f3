//! Decoding a chunked body of either side as it streams by, strictly: sizes are hexadecimal digits, lines end in CRLF.

use crate::buffer::Buffer;

/// Longest chunk-size line and trailer section.
const LINE_MAX_BYTES: usize = 4096;

/// The bytes have two readings, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes at the input's front are data; say [`Chunked::taken`] for those that are used.
    Data(usize),
    Done,
    More,
}

impl Chunked {
    /// Takes framing from the front of the input until there is data, or nothing more to take.
    pub(crate) fn step(&mut self, input: &mut Buffer) -> Result<Step, Malformed> {
        loop {
            match self {
                Self::Done => return Ok(Step::Done),
                Self::Data(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    return Ok(if here == 0 { Step::More } else { Step::Data(here) });
                }
                Self::DataEnd => {
                    if input.len() < 2 {
                        return Ok(Step::More);
                    }
                    if &input.data()[..2] != b"\r\n" {
                        return Err(Malformed);
                    }
                    input.consume(2);
                    *self = Self::Size;
                }
                Self::Size => {
                    let Some(end) = line_end(input.data())? else { return Ok(Step::More) };
                    let size = size_of(&input.data()[..end])?;
                    input.consume(end + 2);
                    *self = if size == 0 { Self::Trailers(0) } else { Self::Data(size) };
                }
                Self::Trailers(dropped) => {
                    let Some(end) = line_end(input.data())? else { return Ok(Step::More) };
                    *dropped += end;
                    input.consume(end + 2);
                    if end == 0 {
                        *self = Self::Done;
                    } else if *dropped > LINE_MAX_BYTES {
                        return Err(Malformed);
                    }
                }
            }
        }
    }

    /// So many bytes of data have been consumed from the input.
    pub(crate) fn taken(&mut self, count: usize) {
        if let Self::Data(left) = self {
            *left -= count as u64;
            if *left == 0 {
                *self = Self::DataEnd;
            }
        }
    }
}

/// Length of the line at the front without its CRLF.
fn line_end(input: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(end) = input.iter().take(LINE_MAX_BYTES).position(|b| *b == b'\n') else {
        return if input.len() >= LINE_MAX_BYTES { Err(Malformed) } else { Ok(None) };
    };
    if end == 0 || input[end - 1] != b'\r' { Err(Malformed) } else { Ok(Some(end - 1)) }
}

fn size_of(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(line.len());
    let space = line[digits..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let rest = &line[digits + space..];
    let is_plain = rest.iter().all(|b| *b == b'\t' || !b.is_ascii_control());
    if digits == 0 || digits > 15 || !(rest.is_empty() || rest[0] == b';') || !is_plain {
        return Err(Malformed);
    }
    let value = |b: u8| u64::from((b as char).to_digit(16).unwrap_or(0));
    Ok(line[..digits].iter().fold(0, |sum, digit| sum * 16 + value(*digit)))
}

/// Appends a chunk's size line.
pub(crate) fn write_size(out: &mut Vec<u8>, size: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(HEX[(size >> (place * 4)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
