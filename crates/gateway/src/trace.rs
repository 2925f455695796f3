//! W3C Trace Context, as it passes: a `traceparent` that is not of the recommended form means nothing to anybody and
//! goes no further, nor does the `tracestate` beside it. A call that we record (`spans`) goes upstream as ours.

use crate::fields::{Fields, Name};
use crate::identity::hex;

/// `00-` trace `-` parent `-` flags.
const LENGTH: usize = 55;
/// Who sent it records it.
const SAMPLED: u8 = 1;
/// The end of the trace's id is random.
const RANDOM: u8 = 2;

/// What a `traceparent` says, in digits.
struct Parts<'v> {
    trace: &'v [u8],
    parent: &'v [u8],
    flags: &'v [u8],
}

/// Where a request stands in the trace of who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub trace: u128,
    pub span: u64,
    flags: u8,
}

/// A request that we record: its trace, and our part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub trace: u128,
    pub span: u64,
    /// The span of who sent it.
    pub parent: Option<u64>,
    pub flags: u8,
}

/// The 32 digits of the request's trace, if it says of which it is part, once and well formed.
pub(crate) fn id(fields: &Fields) -> Option<&[u8]> {
    fields.only(Name::TraceParent).and_then(parts).map(|parts| parts.trace)
}

/// The same, taken apart.
pub(crate) fn parent(fields: &Fields) -> Option<Parent> {
    let parts = parts(fields.only(Name::TraceParent)?)?;
    let text = |digits| std::str::from_utf8(digits).ok();
    Some(Parent {
        trace: u128::from_str_radix(text(parts.trace)?, 16).ok()?,
        span: u64::from_str_radix(text(parts.parent)?, 16).ok()?,
        flags: u8::from_str_radix(text(parts.flags)?, 16).ok()?,
    })
}

impl Parent {
    pub(crate) fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Our part, whose id is `span`.
    pub(crate) fn continued(self, span: u64) -> Context {
        let flags = self.flags & RANDOM | SAMPLED;
        Context { trace: self.trace, span, parent: Some(self.span), flags }
    }
}

impl Context {
    /// A trace that begins with us.
    pub(crate) fn begun(trace: u128, span: u64) -> Self {
        Self { trace, span, parent: None, flags: SAMPLED }
    }

    /// Writes the field that makes us the parent of whatever is done upstream.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        for part in [
            &b"traceparent: 00-"[..],
            &hex::<16, 32>(self.trace.to_be_bytes()),
            b"-",
            &hex::<8, 16>(self.span.to_be_bytes()),
            b"-",
            &hex::<1, 2>([self.flags]),
            b"\r\n",
        ] {
            out.extend_from_slice(part);
        }
    }
}

/// Later versions may append to the form, never change it.
fn parts(value: &[u8]) -> Option<Parts<'_>> {
    let (form, rest) = value.split_at_checked(LENGTH)?;
    let part = |from: usize, to: usize| {
        let digits = &form[from..to];
        let is_hex = digits.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        is_hex.then_some(digits)
    };
    let (version, trace) = (part(0, 2)?, part(3, 35)?);
    let (parent, flags) = (part(36, 52)?, part(53, 55)?);
    let ends = match version {
        b"00" => rest.is_empty(),
        b"ff" => false,
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    let parted = [2, 35, 52].into_iter().all(|at| form[at] == b'-');
    let is_set = |digits: &[u8]| digits.iter().any(|digit| *digit != b'0');
    (ends && parted && is_set(trace) && is_set(parent)).then_some(Parts { trace, parent, flags })
}

#[cfg(test)]
mod tests {
    use super::{Context, Parent, parts};

    fn trace_of(value: &[u8]) -> Option<&[u8]> {
        parts(value).map(|parts| parts.trace)
    }

    #[test]
    fn a_call_that_is_recorded_goes_on_as_ours() {
        let parent = Parent { trace: 0xabc, span: 1, flags: 0xff };
        let mut out = Vec::new();
        parent.continued(0x2a).write(&mut out);
        Context::begun(1, 2).write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "traceparent: 00-00000000000000000000000000000abc-000000000000002a-03\r\n\
             traceparent: 00-00000000000000000000000000000001-0000000000000002-01\r\n"
        );
    }

    #[test]
    fn only_the_recommended_form_names_a_trace() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let with = |version: &str, rest: &str| {
            format!("{version}-{trace}-b7ad6b7169203331-01{rest}").into_bytes()
        };
        for right in [with("00", ""), with("01", ""), with("cc", "-what-the-future")] {
            assert_eq!(trace_of(&right), Some(trace.as_bytes()));
        }
        let upper = with("00", "").to_ascii_uppercase();
        let other = String::from_utf8(with("00", "")).unwrap();
        for wrong in [
            with("00", "-x"),
            with("ff", ""),
            with("cc", "x"),
            upper,
            other.replace(trace, &"0".repeat(32)).into_bytes(),
            other.replace("b7ad6b7169203331", "0000000000000000").into_bytes(),
            other.replace('-', "_").into_bytes(),
            other.as_bytes()[..54].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(trace_of(&wrong), None, "{}", String::from_utf8_lossy(&wrong));
        }
    }
}
