//! Tiers: their order, and what a quantity costs through them.
//!
//! Zero usage of a period still charges the flat fee of the first tier, once: not again when
//! something of the period was billed before.
//!
//! The two tier models are those of Stripe's tiered pricing (docs.stripe.com,
//! subscriptions/pricing-models/tiered-pricing); the flat fee without usage follows getlago/lago-api,
//! `spec/services/charge_models/graduated_service_spec.rb`.

use rust_decimal::Decimal;

use super::price::Tier;
use super::usage::{AlreadyBilled, Charge};
use super::{LineKind, RatingError};
use crate::money::{MoneyError, add_exact, mul_exact};

/// Units `first` to `last`, both included, counted from 1; no `last`: no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitRange {
    pub first: u64,
    pub last: Option<u64>,
}

/// Ranges must follow each other without overlap. Gaps are allowed: their units cost nothing.
pub fn check_ranges(ranges: &[UnitRange]) -> Result<(), RatingError> {
    let mut taken = Some(0);
    for (number, range) in (1..).zip(ranges) {
        if range.first == 0 || range.last.is_some_and(|last| last < range.first) {
            return Err(RatingError::RangeEmpty { number });
        }
        if taken.is_none_or(|taken| range.first <= taken) {
            return Err(RatingError::RangeOverlap { number });
        }
        taken = range.last;
    }
    Ok(())
}

/// Tier ends must ascend from above zero, and only the last may be absent.
pub(super) fn check_ends(ends: impl Iterator<Item = Option<Decimal>>) -> Result<(), RatingError> {
    let mut before = Some(Decimal::ZERO);
    let mut count = 0;
    for (number, end) in (1..).zip(ends) {
        count = number;
        let Some(start) = before else {
            return Err(RatingError::TierAfterEnd { number: number - 1 });
        };
        if end.is_some_and(|end| end <= start) {
            return Err(RatingError::TierOrder { number });
        }
        before = end;
    }
    if count == 0 { Err(RatingError::NoTiers) } else { Ok(()) }
}

/// One charge for each tier that the new units reach. `share` turns a tier's unit price into what a
/// unit costs: 1 for prices, 1/100 for percentages.
pub(super) fn graduated(
    tiers: &[Tier],
    quantity: Decimal,
    already: &AlreadyBilled,
    share: Decimal,
) -> Result<Vec<Charge>, RatingError> {
    let total = total_within(tiers, quantity, already)?;
    let mut charges = Vec::new();
    let mut start = Decimal::ZERO;
    for (number, tier) in (1..).zip(tiers) {
        let first_use = number == 1 && already.is_nothing();
        let from = start.max(already.quantity);
        let to = tier.up_to.map_or(total, |end| end.min(total));
        let units = (to - from).max(Decimal::ZERO);
        let entered =
            first_use || (number > 1 && units > Decimal::ZERO && already.quantity <= start);
        let flat = if entered { tier.flat } else { Decimal::ZERO };
        if !units.is_zero() || !flat.is_zero() {
            let price = mul_exact(tier.unit, share)?;
            charges.push(Charge {
                kind: LineKind::Usage,
                description: describe(number, start, tier),
                quantity: units,
                unit_price: price,
                gross: add_exact(mul_exact(units, price)?, flat)?,
            });
        }
        let Some(end) = tier.up_to else { break };
        start = end;
    }
    Ok(charges)
}

/// What the tier of the total says for all units, less what the units billed before came to.
pub(super) fn volume(
    tiers: &[Tier],
    quantity: Decimal,
    already: &AlreadyBilled,
) -> Result<Vec<Charge>, RatingError> {
    let total = total_within(tiers, quantity, already)?;
    let (number, tier) = tier_of(tiers, total).ok_or(RatingError::NoTiers)?;
    let before =
        if already.is_nothing() { Decimal::ZERO } else { volume_cost(tiers, already.quantity)? };
    let gross = add_exact(volume_cost(tiers, total)?, -before)?;
    if gross.is_zero() && quantity.is_zero() {
        return Ok(Vec::new());
    }
    let description = format!("Tier {number} for all units");
    let unit_price = tier.unit;
    Ok(vec![Charge { kind: LineKind::Usage, description, quantity: total, unit_price, gross }])
}

fn volume_cost(tiers: &[Tier], total: Decimal) -> Result<Decimal, RatingError> {
    let (_, tier) = tier_of(tiers, total).ok_or(RatingError::NoTiers)?;
    Ok(add_exact(mul_exact(total, tier.unit)?, tier.flat)?)
}

fn tier_of(tiers: &[Tier], total: Decimal) -> Option<(usize, &Tier)> {
    (1..).zip(tiers).find(|(_, tier)| tier.up_to.is_none_or(|end| total <= end))
}

fn total_within(
    tiers: &[Tier],
    quantity: Decimal,
    already: &AlreadyBilled,
) -> Result<Decimal, RatingError> {
    let total = already.quantity.checked_add(quantity).ok_or(MoneyError::TooLarge)?;
    match tiers.last().and_then(|tier| tier.up_to) {
        Some(end) if total > end => Err(RatingError::BeyondLastTier { quantity: total, end }),
        _ => Ok(total),
    }
}

fn describe(number: usize, start: Decimal, tier: &Tier) -> String {
    let start = start.normalize();
    match tier.up_to {
        Some(end) => format!("Tier {number}, above {start} to {}", end.normalize()),
        None => format!("Tier {number}, above {start}"),
    }
}
