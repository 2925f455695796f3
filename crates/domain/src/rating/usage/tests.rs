use proptest::prelude::*;

use super::*;

fn dec(text: &str) -> Decimal {
    crate::money::parse_decimal(text).unwrap()
}

fn tiers(rows: &[(Option<i64>, &str, &str)]) -> Vec<Tier> {
    let tier = |(up_to, unit, flat): &(Option<i64>, &str, &str)| Tier {
        up_to: up_to.map(Decimal::from),
        unit: dec(unit),
        flat: dec(flat),
    };
    rows.iter().map(tier).collect()
}

fn three_tiers() -> Vec<Tier> {
    tiers(&[(Some(10), "0.013", "2"), (Some(20), "0.0071", "0"), (None, "0.0009", "5")])
}

fn usage(quantity: Decimal, already_quantity: i64, already_amount: &str) -> Usage {
    let already = AlreadyBilled { quantity: already_quantity.into(), amount: dec(already_amount) };
    Usage { quantity, events: 0, already }
}

fn rate_usd(price: &Price, usage: &Usage) -> Result<Rated, RatingError> {
    rate(price, Currency::USD, usage)
}

#[test]
fn first_flat_fee_is_due_without_usage_but_only_once() {
    for model in [Model::Graduated { tiers: three_tiers() }, Model::Volume { tiers: three_tiers() }]
    {
        let price = Price::of(model);
        assert_eq!(rate_usd(&price, &usage(dec("0"), 0, "0")).unwrap().total, Minor(200));
        let again = rate_usd(&price, &usage(dec("0"), 0, "2")).unwrap();
        assert_eq!(again.lines, [], "the fee was billed before");
    }
}

#[test]
fn maximum_is_met_exactly_even_when_lines_round_up() {
    let tiers = tiers(&[(Some(1), "0.005", "0"), (Some(2), "0.005", "0"), (None, "0.005", "0")]);
    let price = Price { maximum: Some(dec("0.02")), ..Price::of(Model::Graduated { tiers }) };
    let rated = rate_usd(&price, &usage(dec("3"), 0, "0")).unwrap();
    let amounts: Vec<i64> = rated.lines.iter().map(|line| line.amount_minor).collect();
    assert_eq!(amounts, [1, 1, 0]);
}

#[test]
fn minimum_is_met_exactly_even_when_lines_round_down() {
    let price = Price {
        minimum: Some(dec("1")),
        ..Price::of(Model::Graduated {
            tiers: tiers(&[(Some(1), "0.004", "0"), (None, "0.004", "0")]),
        })
    };
    let rated = rate_usd(&price, &usage(dec("2"), 0, "0")).unwrap();
    assert_eq!((rated.lines.len(), rated.total), (3, Minor(100)));
}

#[test]
fn volume_gives_back_what_a_cheaper_tier_saves() {
    let price =
        Price::of(Model::Volume { tiers: tiers(&[(Some(10), "1", "0"), (None, "0.5", "0")]) });
    let rated = rate_usd(&price, &usage(dec("2"), 10, "10")).unwrap();
    assert_eq!(rated.total, Minor(-400), "12 × 0.5 − 10 × 1");
}

#[test]
fn quantity_beyond_a_closed_last_tier_is_refused() {
    let price = Price::of(Model::Volume { tiers: tiers(&[(Some(10), "1", "0")]) });
    let refused = rate_usd(&price, &usage(dec("10.5"), 0, "0"));
    let expected = RatingError::BeyondLastTier { quantity: dec("10.5"), end: dec("10") };
    assert_eq!(refused, Err(expected));
}

#[test]
fn negative_or_huge_quantities_are_refused() {
    let price = Price::of(Model::Graduated { tiers: three_tiers() });
    let negative = rate_usd(&price, &usage(dec("-1"), 0, "0"));
    assert_eq!(negative, Err(RatingError::NegativeQuantity(dec("-1"))));
    assert!(rate_usd(&price, &usage(Decimal::MAX, 0, "0")).is_err());
    assert!(rate_usd(&price, &usage(Decimal::MAX, i64::MAX, "0")).is_err());
}

#[test]
fn included_units_never_go_below_none() {
    let split = use_included(dec("15"), dec("10"), dec("12")).unwrap();
    assert_eq!(split, Included { billed: dec("15"), covered: dec("0") });
    assert!(use_included(dec("15"), dec("-10"), dec("0")).is_err());
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    (any::<i128>(), 0_u32..=28)
        .prop_map(|(mantissa, scale)| Decimal::from_i128_with_scale(mantissa >> 32, scale))
}

proptest! {
    #[test]
    fn graduated_parts_add_up_to_the_whole(first in 0_i64..100, second in 0_i64..100) {
        let price = Price::of(Model::Graduated { tiers: three_tiers() });
        let part = rate_usd(&price, &usage(first.into(), 0, "0")).unwrap();
        let before = AlreadyBilled { quantity: first.into(), amount: part.net() };
        let rest = Usage { quantity: second.into(), events: 0, already: before };
        let rest = rate_usd(&price, &rest).unwrap();
        let whole = rate_usd(&price, &usage((first + second).into(), 0, "0")).unwrap();
        prop_assert_eq!(part.net() + rest.net(), whole.net());
    }

    #[test]
    fn lines_add_up_and_stay_within_half_a_cent_each(quantity in 0_i64..1_000_000, percent in 0_i64..=100) {
        let price = Price {
            discount_percent: Some(percent.into()),
            ..Price::of(Model::Graduated { tiers: three_tiers() })
        };
        let rated = rate_usd(&price, &usage(quantity.into(), 0, "0")).unwrap();
        let sum: i64 = rated.lines.iter().map(|line| line.amount_minor).sum();
        prop_assert_eq!(Minor(sum), rated.total);
        for (line, exact) in rated.lines.iter().zip(&rated.exact) {
            let rounded = Minor(line.amount_minor).to_major(Currency::USD);
            prop_assert!((rounded - exact.net()).abs() <= dec("0.005"));
        }
    }

    #[test]
    fn no_numbers_panic(numbers in prop::collection::vec(any_decimal(), 6), events: u64) {
        let [a, b, c, d, e, f] = numbers[..] else { unreachable!("six were asked for") };
        let tiers = vec![Tier { up_to: Some(a), unit: b, flat: c }, Tier { up_to: None, unit: c, flat: d }];
        let models = [
            Model::Flat { amount: a },
            Model::PerUnit { unit: a, divide_by: Some(b), round: Rounding::Up, free_billed_units: c },
            Model::Package { amount: a, package_size: b, free_units: c, round: Rounding::HalfUp },
            Model::Graduated { tiers: tiers.clone() },
            Model::Volume { tiers },
            Model::Percentage { rate: a, fixed_per_event: b },
        ];
        for model in models {
            let price = Price { minimum: Some(c), maximum: Some(d), discount_percent: Some(a), model };
            let already = AlreadyBilled { quantity: f, amount: a };
            let _ = rate_usd(&price, &Usage { quantity: e, events, already });
        }
    }
}
