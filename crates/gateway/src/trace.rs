//! W3C Trace Context, as it passes: a `traceparent` that is not of the recommended form means nothing to anybody and
//! goes no further, nor does the `tracestate` beside it.

use crate::fields::{Fields, Name};

/// `00-` trace `-` parent `-` flags.
const LENGTH: usize = 55;

/// The 32 digits of the request's trace, if it says of which it is part, once and well formed.
pub(crate) fn id(fields: &Fields) -> Option<&[u8]> {
    fields.only(Name::TraceParent).and_then(trace_of)
}

/// Later versions may append to the form, never change it.
fn trace_of(value: &[u8]) -> Option<&[u8]> {
    let (form, rest) = value.split_at_checked(LENGTH)?;
    let part = |from: usize, to: usize| {
        let digits = &form[from..to];
        let is_hex = digits.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        is_hex.then_some(digits)
    };
    let (version, trace) = (part(0, 2)?, part(3, 35)?);
    let (parent, _flags) = (part(36, 52)?, part(53, 55)?);
    let ends = match version {
        b"00" => rest.is_empty(),
        b"ff" => false,
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    let parted = [2, 35, 52].into_iter().all(|at| form[at] == b'-');
    let is_set = |digits: &[u8]| digits.iter().any(|digit| *digit != b'0');
    (ends && parted && is_set(trace) && is_set(parent)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::trace_of;

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
