//! One metered price and one quantity → lines.
//!
//! Order: charges of the model, percent discount, maximum, one rounding per line, minimum. The
//! minimum and the maximum look at rounded lines, so that an invoice that reaches one shows exactly
//! that amount.
//!
//! The order of discount, maximum and minimum is that of openmeterio/openmeter,
//! `openmeter/billing/rating/service/rate`.

use rust_decimal::Decimal;

use super::price::{Model, Price, Rounding, Tier, billed_units};
use super::tiers::{graduated, volume};
use super::{Line, LineKind, RatingError};
use crate::money::{Currency, Minor, MoneyError, mul_exact};

/// The quantity to rate now, and what was billed of the same price in the same period before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Units not billed before (for percentages: the metered amount).
    pub quantity: Decimal,
    /// Events behind the quantity; only percentages with a fee for each event look at it.
    pub events: u64,
    pub already: AlreadyBilled,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlreadyBilled {
    pub quantity: Decimal,
    /// Major units, after discounts.
    pub amount: Decimal,
}

/// The lines of a price with their exact values behind them, in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rated {
    pub lines: Vec<Line>,
    /// For each line: its exact amount before and its discount.
    pub exact: Vec<ExactLine>,
    pub total: Minor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactLine {
    pub gross: Decimal,
    pub discount: Decimal,
}

/// A quantity split by what a plan includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Included {
    pub billed: Decimal,
    pub covered: Decimal,
}

/// A line before discount and rounding.
pub(super) struct Charge {
    pub(super) kind: LineKind,
    pub(super) description: String,
    pub(super) quantity: Decimal,
    pub(super) unit_price: Decimal,
    pub(super) gross: Decimal,
}

impl AlreadyBilled {
    pub(super) fn is_nothing(&self) -> bool {
        self.quantity.is_zero() && self.amount.is_zero()
    }
}

impl Rated {
    pub fn gross(&self) -> Decimal {
        self.exact.iter().map(|line| line.gross).sum()
    }

    pub fn discount(&self) -> Decimal {
        self.exact.iter().map(|line| line.discount).sum()
    }

    /// The exact amount after discounts, before the rounding of lines.
    pub fn net(&self) -> Decimal {
        self.gross() - self.discount()
    }
}

impl ExactLine {
    pub fn net(&self) -> Decimal {
        self.gross - self.discount
    }
}

/// The lines of `price` for `usage`. No quantity and no fee that is due without one: no lines.
pub fn rate(price: &Price, currency: Currency, usage: &Usage) -> Result<Rated, RatingError> {
    price.validate()?;
    for quantity in [usage.quantity, usage.already.quantity] {
        if quantity < Decimal::ZERO {
            return Err(RatingError::NegativeQuantity(quantity));
        }
    }
    let mut rated = Rated { lines: Vec::new(), exact: Vec::new(), total: Minor::ZERO };
    let already = Minor::from_major(usage.already.amount, currency)?;
    let maximum = price.maximum.map(|maximum| Minor::from_major(maximum, currency)).transpose()?;
    for charge in charges(&price.model, usage)? {
        let room = match maximum {
            Some(maximum) => {
                Some(maximum.checked_sub(already)?.checked_sub(rated.total)?.max(Minor::ZERO))
            }
            None => None,
        };
        let percent = price.discount_percent.unwrap_or_default();
        push(&mut rated, charge, percent, room, currency)?;
    }
    if let Some(minimum) = price.minimum {
        let billed = already.checked_add(rated.total)?;
        let missing = Minor::from_major(minimum, currency)?.checked_sub(billed)?;
        if missing > Minor::ZERO {
            push(
                &mut rated,
                minimum_charge(missing.to_major(currency)),
                Decimal::ZERO,
                None,
                currency,
            )?;
        }
    }
    Ok(rated)
}

/// How much of `quantity` is billed when `included` units are free and `used` of those were taken
/// before.
pub fn use_included(
    quantity: Decimal,
    included: Decimal,
    used: Decimal,
) -> Result<Included, RatingError> {
    for value in [quantity, included, used] {
        if value < Decimal::ZERO {
            return Err(RatingError::NegativeQuantity(value));
        }
    }
    let covered = (included - used).max(Decimal::ZERO).min(quantity);
    Ok(Included { billed: quantity - covered, covered })
}

