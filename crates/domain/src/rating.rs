//! Rating: (price, units, already billed) → invoice lines. Pure; the same input gives the same
//! bill.
//!
//! Quantities and prices stay exact decimals until a line is made; a line is rounded once, half
//! away from zero, and a period is rated as a whole, never in parts. [`rate_period`] rates what a
//! plan costs in one period (fee, included calls, overage) and is what invoices are made from.
//! [`rate`] rates one metered price of any model. What no caller may do is to round before a line
//! or to add up rated parts of a period.

mod adjust;
mod cap;
mod credits;
mod price;
mod tiers;
mod usage;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use self::adjust::{
    CreditNote, PlanChange, change_plan, credit_note, days_share, prorate, tax, true_up,
};
pub use self::cap::units_within;
pub use self::credits::{Credit, Settled, settle};
pub use self::price::{Model, PercentageTier, Price, Rounding, Tier, billed_units, round_to};
pub use self::tiers::{UnitRange, check_ranges};
pub use self::usage::{AlreadyBilled, ExactLine, Included, Rated, Usage, rate, use_included};
use crate::money::{Currency, Minor, MoneyError, check_price, mul_exact};
use crate::period::Period;

/// The most calls a plan may include, as for quotas.
pub const MAX_INCLUDED_CALLS: u64 = 1_000_000_000_000_000;
/// `overage_per_1000` has three places fewer than a unit price, so that the price of one call has
/// at most 12.
const OVERAGE_PLACES: u32 = 9;
const THOUSAND: u64 = 1000;

/// What a plan costs, as stored (JSON, prices as decimal text) within a plan version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPrice {
    pub currency: Currency,
    /// Major units, for a full period.
    pub price_monthly: Decimal,
    /// Units of a full period that the fee covers.
    #[serde(default)]
    pub included_calls: u64,
    /// Major units for 1000 units above the included ones; absent: they cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overage_per_1000: Option<Decimal>,
    #[serde(default)]
    pub overage: Overage,
}

/// How units above the included ones are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overage {
    /// Each call costs a thousandth of the price.
    #[default]
    ProRata,
    /// Each started thousand costs the whole price.
    Package,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// The fee of the period.
    Base,
    /// Units above the included ones.
    Overage,
    /// A metered price or one tier of it.
    Usage,
    /// What is missing to the minimum spend.
    Minimum,
    /// The unused part of a fee that was billed before.
    Refund,
}

/// One line of an invoice. `amount_minor` is what the line adds to the total: after its discount,
/// before tax.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub kind: LineKind,
    pub description: String,
    /// Decimal text; a prorated fee has the share of the period here (12 places).
    pub quantity: Decimal,
    /// Major units, decimal text.
    pub unit_price: Decimal,
    pub amount_minor: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    #[error("{member}: {source}")]
    Price { member: &'static str, source: MoneyError },
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error("included_calls is above {MAX_INCLUDED_CALLS}")]
    IncludedTooLarge,
    #[error("the billed period is empty or not within the full period")]
    Period,
    #[error("{0} is negative: a quantity is zero or more")]
    NegativeQuantity(Decimal),
    #[error("{0} must be above zero")]
    NotPositive(&'static str),
    #[error("a percentage is from 0 to 100, not {0}")]
    Percentage(Decimal),
    #[error("the minimum {minimum} is above the maximum {maximum}")]
    MinimumAboveMaximum { minimum: Decimal, maximum: Decimal },
    #[error("a tiered price needs at least one tier")]
    NoTiers,
    #[error("tier {number}: its end must be above the end of the tier before")]
    TierOrder { number: usize },
    #[error("tier {number}: only the last tier may be without end")]
    TierAfterEnd { number: usize },
    #[error("{quantity} units are beyond the last tier, which ends at {end}")]
    BeyondLastTier { quantity: Decimal, end: Decimal },
    #[error("range {number} is no range: the first unit is 1 or more and not after the last")]
    RangeEmpty { number: usize },
    #[error("range {number} overlaps or precedes an earlier one")]
    RangeOverlap { number: usize },
}

impl PlanPrice {
    pub fn validate(&self) -> Result<(), RatingError> {
        check_member("price_monthly", self.price_monthly)?;
        if let Some(price) = self.overage_per_1000 {
            check_member("overage_per_1000", price)?;
            check_places("overage_per_1000", price, OVERAGE_PLACES)?;
        }
        if self.included_calls > MAX_INCLUDED_CALLS {
            return Err(RatingError::IncludedTooLarge);
        }
        Ok(())
    }

    /// The units that the fee covers in `period`, a part of `full`: by the second, rounded up to a
    /// whole call.
    pub fn included_in(&self, period: Period, full: Period) -> Result<u64, RatingError> {
        Ok(Share::of(period, full)?.ceil_units(self.included_calls))
    }
}

