//! The few values of `format` that are checked; all others only describe.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Uuid,
    Date,
    DateTime,
}

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "uuid" => Some(Self::Uuid),
            "date" => Some(Self::Date),
            "date-time" => Some(Self::DateTime),
            _ => None,
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Uuid => "must be a UUID",
            Self::Date => "must be a date such as 2026-11-22",
            Self::DateTime => "must be a time such as 2026-11-22T08:30:00Z",
        }
    }

    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Uuid => is_uuid(text.as_bytes()),
            Self::Date => is_date(text.as_bytes()),
            Self::DateTime => is_date_time(text.as_bytes()),
        }
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_date(text: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return false };
    let numbers = (number(&[*y1, *y2, *y3, *y4]), number(&[*m1, *m2]), number(&[*d1, *d2]));
    let (Some(year), Some(month), Some(day)) = numbers else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// RFC 3339; the second 60 is taken at any minute, since leap seconds are not known ahead.
fn is_date_time(text: &[u8]) -> bool {
    let Some((date, [b'T' | b't' | b' ', time @ ..])) = text.split_at_checked(10) else {
        return false;
    };
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = time else { return false };
    let within = |digits: [u8; 2], most| number(&digits).is_some_and(|value| value <= most);
    if !is_date(date) || !within([*h1, *h2], 23) || !within([*m1, *m2], 59) {
        return false;
    }
    if !within([*s1, *s2], 60) {
        return false;
    }
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        rest => rest,
    };
    match zone {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => within([*h1, *h2], 23) && within([*m1, *m2], 59),
        _ => false,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0'))
    })
}