fn push(
    rated: &mut Rated,
    charge: Charge,
    discount_percent: Decimal,
    room: Option<Minor>,
    currency: Currency,
) -> Result<(), RatingError> {
    // A gross that fits keeps every later sum within the digits of a decimal, even at 100 % off.
    Minor::from_major(charge.gross, currency)?;
    let mut discount = mul_exact(mul_exact(charge.gross, discount_percent)?, Decimal::new(1, 2))?;
    let mut amount = Minor::from_major(charge.gross - discount, currency)?;
    if let Some(room) = room
        && amount > room
    {
        amount = room;
        discount = charge.gross - room.to_major(currency);
    }
    rated.total = rated.total.checked_add(amount)?;
    rated.exact.push(ExactLine { gross: charge.gross, discount });
    rated.lines.push(Line {
        kind: charge.kind,
        description: charge.description,
        quantity: charge.quantity.normalize(),
        unit_price: charge.unit_price.normalize(),
        amount_minor: amount.0,
    });
    Ok(())
}

fn charges(model: &Model, usage: &Usage) -> Result<Vec<Charge>, RatingError> {
    let (quantity, already) = (usage.quantity, &usage.already);
    match model {
        Model::Flat { amount } => Ok(vec![Charge {
            kind: LineKind::Base,
            description: "Fee".to_owned(),
            quantity: Decimal::ONE,
            unit_price: *amount,
            gross: *amount,
        }]),
        Model::PerUnit { unit, divide_by, round, free_billed_units } => {
            let divide_by = divide_by.unwrap_or(Decimal::ONE);
            let units = |quantity| -> Result<Decimal, RatingError> {
                let units = billed_units(quantity, divide_by, *round)?;
                Ok((units - free_billed_units).max(Decimal::ZERO))
            };
            let new = increase(quantity, already, units)?;
            per_unit("Units".to_owned(), new, *unit)
        }
        Model::Package { amount, package_size, free_units, round } => {
            let packages = |quantity| package_count(quantity, *package_size, *free_units, *round);
            let new = increase(quantity, already, packages)?;
            per_unit(format!("Packages of {}", package_size.normalize()), new, *amount)
        }
        Model::Graduated { tiers } => graduated(tiers, quantity, already, Decimal::ONE),
        Model::Volume { tiers } => volume(tiers, quantity, already),
        Model::Percentage { rate, fixed_per_event } => percentage(usage, *rate, *fixed_per_event),
        Model::GraduatedPercentage { tiers } => {
            let tier = |tier: &super::PercentageTier| Tier {
                up_to: tier.up_to,
                unit: tier.rate,
                flat: tier.flat,
            };
            let tiers: Vec<Tier> = tiers.iter().map(tier).collect();
            graduated(&tiers, quantity, already, Decimal::new(1, 2))
        }
    }
}

/// What `count` says of all units, less what it says of those billed before.
fn increase(
    quantity: Decimal,
    already: &AlreadyBilled,
    count: impl Fn(Decimal) -> Result<Decimal, RatingError>,
) -> Result<Decimal, RatingError> {
    let total = already.quantity.checked_add(quantity).ok_or(MoneyError::TooLarge)?;
    Ok(count(total)? - count(already.quantity)?)
}

fn package_count(
    quantity: Decimal,
    size: Decimal,
    free: Decimal,
    round: Rounding,
) -> Result<Decimal, RatingError> {
    billed_units(use_included(quantity, free, Decimal::ZERO)?.billed, size, round)
}

fn per_unit(
    description: String,
    quantity: Decimal,
    unit_price: Decimal,
) -> Result<Vec<Charge>, RatingError> {
    if quantity.is_zero() {
        return Ok(Vec::new());
    }
    let gross = mul_exact(quantity, unit_price)?;
    Ok(vec![Charge { kind: LineKind::Usage, description, quantity, unit_price, gross }])
}

fn percentage(
    usage: &Usage,
    rate: Decimal,
    fixed_per_event: Decimal,
) -> Result<Vec<Charge>, RatingError> {
    let unit_price = mul_exact(rate, Decimal::new(1, 2))?;
    let mut charges =
        per_unit(format!("{}% of the amount", rate.normalize()), usage.quantity, unit_price)?;
    let fixed =
        per_unit("Fee for each event".to_owned(), Decimal::from(usage.events), fixed_per_event)?;
    charges.extend(fixed.into_iter().filter(|charge| !charge.gross.is_zero()));
    Ok(charges)
}

fn minimum_charge(missing: Decimal) -> Charge {
    Charge {
        kind: LineKind::Minimum,
        description: "Up to the minimum spend".to_owned(),
        quantity: Decimal::ONE,
        unit_price: missing,
        gross: missing,
    }
}

#[cfg(test)]
mod tests;
