//! Metered prices: the models, as stored, and what makes one valid.
//!
//! A tier's `up_to` is inclusive and absent for the tier without end. Prices are checked where they
//! enter the system and again before they are used, since a stored price may have been written by
//! an older version.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::tiers::check_ends;
use super::{RatingError, check_member, check_places};
use crate::money::{MoneyError, UNIT_PRICE_PLACES};

const HUNDRED: Decimal = Decimal::ONE_HUNDRED;

/// A model with what applies around it: the percent discount first, then the maximum, then the
/// minimum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    #[serde(flatten)]
    pub model: Model,
    /// The least that a period costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// The most that a period costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_percent: Option<Decimal>,
}

/// How a quantity becomes an amount. All amounts are major units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// The same amount whatever the quantity.
    Flat { amount: Decimal },
    /// `unit` for each unit; with `divide_by`, for each converted and rounded unit (1000 calls, a
    /// gigabyte).
    PerUnit {
        unit: Decimal,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        divide_by: Option<Decimal>,
        #[serde(default)]
        round: Rounding,
        /// Converted units that cost nothing.
        #[serde(default)]
        free_billed_units: Decimal,
    },
    /// `amount` for each started block of `package_size` above `free_units`.
    Package {
        amount: Decimal,
        package_size: Decimal,
        #[serde(default)]
        free_units: Decimal,
        #[serde(default = "up")]
        round: Rounding,
    },
    /// Each unit costs what its own tier says.
    Graduated { tiers: Vec<Tier> },
    /// All units cost what the tier of the total says.
    Volume { tiers: Vec<Tier> },
    /// `rate` percent of a metered amount, and a fixed fee for each event.
    Percentage {
        rate: Decimal,
        #[serde(default)]
        fixed_per_event: Decimal,
    },
    /// Each part of a metered amount costs the percentage of its own tier.
    GraduatedPercentage { tiers: Vec<PercentageTier> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The last quantity of the tier; absent: no end.
    pub up_to: Option<Decimal>,
    #[serde(default)]
    pub unit: Decimal,
    /// Charged once when the tier is entered.
    #[serde(default)]
    pub flat: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PercentageTier {
    pub up_to: Option<Decimal>,
    pub rate: Decimal,
    #[serde(default)]
    pub flat: Decimal,
}

/// How a converted quantity is rounded before it is priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    #[default]
    None,
    Up,
    Down,
    /// A half away from zero.
    HalfUp,
}

fn up() -> Rounding {
    Rounding::Up
}

impl Price {
    pub fn of(model: Model) -> Self {
        Self { model, minimum: None, maximum: None, discount_percent: None }
    }

    pub fn validate(&self) -> Result<(), RatingError> {
        self.model.validate()?;
        check_optional("minimum", self.minimum)?;
        check_optional("maximum", self.maximum)?;
        if let (Some(minimum), Some(maximum)) = (self.minimum, self.maximum)
            && minimum > maximum
        {
            return Err(RatingError::MinimumAboveMaximum { minimum, maximum });
        }
        self.discount_percent.map_or(Ok(()), check_percent)
    }
}

impl Model {
    pub fn validate(&self) -> Result<(), RatingError> {
        match self {
            Self::Flat { amount } => check_member("amount", *amount),
            Self::PerUnit { unit, divide_by, free_billed_units, .. } => {
                check_member("unit", *unit)?;
                check_member("free_billed_units", *free_billed_units)?;
                divide_by.map_or(Ok(()), |divisor| check_positive("divide_by", divisor))
            }
            Self::Package { amount, package_size, free_units, .. } => {
                check_member("amount", *amount)?;
                check_member("free_units", *free_units)?;
                check_positive("package_size", *package_size)
            }
            Self::Graduated { tiers } | Self::Volume { tiers } => check_tiers(tiers),
            Self::Percentage { rate, fixed_per_event } => {
                check_percent(*rate)?;
                check_member("fixed_per_event", *fixed_per_event)
            }
            Self::GraduatedPercentage { tiers } => {
                for tier in tiers {
                    check_percent(tier.rate)?;
                    check_member("flat", tier.flat)?;
                }
                check_ends(tiers.iter().map(|tier| tier.up_to))
            }
        }
    }
}

/// `quantity` in units of `divide_by`, rounded to whole ones as `round` says.
pub fn billed_units(
    quantity: Decimal,
    divide_by: Decimal,
    round: Rounding,
) -> Result<Decimal, RatingError> {
    check_positive("divide_by", divide_by)?;
    let converted = quantity.checked_div(divide_by).ok_or(MoneyError::TooLarge)?;
    round_to(converted, round, 0)
}

/// Rounds to `places` after the point; negative places round to tens, hundreds and so on.
pub fn round_to(value: Decimal, round: Rounding, places: i32) -> Result<Decimal, RatingError> {
    let strategy = match round {
        Rounding::None => return Ok(value.normalize()),
        Rounding::Up => RoundingStrategy::ToPositiveInfinity,
        Rounding::Down => RoundingStrategy::ToNegativeInfinity,
        Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
    };
    if places >= 0 {
        return Ok(value.round_dp_with_strategy(places.unsigned_abs(), strategy).normalize());
    }
    let power = 10_i64.checked_pow(places.unsigned_abs()).ok_or(MoneyError::TooLarge)?;
    let scaled = value.checked_div(Decimal::from(power)).ok_or(MoneyError::TooLarge)?;
    let rounded = scaled.round_dp_with_strategy(0, strategy);
    let back = rounded.checked_mul(Decimal::from(power)).ok_or(MoneyError::TooLarge)?;
    Ok(back.normalize())
}

fn check_tiers(tiers: &[Tier]) -> Result<(), RatingError> {
    for tier in tiers {
        check_member("unit", tier.unit)?;
        check_member("flat", tier.flat)?;
    }
    check_ends(tiers.iter().map(|tier| tier.up_to))
}

fn check_optional(member: &'static str, price: Option<Decimal>) -> Result<(), RatingError> {
    price.map_or(Ok(()), |price| check_member(member, price))
}

fn check_positive(member: &'static str, value: Decimal) -> Result<(), RatingError> {
    if value.is_zero() || value.is_sign_negative() {
        return Err(RatingError::NotPositive(member));
    }
    check_member(member, value)
}

pub(super) fn check_percent(percent: Decimal) -> Result<(), RatingError> {
    let within = percent >= Decimal::ZERO && percent <= HUNDRED;
    if !within {
        return Err(RatingError::Percentage(percent));
    }
    check_places("percentage", percent, UNIT_PRICE_PLACES)
}

#[cfg(test)]
mod tests;
