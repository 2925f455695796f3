//! Money: whole minor units with an ISO 4217 exponent, and exact decimals for prices.
//!
//! An amount that someone owes is a [`Minor`]: an integer, never a float. A price is an exact
//! decimal in major units with at most [`UNIT_PRICE_PLACES`] places, so that 0.003 a call is no
//! approximation. The step from one to the other is [`Minor::from_major`]: half away from zero,
//! once per invoice line. Every operation is checked: an amount that does not fit, or a product
//! that would lose digits, is an error and never a slightly wrong bill.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// Places after the point that a price may have.
pub const UNIT_PRICE_PLACES: u32 = 12;
/// The highest price in major units; it keeps price × units within the digits of an exact decimal.
pub const MAX_PRICE_MAJOR: i64 = 1_000_000_000_000;

/// An ISO 4217 currency. Kept as its three letters; parsed again whenever it is read back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// An amount in minor units (cents for USD, yen for JPY). Negative amounts are credits and refunds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Minor(pub i64);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("{0:?} is no ISO 4217 currency: write three capital letters such as USD")]
    UnknownCurrency(String),
    #[error("{0:?} is no decimal number: write it like 49 or 0.003")]
    NotANumber(String),
    #[error("{0} is negative: a price is zero or more")]
    Negative(Decimal),
    #[error("{value} has more than {max} places after the point")]
    TooManyPlaces { value: Decimal, max: u32 },
    #[error("the amount is too large to be counted exactly")]
    TooLarge,
}

const NO_PLACES: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
const THREE_PLACES: &str = "BHD IQD JOD KWD LYD OMR TND";
const FOUR_PLACES: &str = "CLF UYW";
const TWO_PLACES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD \
    CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL \
    GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR \
    LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD \
    PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC \
    SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW \
    ZWG";

impl Currency {
    pub const USD: Self = Self(*b"USD");
    pub const EUR: Self = Self(*b"EUR");

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is made of three ASCII letters")
    }

    /// Places after the point of the major unit, by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD, 4
    /// for CLF.
    pub fn exponent(&self) -> u32 {
        exponent_of(self.code()).unwrap_or(2)
    }
}

fn exponent_of(code: &str) -> Option<u32> {
    let lists = [(0, NO_PLACES), (2, TWO_PLACES), (3, THREE_PLACES), (4, FOUR_PLACES)];
    let listed = |codes: &str| codes.split_ascii_whitespace().any(|known| known == code);
    lists.into_iter().find(|(_, codes)| listed(codes)).map(|(exponent, _)| exponent)
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let unknown = || MoneyError::UnknownCurrency(text.chars().take(16).collect());
        exponent_of(text).ok_or_else(unknown)?;
        text.as_bytes().try_into().map(Self).map_err(|_| unknown())
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Minor {
    pub const ZERO: Self = Self(0);

    /// The one rounding of a line: a major-unit decimal to minor units, half away from zero.
    pub fn from_major(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let exponent = currency.exponent();
        let mut rounded = round_half_away(amount, exponent);
        rounded.rescale(exponent);
        if rounded.scale() != exponent {
            return Err(MoneyError::TooLarge);
        }
        i64::try_from(rounded.mantissa()).map(Self).map_err(|_| MoneyError::TooLarge)
    }

    /// The exact major-unit value: 5050 US cents are 50.50.
    pub fn to_major(self, currency: Currency) -> Decimal {
        Decimal::new(self.0, currency.exponent())
    }

    /// Major units as text with all places of the currency: `50.50`, `-3.00`, `500` (JPY).
    pub fn major_text(self, currency: Currency) -> String {
        self.to_major(currency).to_string()
    }

    /// Reads major units exactly: more places than the currency has are an error, not a rounding.
    pub fn parse_major(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let value = parse_decimal(text)?;
        let max = currency.exponent();
        if value.normalize().scale() > max {
            return Err(MoneyError::TooManyPlaces { value, max });
        }
        Self::from_major(value, currency)
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::TooLarge)
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyError::TooLarge)
    }

    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        self.0.checked_neg().map(Self).ok_or(MoneyError::TooLarge)
    }

    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// Reads a plain decimal: digits, at most one point, an optional minus; no exponent, sign, space or
/// separator.
pub fn parse_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let not_a_number = || MoneyError::NotANumber(text.chars().take(40).collect());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(not_a_number());
    }
    Decimal::from_str_exact(text).map_err(|_| MoneyError::TooLarge)
}

/// Reads a price in major units: zero or more, at most 12 places, at most [`MAX_PRICE_MAJOR`].
pub fn parse_price(text: &str) -> Result<Decimal, MoneyError> {
    let price = parse_decimal(text)?;
    check_price(price)?;
    Ok(price)
}

/// The rule of [`parse_price`] for a decimal that was read elsewhere.
pub fn check_price(price: Decimal) -> Result<(), MoneyError> {
    if price.is_sign_negative() && !price.is_zero() {
        return Err(MoneyError::Negative(price));
    }
    if price.normalize().scale() > UNIT_PRICE_PLACES {
        return Err(MoneyError::TooManyPlaces { value: price, max: UNIT_PRICE_PLACES });
    }
    if price > Decimal::from(MAX_PRICE_MAJOR) {
        return Err(MoneyError::TooLarge);
    }
    Ok(())
}

/// Rounds to `places` after the point, a half away from zero.
pub fn round_half_away(value: Decimal, places: u32) -> Decimal {
    value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero)
}

/// A product with every digit kept. `Decimal` itself would drop digits silently when they do not
/// fit.
pub fn mul_exact(left: Decimal, right: Decimal) -> Result<Decimal, MoneyError> {
    let (left, right) = (left.normalize(), right.normalize());
    let mantissa = left.mantissa().checked_mul(right.mantissa()).ok_or(MoneyError::TooLarge)?;
    let product = Decimal::try_from_i128_with_scale(mantissa, left.scale() + right.scale());
    product.map(|exact| exact.normalize()).map_err(|_| MoneyError::TooLarge)
}

/// A sum with every digit kept.
pub fn add_exact(left: Decimal, right: Decimal) -> Result<Decimal, MoneyError> {
    let sum = left.checked_add(right).ok_or(MoneyError::TooLarge)?;
    let exact = sum.checked_sub(right) == Some(left) && sum.checked_sub(left) == Some(right);
    if exact { Ok(sum) } else { Err(MoneyError::TooLarge) }
}

#[cfg(test)]
mod tests;
