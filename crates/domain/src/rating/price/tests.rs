use super::*;

fn dec(text: &str) -> Decimal {
    crate::money::parse_decimal(text).unwrap()
}

fn price(json: &str) -> Price {
    serde_json::from_str(json).unwrap()
}

fn ends(ends: &[Option<&str>]) -> Model {
    let tier = |end: Option<&str>| Tier { up_to: end.map(dec), unit: dec("1"), flat: dec("0") };
    Model::Graduated { tiers: ends.iter().copied().map(tier).collect() }
}

#[test]
fn price_is_read_as_it_is_stored() {
    let stored = price(
        "{\"model\":\"graduated\",\"tiers\":[{\"up_to\":\"10\",\"unit\":\"0.1\"},{\"up_to\":null,\"flat\":\"2\"}],\
         \"minimum\":\"5\"}",
    );
    assert_eq!(stored.minimum, Some(dec("5")));
    assert_eq!(price(&serde_json::to_string(&stored).unwrap()), stored);
    let unknown = "{\"model\":\"flat\",\"amount\":\"1\",\"amuont\":\"2\"}";
    assert!(serde_json::from_str::<Price>(unknown).is_err(), "a misspelt member is no default");
}

#[test]
fn tiers_are_refused_with_the_tier_named() {
    let refusals = [
        (ends(&[]), RatingError::NoTiers),
        (ends(&[Some("0"), None]), RatingError::TierOrder { number: 1 }),
        (ends(&[Some("10"), Some("10")]), RatingError::TierOrder { number: 2 }),
        (ends(&[Some("10"), Some("9"), None]), RatingError::TierOrder { number: 2 }),
        (ends(&[Some("10"), None, Some("20")]), RatingError::TierAfterEnd { number: 2 }),
    ];
    for (model, error) in refusals {
        assert_eq!(model.validate(), Err(error), "{model:?}");
    }
    assert_eq!(ends(&[Some("10"), Some("20.5"), None]).validate(), Ok(()));
}

#[test]
fn limits_around_a_price_are_checked() {
    let flat = "{\"model\":\"flat\",\"amount\":\"1\"";
    let refused = [
        "\"minimum\":\"5\",\"maximum\":\"4\"",
        "\"minimum\":\"-1\"",
        "\"discount_percent\":\"101\"",
        "\"discount_percent\":\"-1\"",
    ];
    for members in refused {
        assert!(price(&format!("{flat},{members}}}")).validate().is_err(), "{members}");
    }
    assert!(price(&format!("{flat}}}")).validate().is_ok());
    let empty_package = "{\"model\":\"package\",\"amount\":\"1\",\"package_size\":\"0\"}";
    assert_eq!(price(empty_package).validate(), Err(RatingError::NotPositive("package_size")));
}

#[test]
fn round_to_knows_negative_places_and_signs() {
    let cases = [
        ("123.456", Rounding::HalfUp, -2, "100"),
        ("150", Rounding::HalfUp, -2, "200"),
        ("-2.5", Rounding::HalfUp, 0, "-3"),
        ("123.451", Rounding::Up, 2, "123.46"),
        ("123.459", Rounding::Down, 2, "123.45"),
        ("1.4", Rounding::None, 0, "1.4"),
    ];
    for (value, round, places, expected) in cases {
        assert_eq!(round_to(dec(value), round, places), Ok(dec(expected)), "{value} {round:?}");
    }
    assert!(round_to(dec("1"), Rounding::Up, i32::MIN).is_err());
}
