//! How numbers, money and times read. Every number on a page gets its unit from its caller.

use keytoll_domain::money::{Currency, Minor};
use keytoll_domain::time::{MICROS_PER_DAY, Timestamp};
use maud::{Markup, html};
use rust_decimal::Decimal;

/// `12480` → `12,480`.
pub fn count(number: u64) -> String {
    group(&number.to_string())
}

/// `1 call`, `12,480 calls`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// For the scale of a chart: `950`, `12k`, `1.5M`.
pub fn brief(number: u64) -> String {
    for (size, letter) in [(1_000_000_000, 'G'), (1_000_000, 'M'), (1_000, 'k')] {
        if number >= size {
            let tenths = (number / (size / 10)) % 10;
            let whole = number / size;
            let short = tenths == 0 || whole >= 100;
            return if short {
                format!("{whole}{letter}")
            } else {
                format!("{whole}.{tenths}{letter}")
            };
        }
    }
    number.to_string()
}

/// `$49.00`, `CHF 49.00`.
pub fn money(amount: Minor, currency: Currency) -> String {
    let text = amount.major_text(currency);
    match text.strip_prefix('-') {
        Some(positive) => format!("−{}{}", sign(currency), group(positive)),
        None => format!("{}{}", sign(currency), group(&text)),
    }
}

/// A price as the catalogue says it, with at least the currency's places: `$3.00`, `$0.0015`.
pub fn price(amount: Decimal, currency: Currency) -> String {
    let amount = amount.normalize();
    let places = amount.scale().max(currency.exponent());
    let mut shown = amount;
    shown.rescale(places);
    format!("{}{}", sign(currency), group(&shown.to_string()))
}

/// A quantity without needless zeros.
pub fn quantity(amount: Decimal) -> String {
    group(&amount.normalize().to_string())
}

fn sign(currency: Currency) -> String {
    match currency.code() {
        "USD" => "$".into(),
        "EUR" => "€".into(),
        "GBP" => "£".into(),
        code => format!("{code}\u{a0}"),
    }
}

/// Puts a comma after every third digit of the whole part.
fn group(number: &str) -> String {
    let (whole, rest) = number.find('.').map_or((number, ""), |dot| number.split_at(dot));
    let mut grouped = String::with_capacity(number.len() + 4);
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// `21 Nov 2026`.
pub fn date(at: Timestamp) -> String {
    at.civil().strftime("%-d %b %Y").to_string()
}

/// `21 Nov 2026, 14:05 UTC`.
pub fn date_time(at: Timestamp) -> String {
    at.civil().strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// `30 Nov 2026, 12:00:05`, UTC.
pub fn to_the_second(at: Timestamp) -> String {
    at.civil().strftime("%-d %b %Y, %H:%M:%S").to_string()
}

/// `2 hours ago`, `in 3 days`; a date when it is more than 60 days away.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let micros = now.0.saturating_sub(at.0);
    if micros.saturating_abs() > 60 * MICROS_PER_DAY {
        return date(at);
    }
    let secs = micros.saturating_abs() / 1_000_000;
    let (amount, unit) = match secs {
        0..45 => return if micros >= 0 { "just now".into() } else { "in a moment".into() },
        45..90 => (1, "minute"),
        90..3_600 => (secs / 60, "minute"),
        3_600..86_400 => (secs / 3_600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    let plural = if amount == 1 { "" } else { "s" };
    if micros >= 0 {
        format!("{amount} {unit}{plural} ago")
    } else {
        format!("in {amount} {unit}{plural}")
    }
}

/// A relative time whose exact value is in the tooltip and for machines.
pub fn when(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at.rfc3339()) title=(date_time(at)) { (relative(at, now)) } }
}

/// A day with its exact time in the tooltip.
pub fn day(at: Timestamp) -> Markup {
    html! { time datetime=(at.rfc3339()) title=(date_time(at)) { (date(at)) } }
}

#[cfg(test)]
mod tests;
