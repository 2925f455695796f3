//! Dates as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`. The two obsolete forms count as unreadable, which
//! makes an answer stale rather than fresh.

const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
const SECS_PER_DAY: u64 = 86_400;

/// Unix seconds; `None` for anything else and for years before 1970.
pub(super) fn parse(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let fixed = |at: usize, what: &[u8]| text.get(at..at + what.len()) == Some(what);
    if text.len() != 29 || !fixed(3, b", ") || !fixed(25, b" GMT") {
        return None;
    }
    if ![7, 11, 16].iter().all(|at| text[*at] == b' ') || text[19] != b':' || text[22] != b':' {
        return None;
    }
    let (day, year) = (number(&text[5..7])?, number(&text[12..16])?);
    let month = MONTHS.chunks(3).position(|name| *name == text[8..11])? as u64 + 1;
    let (hour, minute, second) =
        (number(&text[17..19])?, number(&text[20..22])?, number(&text[23..25])?);
    if year < 1970 || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days(year, month, day) * SECS_PER_DAY + hour * 3_600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

/// Days since 1970-01-01. The year is counted from March, so that a leap day is its last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let of_year = (from_march * 153 + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719 468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + of_year - 719_468
}
