//! Spend caps: how many units of a period cost no more than an amount.
//!
//! The answer is found by asking [`rate_period`], which makes the invoice, so that cap and invoice cannot
//! disagree. A rated total never falls when units are added, which makes a binary search exact.

use super::{PlanPrice, rate_period, total};
use crate::money::Minor;
use crate::period::BilledPeriod;

/// The most units whose rated total for the period is not above `cap_minor`. 0 when the fee alone is above
/// it (or the price cannot be rated); `u64::MAX` when no number of units reaches it.
///
/// A rating that fails because an amount is too large counts as above the cap: a cap has at most
/// [`crate::money::MAX_PRICE_MAJOR`], and amounts up to there have room for all their digits.
pub fn units_within(price: &PlanPrice, cap_minor: u64, billed: BilledPeriod) -> u64 {
    let cap = Minor(i64::try_from(cap_minor).unwrap_or(i64::MAX));
    let within = |units| {
        let lines = rate_period(price, billed.period, billed.full, units);
        lines.is_ok_and(|lines| total(&lines).is_ok_and(|total| total <= cap))
    };
    if !within(0) {
        return 0;
    }
    if within(u64::MAX) {
        return u64::MAX;
    }
    let (mut inside, mut above) = (0, u64::MAX);
    while above - inside > 1 {
        let middle = inside + (above - inside) / 2;
        if within(middle) {
            inside = middle;
        } else {
            above = middle;
        }
    }
    inside
}

#[cfg(test)]
mod tests;
