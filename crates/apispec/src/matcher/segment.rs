//! One segment of a template: literal, parameter, or a mixture of both.

use crate::pointer::decode_byte;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SegmentKind {
    /// Percent-decoded.
    Literal(Vec<u8>),
    Parameter,
    Pattern(Pattern),
}

/// Literal parts with parameters between them; every parameter takes at least one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    prefix: Vec<u8>,
    /// Literals that follow the first, second, … parameter; the last may be empty.
    after: Vec<Vec<u8>>,
}

/// Splits at slashes that are not inside braces.
pub(crate) fn split_template(path: &str) -> impl Iterator<Item = &str> {
    let mut in_braces = false;
    path.split(move |character| {
        match character {
            '{' => in_braces = true,
            '}' => in_braces = false,
            _ => {}
        }
        character == '/' && !in_braces
    })
}

pub(super) fn parse(segment: &str) -> SegmentKind {
    if segment.len() > 1 && segment.starts_with(':') {
        return SegmentKind::Parameter;
    }
    let mut literals: Vec<Vec<u8>> = Vec::new();
    let mut rest = segment;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        let adjacent = literal.is_empty() && !literals.is_empty();
        if !adjacent {
            literals.push(decode(literal));
        }
        rest = after;
    }
    let last = decode(rest);
    if literals.is_empty() {
        return SegmentKind::Literal(last);
    }
    if literals.len() == 1 && literals[0].is_empty() && last.is_empty() {
        return SegmentKind::Parameter;
    }
    let prefix = literals.remove(0);
    literals.push(last);
    SegmentKind::Pattern(Pattern { prefix, after: literals })
}

fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = decode_byte(rest) {
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// Whether a segment is empty, `.` or `..`, in any encoding.
pub(super) fn is_empty_or_dots(segment: &[u8]) -> bool {
    let mut rest = segment;
    for _ in 0..2 {
        match decode_byte(rest) {
            None => return true,
            Some((b'.', after)) => rest = after,
            Some(_) => return false,
        }
    }
    rest.is_empty()
}

impl Pattern {
    pub(super) fn literal_bytes(&self) -> usize {
        self.prefix.len() + self.after.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether an encoded segment fits; each literal is taken where it occurs first, the last one
    /// at the end.
    pub(super) fn matches(&self, segment: &[u8]) -> bool {
        let Some(mut rest) = strip(segment, &self.prefix) else { return false };
        let (last, middle) = self.after.split_last().expect("a pattern has a parameter");
        for literal in middle {
            let Some(after) = find(rest, literal) else { return false };
            rest = after;
        }
        ends_with(rest, last)
    }
}

/// The rest of `text` behind `literal`, if it decodes to something that begins with it.
fn strip<'s>(text: &'s [u8], literal: &[u8]) -> Option<&'s [u8]> {
    let mut rest = text;
    for expected in literal {
        let (byte, after) = decode_byte(rest)?;
        if byte != *expected {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// Skips at least one byte and then the first occurrence of `literal`.
fn find<'s>(text: &'s [u8], literal: &[u8]) -> Option<&'s [u8]> {
    let (_, mut rest) = decode_byte(text)?;
    loop {
        if let Some(after) = strip(rest, literal) {
            return Some(after);
        }
        (_, rest) = decode_byte(rest)?;
    }
}

/// Whether at least one byte stands before `literal` at the end of `text`.
fn ends_with(text: &[u8], literal: &[u8]) -> bool {
    let Some((_, mut rest)) = decode_byte(text) else { return false };
    if literal.is_empty() {
        return true;
    }
    loop {
        if strip(rest, literal).is_some_and(<[u8]>::is_empty) {
            return true;
        }
        let Some((_, after)) = decode_byte(rest) else { return false };
        rest = after;
    }
}
