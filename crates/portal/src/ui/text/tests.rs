use super::*;

#[test]
fn numbers_are_grouped() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(count(number), text);
    }
    for (number, text) in [(999, "999"), (1_500, "1.5k"), (12_000, "12k"), (2_000_000, "2M")] {
        assert_eq!(brief(number), text);
    }
    assert_eq!(counted(1, "call", "calls"), "1 call");
}

#[test]
fn money_has_its_sign_and_places() {
    assert_eq!(money(Minor(4_900), Currency::USD), "$49.00");
    assert_eq!(money(Minor(-123_456), Currency::EUR), "−€1,234.56");
    assert_eq!(money(Minor(5_000), "JPY".parse().expect("known")), "JPY\u{a0}5,000");
    assert_eq!(price(Decimal::new(15, 4), Currency::USD), "$0.0015");
    assert_eq!(price(Decimal::new(3, 0), Currency::USD), "$3.00");
}

#[test]
fn times_read_like_speech() {
    let now = Timestamp::from_secs(1_800_000_000);
    for (secs, text) in [
        (-1, "just now"),
        (-60, "1 minute ago"),
        (-7_300, "2 hours ago"),
        (-90_000, "1 day ago"),
        (3 * 86_400 + 5, "in 3 days"),
    ] {
        assert_eq!(relative(now.plus_secs(secs), now), text);
    }
    assert_eq!(relative(now.plus_days(-365), now), "15 Jan 2026");
}
