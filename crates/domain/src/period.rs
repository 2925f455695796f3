//! Billing periods: which half-open span [start, end) of UTC time a moment belongs to.
//!
//! Periods of an anchor tile time without gap or overlap, and each is computed from the anchor
//! itself, never from its neighbour: an anniversary on the 31st falls on the last day of a shorter
//! month and returns to the 31st. A period belongs to the month of its last instant (end − 1 µs),
//! so every period is invoiced by exactly one month's run. Times outside the years −9000 to 9000
//! are treated as the nearest bound.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, civil};
use serde::{Deserialize, Serialize};

use crate::time::{MICROS_PER_SECOND, Timestamp};

/// What the periods of a subscription are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// Calendar months, UTC.
    Calendar,
    /// Months counted from this moment.
    Anniversary(Timestamp),
}

/// A half-open span: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// A period as it is billed: cut at the subscription's start and end, with the whole period that it
/// is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BilledPeriod {
    pub period: Period,
    pub full: Period,
}

/// A calendar month, written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no month: write it like 2026-11")]
pub struct MonthError(String);

const MICROS_PER_YEAR: i64 = 31_556_952 * MICROS_PER_SECOND;
const TIME_BOUND: i64 = 9_000 * MICROS_PER_YEAR - 1_970 * MICROS_PER_YEAR;

/// The period that `at` lies in.
pub fn period_at(anchor: Anchor, at: Timestamp) -> Period {
    let at = clamp(at);
    let origin = origin_of(anchor, at);
    let now = civil_of(at);
    let index = months_between(origin, now);
    let index = if boundary(origin, index) > at { index - 1 } else { index };
    Period { start: boundary(origin, index), end: boundary(origin, index + 1) }
}

/// The periods of a subscription that ran from `started_at` (to `ended_at`) whose last instant lies
/// in `month`, oldest first. The first period starts at `started_at`; the last one ends at
/// `ended_at`.
pub fn periods_ending_in_month(
    anchor: Anchor,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    month: Month,
) -> Vec<BilledPeriod> {
    let span = month.period();
    let mut billed = Vec::new();
    let mut full = period_at(anchor, span.start);
    while full.start < span.end {
        if let Some(period) = full.cut(started_at, ended_at)
            && span.contains(period.last_instant())
        {
            billed.push(BilledPeriod { period, full });
        }
        full = period_at(anchor, full.end);
    }
    billed
}

impl Period {
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The last microsecond that belongs to the period.
    pub fn last_instant(&self) -> Timestamp {
        self.end.plus_micros(-1)
    }

    /// Length in whole seconds. Both ends are rounded down, so that adjoining parts add up to the
    /// whole.
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.end.secs() - self.start.secs()).unwrap_or(0)
    }

    /// The part from `started_at` to `ended_at`, or nothing if that is empty.
    pub fn cut(&self, started_at: Timestamp, ended_at: Option<Timestamp>) -> Option<Self> {
        let start = self.start.max(started_at);
        let end = ended_at.map_or(self.end, |ended_at| self.end.min(ended_at));
        (start < end).then_some(Self { start, end })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.start.rfc3339(), self.end.rfc3339())
    }
}

impl Month {
    /// The month that `at` lies in, UTC.
    pub fn at(at: Timestamp) -> Self {
        let now = civil_of(clamp(at));
        Self { year: now.year(), month: now.month() }
    }

    pub fn year(self) -> i16 {
        self.year
    }

    pub fn period(self) -> Period {
        period_at(Anchor::Calendar, micros_of(civil::date(self.year, self.month, 1).at(0, 0, 0, 0)))
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let wrong = || MonthError(text.chars().take(16).collect());
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(wrong());
        }
        let year: i16 = year.parse().map_err(|_| wrong())?;
        let month: i8 = month.parse().map_err(|_| wrong())?;
        if (1..=12).contains(&month) && (1..=8999).contains(&year) {
            Ok(Self { year, month })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

fn clamp(at: Timestamp) -> Timestamp {
    Timestamp(at.0.clamp(-TIME_BOUND, TIME_BOUND))
}

/// The moment that boundaries are counted from: the first of the month, or the anniversary's own
/// start.
fn origin_of(anchor: Anchor, at: Timestamp) -> DateTime {
    match anchor {
        Anchor::Calendar => civil_of(at).first_of_month().date().at(0, 0, 0, 0),
        Anchor::Anniversary(start) => civil_of(clamp(start)),
    }
}

fn months_between(origin: DateTime, now: DateTime) -> i32 {
    let years = i32::from(now.year()) - i32::from(origin.year());
    years * 12 + i32::from(now.month()) - i32::from(origin.month())
}

/// The start of the period with this index. Adding months to a civil date falls back to the last
/// day of a shorter month.
fn boundary(origin: DateTime, index: i32) -> Timestamp {
    let at = origin.checked_add(Span::new().months(index));
    micros_of(at.expect("clamped times plus one period stay in the calendar's range"))
}

fn civil_of(at: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(at.civil())
}

fn micros_of(at: DateTime) -> Timestamp {
    let at = TimeZone::UTC.to_timestamp(at).expect("clamped times are in the calendar's range");
    Timestamp(at.as_microsecond())
}

#[cfg(test)]
mod tests;
