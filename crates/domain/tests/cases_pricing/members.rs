//! The members of a case's `price` or `given`. Each is taken once; what nobody took is an unknown
//! shape.

use std::fmt;

use keytoll_domain::money::{MoneyError, parse_decimal};
use keytoll_domain::period::{Anchor, Period, period_at};
use keytoll_domain::rating::{RatingError, Share};
use keytoll_domain::time::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

/// Why a case gave no results.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The domain refused the input: what a case with an expected error wants.
    Refused(String),
    UnknownModel(String),
    /// The runner does not know this shape.
    Shape(String),
}

pub(crate) struct Members {
    place: &'static str,
    map: Map<String, Value>,
    model: Option<String>,
}

impl Members {
    pub(crate) fn of(place: &'static str, value: &Value) -> Result<Self, Trouble> {
        let map = value.as_object().cloned();
        let map = map.ok_or_else(|| Trouble::Shape(format!("{place} is no object")))?;
        Ok(Self { place, map, model: None })
    }

    pub(crate) fn set_model(&mut self, model: &str) {
        self.model = Some(model.to_owned());
    }

    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name)
    }

    /// Everything that is left, for a type of the domain that knows its own members.
    pub(crate) fn take_rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.map)
    }

    pub(crate) fn finish(&self) -> Result<(), Trouble> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.shape(name, "is not understood")),
        }
    }

    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, Trouble> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.shape(name, "is no text")),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Trouble> {
        self.optional_text(name)?.ok_or_else(|| self.shape(name, "is missing"))
    }

    pub(crate) fn optional_decimal(&mut self, name: &str) -> Result<Option<Decimal>, Trouble> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => decimal(&value).map(Some),
        }
    }

    pub(crate) fn decimal(&mut self, name: &str) -> Result<Decimal, Trouble> {
        self.optional_decimal(name)?.ok_or_else(|| self.shape(name, "is missing"))
    }

    pub(crate) fn optional_whole(&mut self, name: &str) -> Result<Option<u64>, Trouble> {
        let Some(value) = self.optional_decimal(name)? else { return Ok(None) };
        let not_whole = || Trouble::Refused(format!("{name} {value} is no count"));
        value.normalize().to_string().parse().map(Some).map_err(|_| not_whole())
    }

    pub(crate) fn whole(&mut self, name: &str) -> Result<u64, Trouble> {
        self.optional_whole(name)?.ok_or_else(|| self.shape(name, "is missing"))
    }

    /// `name` in major units, or `name_cents` in hundredths of them.
    pub(crate) fn optional_amount(&mut self, name: &str) -> Result<Option<Decimal>, Trouble> {
        if let Some(cents) = self.optional_decimal(&format!("{name}_cents"))? {
            return Ok(Some(cents * Decimal::new(1, 2)));
        }
        self.optional_decimal(name)
    }

    pub(crate) fn amount(&mut self, name: &str) -> Result<Decimal, Trouble> {
        self.optional_amount(name)?.ok_or_else(|| self.shape(name, "is missing"))
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Value>, Trouble> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.shape(name, "is no list")),
        }
    }

    pub(crate) fn optional_time(&mut self, name: &str) -> Result<Option<Timestamp>, Trouble> {
        self.optional_text(name)?.map(|text| time(&text)).transpose()
    }

    /// `2017-01-01..2017-01-31`: both days are in the period.
    pub(crate) fn optional_period(&mut self, name: &str) -> Result<Option<Period>, Trouble> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        let (first, last) =
            text.split_once("..").ok_or_else(|| self.shape(name, "is no FIRST..LAST"))?;
        Ok(Some(Period { start: time(first)?, end: time(last)?.plus_days(1) }))
    }

    /// `part` of `period_days`, when the case counts days.
    pub(crate) fn optional_days(&mut self, part: &str) -> Result<Option<Share>, Trouble> {
        let Some(days) = self.optional_whole(part)? else { return Ok(None) };
        Ok(Some(Share::new(days, self.whole("period_days")?)?))
    }

    pub(crate) fn shape(&self, name: &str, what: &str) -> Trouble {
        Trouble::Shape(format!("{}.{name} {what}", self.place))
    }
}

/// A number or a text of one.
pub(crate) fn decimal(value: &Value) -> Result<Decimal, Trouble> {
    match value {
        Value::String(text) => Ok(parse_decimal(text)?),
        Value::Number(number) => Ok(parse_decimal(&number.to_string())?),
        _ => Err(Trouble::Shape(format!("{value} is no number"))),
    }
}

/// A time, or the midnight at which a day begins.
pub(crate) fn time(text: &str) -> Result<Timestamp, Trouble> {
    let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    text.parse().map_err(|error| Trouble::Shape(format!("{text}: {error}")))
}

/// The calendar period of one or more months that `at` lies in, counted from January.
pub(crate) fn calendar_period(months: u32, at: Timestamp) -> Period {
    let mut period = period_at(Anchor::Calendar, at);
    let month_of = |period: &Period| {
        let month: u32 = period.start.rfc3339()[5..7].parse().expect("a time has a month");
        month - 1
    };
    while !month_of(&period).is_multiple_of(months) {
        period.start = period_at(Anchor::Calendar, period.start.plus_micros(-1)).start;
    }
    let mut full = Period { start: period.start, end: period.start };
    for _ in 0..months {
        full.end = period_at(Anchor::Calendar, full.end).end;
    }
    full
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::UnknownModel(model) => write!(f, "unknown price model {model}"),
            Self::Shape(what) => write!(f, "unknown shape: {what}"),
        }
    }
}

impl From<RatingError> for Trouble {
    fn from(error: RatingError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<MoneyError> for Trouble {
    fn from(error: MoneyError) -> Self {
        Self::Refused(error.to_string())
    }
}