/// What a plan costs for `period`, with all the units of that period at once. `full` is the whole
/// period that `period` is a part of; fee and included calls are prorated by the second. The fee
/// has a line even when it is zero; overage has one when there is any and it is priced.
pub fn rate_period(
    price: &PlanPrice,
    period: Period,
    full: Period,
    units: u64,
) -> Result<Vec<Line>, RatingError> {
    price.validate()?;
    let share = Share::of(period, full)?;
    let mut lines = vec![base_line(price, share)?];
    let included = share.ceil_units(price.included_calls);
    let over = units.saturating_sub(included);
    if let Some(per_1000) = price.overage_per_1000
        && over > 0
    {
        lines.push(overage_line(price, per_1000, included, over)?);
    }
    Ok(lines)
}

/// What the lines add up to.
pub fn total(lines: &[Line]) -> Result<Minor, MoneyError> {
    Minor::checked_sum(lines.iter().map(|line| Minor(line.amount_minor)))
}

fn base_line(price: &PlanPrice, share: Share) -> Result<Line, RatingError> {
    let description = if share.is_whole() {
        "Monthly fee".to_owned()
    } else {
        format!("Monthly fee, {} of {} seconds", share.part, share.whole)
    };
    Ok(Line {
        kind: LineKind::Base,
        description,
        quantity: share.decimal(),
        unit_price: price.price_monthly,
        amount_minor: share.round_minor(price.price_monthly, price.currency)?.0,
    })
}

fn overage_line(
    price: &PlanPrice,
    per_1000: Decimal,
    included: u64,
    over: u64,
) -> Result<Line, RatingError> {
    let (quantity, unit_price, name) = match price.overage {
        Overage::ProRata => (over, mul_exact(per_1000, Decimal::new(1, 3))?, "Calls"),
        Overage::Package => (over.div_ceil(THOUSAND), per_1000, "Started thousands of calls"),
    };
    let quantity = Decimal::from(quantity);
    let amount = mul_exact(quantity, unit_price)?;
    Ok(Line {
        kind: LineKind::Overage,
        description: format!("{name} above the {included} included"),
        quantity,
        unit_price,
        amount_minor: Minor::from_major(amount, price.currency)?.0,
    })
}

/// A part of a whole, in seconds or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    pub const WHOLE: Self = Self { part: 1, whole: 1 };

    pub fn new(part: u64, whole: u64) -> Result<Self, RatingError> {
        if part > whole || whole == 0 || whole > u64::from(u32::MAX) {
            return Err(RatingError::Period);
        }
        Ok(Self { part, whole })
    }

    /// The share of `full` that `period` is, by the second.
    pub fn of(period: Period, full: Period) -> Result<Self, RatingError> {
        let within =
            full.start <= period.start && period.start <= period.end && period.end <= full.end;
        if !within {
            return Err(RatingError::Period);
        }
        Self::new(period.seconds(), full.seconds())
    }

    pub fn is_whole(self) -> bool {
        self.part == self.whole
    }

    /// The share as a decimal of 12 places, for display.
    pub fn decimal(self) -> Decimal {
        let exact = Decimal::from(self.part) / Decimal::from(self.whole);
        crate::money::round_half_away(exact, crate::money::UNIT_PRICE_PLACES).normalize()
    }

    /// This share of an amount, with all digits that a decimal holds.
    pub fn of_amount(self, amount: Decimal) -> Result<Decimal, RatingError> {
        let scaled = mul_exact(amount, Decimal::from(self.part))?;
        Ok(scaled.checked_div(Decimal::from(self.whole)).ok_or(MoneyError::TooLarge)?)
    }

    /// This share of `amount` in minor units, rounded once from the exact fraction: with a quotient
    /// cut to 28 digits first, a value just beside a half could fall on the wrong side.
    pub fn round_minor(self, amount: Decimal, currency: Currency) -> Result<Minor, MoneyError> {
        let amount = amount.normalize();
        let power = |exponent: u32| 10_i128.checked_pow(exponent).ok_or(MoneyError::TooLarge);
        let scaled = power(currency.exponent())?
            .checked_mul(i128::from(self.part))
            .ok_or(MoneyError::TooLarge)?;
        let numerator = amount.mantissa().checked_mul(scaled).ok_or(MoneyError::TooLarge)?;
        let denominator = power(amount.scale())?
            .checked_mul(i128::from(self.whole))
            .ok_or(MoneyError::TooLarge)?;
        let (quotient, rest) = (numerator / denominator, numerator % denominator);
        let away = if rest.abs() >= denominator - rest.abs() { rest.signum() } else { 0 };
        i64::try_from(quotient + away).map(Minor).map_err(|_| MoneyError::TooLarge)
    }

    fn ceil_units(self, units: u64) -> u64 {
        let exact = (u128::from(units) * u128::from(self.part)).div_ceil(u128::from(self.whole));
        u64::try_from(exact).expect("a share of a number is not above it")
    }
}

fn check_member(member: &'static str, price: Decimal) -> Result<(), RatingError> {
    check_price(price).map_err(|source| RatingError::Price { member, source })
}

fn check_places(member: &'static str, value: Decimal, max: u32) -> Result<(), RatingError> {
    if value.normalize().scale() > max {
        return Err(RatingError::Price {
            member,
            source: MoneyError::TooManyPlaces { value, max },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
