//! Request paths are served as they are or not at all: a path that the matcher and an upstream could read
//! differently is refused instead of normalised.

/// True for a path that means the same to everybody: printable ASCII, whole percent escapes, no empty, dot or
/// encoded-dot segments, no backslash and no NUL in any encoding.
#[inline]
pub(crate) fn is_plain(path: &str) -> bool {
    is_simple(path.as_bytes()) || is_plain_of_any(path.as_bytes())
}

/// Most paths are: no escapes, no parameters, and a dot only behind something else in its segment.
fn is_simple(path: &[u8]) -> bool {
    let mut slash = false;
    for byte in path {
        match byte {
            b'/' if !slash => slash = true,
            b'.' if !slash => {}
            b'%' | b';' | b'/' | b'.' | b'\\' | b'#' | b'"' | b'<' | b'>' => return false,
            0x21..=0x7e => slash = false,
            _ => return false,
        }
    }
    path.first() == Some(&b'/')
}

fn is_plain_of_any(bytes: &[u8]) -> bool {
    if bytes.first() != Some(&b'/') {
        return false;
    }
    let mut index = 0;
    let mut segment = Segment::default();
    let mut empty = false;
    while index < bytes.len() {
        let byte = bytes[index];
        index += 1;
        match byte {
            b'/' => {
                if empty || !segment.is_plain() {
                    return false;
                }
                empty = true;
                segment = Segment::default();
                continue;
            }
            b'%' => {
                let Some(decoded) = escape(bytes, index) else { return false };
                index += 2;
                match decoded {
                    0 | b'\\' => return false,
                    b'/' => {
                        if !segment.is_plain() {
                            return false;
                        }
                        segment = Segment::default();
                    }
                    decoded => segment.push(decoded),
                }
            }
            b'\\' | b'#' | b'"' | b'<' | b'>' => return false,
            0x21..=0x7e => segment.push(byte),
            _ => return false,
        }
        empty = false;
    }
    segment.is_plain()
}

/// A query of printable ASCII; what it means is the upstream's affair.
pub(crate) fn is_plain_query(query: &str) -> bool {
    query.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#')
}

/// The byte that the two digits after a percent sign stand for.
pub(crate) fn escape(bytes: &[u8], digits_at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let value = digit(digits_at)? * 16 + digit(digits_at + 1)?;
    u8::try_from(value).ok()
}

/// What of a segment decides whether it is a dot segment: its length while it holds only dots. A `;` ends
/// the name, since some servers cut parameters off.
#[derive(Default)]
struct Segment {
    dots: u8,
    other: bool,
    cut: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        if self.cut {
            return;
        }
        match byte {
            b'.' if !self.other => self.dots = self.dots.saturating_add(1),
            b';' => self.cut = true,
            _ => self.other = true,
        }
    }

    fn is_plain(&self) -> bool {
        self.other || !matches!(self.dots, 1 | 2)
    }
}

#[cfg(test)]
mod tests;
