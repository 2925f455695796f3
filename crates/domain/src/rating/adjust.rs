//! What happens to a fee around the edges: parts of a period, plan changes, credit notes, true-ups,
//! tax.
//!
//! Each function makes one line's amount and rounds it once, half away from zero. Tax is taken from
//! the rounded line.
//!
//! Plan changes by the second follow 3scale/porta, `features/finance`; started days, credit notes and
//! true-ups follow getlago/lago-api, `spec/scenarios`.

use rust_decimal::Decimal;

use super::price::check_percent;
use super::{RatingError, Share, check_member};
use crate::money::{Currency, Minor, mul_exact};
use crate::period::Period;
use crate::time::Timestamp;

/// The three lines of a change of plan within a period that is paid in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanChange {
    /// The old plan's fee, from its start to the end of the period.
    pub old_fee: Minor,
    /// The unused part of it, negative.
    pub refund: Minor,
    /// The new plan's fee for what remains of the period.
    pub new_fee: Minor,
}

/// What is given back of a fee, with the tax that was on it; all positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditNote {
    pub net: Minor,
    pub tax: Minor,
    pub total: Minor,
}

/// A share of a fee.
pub fn prorate(fee: Decimal, share: Share, currency: Currency) -> Result<Minor, RatingError> {
    check_member("fee", fee)?;
    Ok(share.round_minor(fee, currency)?)
}

/// The share of `full` by started UTC days, for agreements that count days: both the first and the
/// last day count whole.
pub fn days_share(period: Period, full: Period) -> Result<Share, RatingError> {
    Share::of(period, full)?;
    Share::new(started_days(period), started_days(full))
}

/// Moves from one fee to another at `at`; `started_at` is when the old fee began within `full`.
pub fn change_plan(
    old_fee: Decimal,
    new_fee: Decimal,
    full: Period,
    started_at: Timestamp,
    at: Timestamp,
    currency: Currency,
) -> Result<PlanChange, RatingError> {
    let from = |start| Share::of(Period { start, end: full.end }, full);
    let (whole, rest) = (from(started_at)?, from(at)?);
    if at < started_at {
        return Err(RatingError::Period);
    }
    Ok(PlanChange {
        old_fee: prorate(old_fee, whole, currency)?,
        refund: prorate(old_fee, rest, currency)?.checked_neg()?,
        new_fee: prorate(new_fee, rest, currency)?,
    })
}

/// Gives back the unused share of a fee, and the tax on what is given back.
pub fn credit_note(
    fee: Decimal,
    unused: Share,
    tax_percent: Decimal,
    currency: Currency,
) -> Result<CreditNote, RatingError> {
    let net = prorate(fee, unused, currency)?;
    let tax = tax(net, tax_percent, currency)?;
    Ok(CreditNote { net, tax, total: net.checked_add(tax)? })
}

/// What is missing from `billed` to this share of the minimum spend; zero when nothing is.
pub fn true_up(
    minimum: Decimal,
    share: Share,
    billed: Minor,
    currency: Currency,
) -> Result<Minor, RatingError> {
    let least = prorate(minimum, share, currency)?;
    Ok(least.checked_sub(billed)?.max(Minor::ZERO))
}

/// Tax on one line, after its discounts.
pub fn tax(line: Minor, percent: Decimal, currency: Currency) -> Result<Minor, RatingError> {
    check_percent(percent)?;
    let exact = mul_exact(line.to_major(currency), mul_exact(percent, Decimal::new(1, 2))?)?;
    Ok(Minor::from_major(exact, currency)?)
}

fn started_days(period: Period) -> u64 {
    if period.start >= period.end {
        return 0;
    }
    let days = i64::from(period.last_instant().day().0) - i64::from(period.start.day().0) + 1;
    u64::try_from(days).unwrap_or(0)
}

#[cfg(test)]
mod tests;
