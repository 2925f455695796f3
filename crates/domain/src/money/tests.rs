use proptest::prelude::*;

use super::*;

fn dec(text: &str) -> Decimal {
    parse_decimal(text).unwrap()
}

#[test]
fn exponent_follows_iso_4217() {
    for (code, exponent) in
        [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("EUR", 2), ("KRW", 0), ("TND", 3)]
    {
        assert_eq!(code.parse::<Currency>().unwrap().exponent(), exponent, "{code}");
    }
}

#[test]
fn currency_is_refused_when_it_is_no_code() {
    for text in ["", "usd", "US", "USDT", "XYZ", "€", "USD EUR", " USD"] {
        assert!(
            matches!(text.parse::<Currency>(), Err(MoneyError::UnknownCurrency(_))),
            "{text:?}"
        );
    }
}

#[test]
fn currency_is_stored_as_its_code() {
    assert_eq!(serde_json::to_string(&Currency::USD).unwrap(), "\"USD\"");
    assert_eq!(serde_json::from_str::<Currency>("\"KWD\"").unwrap().exponent(), 3);
    assert!(serde_json::from_str::<Currency>("\"dollar\"").is_err());
}

#[test]
fn from_major_rounds_half_away_from_zero() {
    let cases = [
        ("0.005", 1),
        ("0.0049999", 0),
        ("-0.005", -1),
        ("1.015", 102),
        ("2.5", 250),
        ("56.035", 5604),
        ("92233720368547758.07", i64::MAX),
    ];
    for (text, cents) in cases {
        assert_eq!(Minor::from_major(dec(text), Currency::USD), Ok(Minor(cents)), "{text}");
    }
    assert_eq!(
        Minor::from_major(dec("92233720368547758.08"), Currency::USD),
        Err(MoneyError::TooLarge)
    );
    assert_eq!(Minor::from_major(Decimal::MAX, Currency::USD), Err(MoneyError::TooLarge));
    assert_eq!(Minor::from_major(dec("499.5"), "JPY".parse().unwrap()), Ok(Minor(500)));
}

#[test]
fn major_text_has_the_places_of_the_currency() {
    assert_eq!(Minor(5050).major_text(Currency::USD), "50.50");
    assert_eq!(Minor(-300).major_text(Currency::USD), "-3.00");
    assert_eq!(Minor(5).major_text(Currency::USD), "0.05");
    assert_eq!(Minor(500).major_text("JPY".parse().unwrap()), "500");
    assert_eq!(Minor(1500).major_text("KWD".parse().unwrap()), "1.500");
}

#[test]
fn parse_major_refuses_what_the_currency_cannot_hold() {
    assert_eq!(Minor::parse_major("50.50", Currency::USD), Ok(Minor(5050)));
    assert_eq!(Minor::parse_major("50.500", Currency::USD), Ok(Minor(5050)));
    assert!(matches!(
        Minor::parse_major("0.005", Currency::USD),
        Err(MoneyError::TooManyPlaces { max: 2, .. })
    ));
    assert_eq!(
        Minor::parse_major("100000000000000000000", Currency::USD),
        Err(MoneyError::TooLarge)
    );
}

#[test]
fn parse_price_names_what_is_wrong() {
    assert_eq!(parse_price("0.003").unwrap().to_string(), "0.003");
    assert!(parse_price("0.000000000001").is_ok());
    assert!(matches!(parse_price("-1"), Err(MoneyError::Negative(_))));
    assert!(matches!(
        parse_price("0.0000000000001"),
        Err(MoneyError::TooManyPlaces { max: 12, .. })
    ));
    assert_eq!(parse_price("1000000000001"), Err(MoneyError::TooLarge));
    assert_eq!(parse_price(&"9".repeat(400)), Err(MoneyError::TooLarge));
    for text in [
        "", ".", "1.", ".5", "1e5", "+1", "1_000", "1,000", " 1", "NaN", "inf", "--1", "1.2.3",
        "０",
    ] {
        assert!(matches!(parse_price(text), Err(MoneyError::NotANumber(_))), "{text:?}");
    }
}

#[test]
fn arithmetic_reports_what_does_not_fit() {
    assert_eq!(Minor(i64::MAX).checked_add(Minor(1)), Err(MoneyError::TooLarge));
    assert_eq!(Minor(i64::MIN).checked_neg(), Err(MoneyError::TooLarge));
    assert_eq!(Minor(i64::MIN).checked_sub(Minor(1)), Err(MoneyError::TooLarge));
    assert_eq!(Minor::checked_sum([Minor(1), Minor(2), Minor(-4)]), Ok(Minor(-1)));
    assert_eq!(
        mul_exact(dec("1.000000000001"), dec("100000000000000000.01")),
        Err(MoneyError::TooLarge)
    );
    assert_eq!(mul_exact(dec("1.50"), dec("2.0")), Ok(dec("3")));
    assert_eq!(
        add_exact(dec("10000000000000000000000000000"), dec("0.1")),
        Err(MoneyError::TooLarge)
    );
    assert_eq!(add_exact(dec("0.1"), dec("0.02")), Ok(dec("0.12")));
}

proptest! {
    #[test]
    fn major_text_is_read_back(minor: i64, code in prop::sample::select(vec!["USD", "JPY", "KWD", "CLF"])) {
        let currency: Currency = code.parse().unwrap();
        let text = Minor(minor).major_text(currency);
        prop_assert_eq!(Minor::parse_major(&text, currency), Ok(Minor(minor)));
    }

    #[test]
    fn rounding_is_odd_and_within_half_a_unit(mantissa in -1_000_000_000_000_i64..1_000_000_000_000, scale in 0_u32..12) {
        let value = Decimal::new(mantissa, scale);
        let up = Minor::from_major(value, Currency::USD).unwrap();
        let down = Minor::from_major(-value, Currency::USD).unwrap();
        prop_assert_eq!(up.0, -down.0);
        prop_assert!((up.to_major(Currency::USD) - value).abs() <= Decimal::new(5, 3));
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = parse_decimal(&text);
        let _ = text.parse::<Currency>();
    }
}
