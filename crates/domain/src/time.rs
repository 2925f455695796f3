//! Points in time: microseconds since 1970-01-01 UTC, as stored and as journalled.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Microseconds since the Unix epoch, UTC. Ordered, copied, never local.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A UTC day, counted from 1970-01-01.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub i32);

/// A text that is no RFC 3339 time, or no `YYYY-MM-DD` day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {expected}: write it like {example}")]
pub struct TimeError {
    expected: &'static str,
    example: &'static str,
}

impl Timestamp {
    pub fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(MICROS_PER_SECOND))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    #[must_use]
    pub fn plus_secs(self, secs: i64) -> Self {
        self.plus_micros(secs.saturating_mul(MICROS_PER_SECOND))
    }

    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_micros(days.saturating_mul(MICROS_PER_DAY))
    }

    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX))
    }

    /// RFC 3339 in UTC, with as many decimals as the value has.
    pub fn rfc3339(self) -> String {
        self.civil().to_string()
    }

    /// As HTTP's `Date` field has it (RFC 9110, section 5.6.7), with its second.
    pub fn http_date(self) -> String {
        self.civil().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// The jiff value; times outside its range (years −9999 to 9999) are clamped.
    pub fn civil(self) -> jiff::Timestamp {
        let bounds = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            bounds.0
        } else {
            bounds.1
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_microsecond()))
            .map_err(|_| TimeError { expected: "RFC 3339 time", example: "2026-11-30T12:00:00Z" })
    }
}

impl Day {
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0) * MICROS_PER_DAY)
    }

    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    fn date(self) -> Date {
        self.start().civil().to_zoned(TimeZone::UTC).date()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl FromStr for Day {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = TimeError { expected: "day", example: "2026-11-30" };
        let date: Date = text.parse().map_err(|_| error.clone())?;
        let zoned = date.to_zoned(TimeZone::UTC).map_err(|_| error)?;
        Ok(Timestamp(zoned.timestamp().as_microsecond()).day())
    }
}

#[cfg(test)]
mod tests;
