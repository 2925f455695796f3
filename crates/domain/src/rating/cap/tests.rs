use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::money::Currency;
use crate::period::{Anchor, Period, period_at};
use crate::rating::Overage;
use crate::time::Timestamp;

fn november() -> Period {
    period_at(Anchor::Calendar, "2026-11-15T00:00:00Z".parse().unwrap())
}

fn whole() -> BilledPeriod {
    BilledPeriod { period: november(), full: november() }
}

/// The subscription begins with this second of November.
fn from_second(second: i64) -> BilledPeriod {
    let started_at = november().start.plus_secs(second);
    BilledPeriod { period: november().cut(started_at, None).unwrap(), full: november() }
}

/// $49 with 10 000 calls, then $3 per 1000.
fn starter() -> PlanPrice {
    PlanPrice {
        currency: Currency::USD,
        price_monthly: Decimal::from(49),
        included_calls: 10_000,
        overage_per_1000: Some(Decimal::from(3)),
        overage: Overage::ProRata,
    }
}

fn cost(price: &PlanPrice, billed: BilledPeriod, units: u64) -> i64 {
    total(&rate_period(price, billed.period, billed.full, units).unwrap()).unwrap().0
}

#[test]
fn the_cap_pays_the_fee_first_and_then_units() {
    // 451 dollars are left for overage: 150 333 units cost 450.999, rounded 451.00; one more cent is 4 units.
    assert_eq!(cost(&starter(), whole(), 160_334), 50_000);
    assert_eq!(units_within(&starter(), 50_000, whole()), 160_334);
    assert_eq!(cost(&starter(), whole(), 160_335), 50_001);
}

#[test]
fn a_cap_below_the_fee_allows_nothing_and_one_of_the_fee_what_it_includes() {
    assert_eq!(units_within(&starter(), 4_899, whole()), 0);
    // One unit above the included ones costs 0.3 cents, which a line rounds to nothing.
    assert_eq!(units_within(&starter(), 4_900, whole()), 10_001);
    assert_eq!(units_within(&starter(), 0, whole()), 0);
}

#[test]
fn packages_count_whole() {
    let price = PlanPrice { overage: Overage::Package, ..starter() };
    assert_eq!(units_within(&price, 5_199, whole()), 10_000);
    assert_eq!(units_within(&price, 5_200, whole()), 11_000);
}

#[test]
fn without_priced_overage_units_are_unlimited() {
    for overage_per_1000 in [None, Some(Decimal::ZERO)] {
        let price = PlanPrice { overage_per_1000, ..starter() };
        assert_eq!(units_within(&price, 4_900, whole()), u64::MAX);
        assert_eq!(units_within(&price, 4_899, whole()), 0);
    }
}

#[test]
fn the_first_period_is_prorated_as_its_invoice_is() {
    // Half of November: $24.50 and 5000 calls.
    let half = from_second(15 * 86_400);
    assert_eq!(cost(&starter(), half, 5_000), 2_450);
    assert_eq!(units_within(&starter(), 2_449, half), 0);
    assert_eq!(units_within(&starter(), 2_450 + 300, half), 6_001);
}

#[test]
fn a_period_that_cannot_be_rated_allows_nothing() {
    let next = period_at(Anchor::Calendar, november().end);
    assert_eq!(
        units_within(&starter(), 50_000, BilledPeriod { period: next, full: november() }),
        0
    );
    let nothing =
        BilledPeriod { period: Period { end: Timestamp(0), ..november() }, full: november() };
    assert_eq!(units_within(&starter(), 50_000, nothing), 0);
}

fn prices() -> impl Strategy<Value = PlanPrice> {
    let currency = prop_oneof![Just("USD"), Just("JPY"), Just("KWD"), Just("CLF")];
    let per_1000 = (0_i64..=1_000_000_000_000, 0_u32..=9).prop_map(|(m, s)| Decimal::new(m, s));
    (
        currency,
        0_i64..=1_000_000,
        0_u64..=1_000_000_000,
        proptest::option::of(per_1000),
        any::<bool>(),
    )
        .prop_map(|(currency, monthly, included_calls, overage_per_1000, package)| PlanPrice {
            currency: currency.parse().unwrap(),
            price_monthly: Decimal::new(monthly, 2),
            included_calls,
            overage_per_1000,
            overage: if package { Overage::Package } else { Overage::ProRata },
        })
}

proptest! {
    #[test]
    fn the_last_unit_within_costs_at_most_the_cap_and_the_next_more(
        price in prices(),
        cap in prop_oneof![0_u64..=1_000_000, 0_u64..=1_000_000_000_000_000],
        second in 0_i64..(30 * 86_400),
    ) {
        let billed = from_second(second);
        let units = units_within(&price, cap, billed);
        let above = |units| {
            let lines = rate_period(&price, billed.period, billed.full, units);
            lines.map_or(true, |lines| total(&lines).map_or(true, |total| total.0.unsigned_abs() > cap))
        };
        if above(0) {
            prop_assert_eq!(units, 0);
        } else {
            prop_assert!(!above(units));
            prop_assert!(units == u64::MAX || above(units + 1));
        }
    }
}
