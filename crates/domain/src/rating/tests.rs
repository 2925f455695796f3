use proptest::prelude::*;

use super::*;
use crate::period::{Anchor, period_at};
use crate::time::Timestamp;

fn dec(text: &str) -> Decimal {
    crate::money::parse_decimal(text).unwrap()
}

fn starter() -> PlanPrice {
    PlanPrice {
        currency: Currency::USD,
        price_monthly: dec("49"),
        included_calls: 10_000,
        overage_per_1000: Some(dec("3")),
        overage: Overage::ProRata,
    }
}

fn november() -> Period {
    period_at(Anchor::Calendar, "2026-11-15T00:00:00Z".parse().unwrap())
}

fn amounts(lines: &[Line]) -> Vec<(LineKind, String, String, i64)> {
    let row = |line: &Line| {
        (line.kind, line.quantity.to_string(), line.unit_price.to_string(), line.amount_minor)
    };
    lines.iter().map(row).collect()
}

#[test]
fn full_period_charges_fee_and_overage_pro_rata() {
    let lines = rate_period(&starter(), november(), november(), 12_345).unwrap();
    let expected = [
        (LineKind::Base, "1".to_owned(), "49".to_owned(), 4900),
        (LineKind::Overage, "2345".to_owned(), "0.003".to_owned(), 704),
    ];
    assert_eq!(amounts(&lines), expected);
    assert_eq!(total(&lines), Ok(Minor(5604)));
}

#[test]
fn no_overage_line_when_the_included_calls_suffice_or_more_is_free() {
    assert_eq!(rate_period(&starter(), november(), november(), 10_000).unwrap().len(), 1);
    let free = PlanPrice { price_monthly: Decimal::ZERO, overage_per_1000: None, ..starter() };
    let lines = rate_period(&free, november(), november(), 10_000_000).unwrap();
    assert_eq!(amounts(&lines), [(LineKind::Base, "1".to_owned(), "0".to_owned(), 0)]);
}

#[test]
fn package_overage_charges_each_started_thousand() {
    let price = PlanPrice { overage: Overage::Package, ..starter() };
    for (units, cents) in [(10_000, 4900), (10_001, 5200), (11_000, 5200), (11_001, 5500)] {
        assert_eq!(
            total(&rate_period(&price, november(), november(), units).unwrap()),
            Ok(Minor(cents)),
            "{units}"
        );
    }
}

#[test]
fn first_period_prorates_fee_and_included_calls_by_the_second() {
    let full = november();
    let period = Period { start: "2026-11-16T12:00:00Z".parse().unwrap(), ..full };
    assert_eq!(
        starter().included_in(period, full),
        Ok(4834),
        "10000 × 14.5 / 30 = 4833.3, rounded up"
    );
    let lines = rate_period(&starter(), period, full, 5000).unwrap();
    let expected = [
        (LineKind::Base, "0.483333333333".to_owned(), "49".to_owned(), 2368),
        (LineKind::Overage, "166".to_owned(), "0.003".to_owned(), 50),
    ];
    assert_eq!(amounts(&lines), expected);
    assert_eq!(lines[0].description, "Monthly fee, 1252800 of 2592000 seconds");
}

#[test]
fn period_outside_the_full_one_is_refused() {
    let full = november();
    let early = Period { start: full.start.plus_secs(-1), ..full };
    assert_eq!(rate_period(&starter(), early, full, 0), Err(RatingError::Period));
    let empty = Period { start: full.start, end: full.start };
    assert_eq!(rate_period(&starter(), empty, empty, 0), Err(RatingError::Period));
}

#[test]
fn prices_are_refused_with_the_member_named() {
    let negative = PlanPrice { price_monthly: dec("-1"), ..starter() };
    assert_eq!(
        negative.validate().unwrap_err().to_string(),
        "price_monthly: -1 is negative: a price is zero or more"
    );
    let huge = PlanPrice { price_monthly: dec("99999999999999"), ..starter() };
    assert!(matches!(
        huge.validate(),
        Err(RatingError::Price { source: MoneyError::TooLarge, .. })
    ));
    let fine = PlanPrice { overage_per_1000: Some(dec("0.0000000001")), ..starter() };
    assert!(matches!(
        fine.validate(),
        Err(RatingError::Price { source: MoneyError::TooManyPlaces { max: 9, .. }, .. })
    ));
    let many = PlanPrice { included_calls: u64::MAX, ..starter() };
    assert_eq!(many.validate(), Err(RatingError::IncludedTooLarge));
}

#[test]
fn units_beyond_counting_are_an_error_not_a_wrong_bill() {
    let price = PlanPrice { overage_per_1000: Some(dec("1000000000000")), ..starter() };
    assert_eq!(
        rate_period(&price, november(), november(), u64::MAX),
        Err(RatingError::Money(MoneyError::TooLarge))
    );
}

#[test]
fn plan_price_is_stored_as_json_with_decimal_texts() {
    let json = serde_json::to_string(&starter()).unwrap();
    let expected = "{\"currency\":\"USD\",\"price_monthly\":\"49\",\"included_calls\":10000,\
        \"overage_per_1000\":\"3\",\"overage\":\"pro_rata\"}";
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_str::<PlanPrice>(&json).unwrap(), starter());
    let short: PlanPrice =
        serde_json::from_str("{\"currency\":\"USD\",\"price_monthly\":\"0\"}").unwrap();
    assert_eq!(
        (short.included_calls, short.overage_per_1000, short.overage),
        (0, None, Overage::ProRata)
    );
}

#[test]
fn share_rounds_once_from_the_exact_fraction() {
    let third = Share::new(1, 3).unwrap();
    assert_eq!(
        third.round_minor(dec("0.015"), Currency::USD),
        Ok(Minor(1)),
        "0.5 cents: away from zero"
    );
    assert_eq!(third.round_minor(dec("-0.015"), Currency::USD), Ok(Minor(-1)));
    assert_eq!(third.round_minor(dec("0.014999999999"), Currency::USD), Ok(Minor(0)));
    assert_eq!(Share::new(2, 1), Err(RatingError::Period));
}

proptest! {
    #[test]
    fn parts_of_a_fee_add_up_to_it_within_a_minor_unit_each(fee in 0_i64..100_000_000, cut in 1_i64..2_592_000) {
        let full = november();
        let at = Timestamp(full.start.0 + cut * 1_000_000);
        let parts = [Period { end: at, ..full }, Period { start: at, ..full }];
        let price = PlanPrice { price_monthly: Decimal::new(fee, 2), ..starter() };
        let sum: i64 = parts.iter().map(|part| rate_period(&price, *part, full, 0).unwrap()[0].amount_minor).sum();
        prop_assert!((sum - fee).abs() <= 1, "{} of {}", sum, fee);
    }

    #[test]
    fn more_units_never_cost_less(units in 0_u64..1_000_000_000, more in 0_u64..1_000_000, package: bool) {
        let overage = if package { Overage::Package } else { Overage::ProRata };
        let price = PlanPrice { overage, overage_per_1000: Some(dec("0.123456789")), ..starter() };
        let cost = |units| total(&rate_period(&price, november(), november(), units).unwrap()).unwrap();
        prop_assert!(cost(units) <= cost(units + more));
    }
}
