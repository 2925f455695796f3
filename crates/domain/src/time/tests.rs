use super::*;

#[test]
fn texts_round_trip() {
    for text in ["1970-01-01T00:00:00Z", "2026-02-28T23:59:59.999999Z", "1969-12-31T23:59:59Z"] {
        assert_eq!(text.parse::<Timestamp>().unwrap().rfc3339(), text);
    }
    for text in ["2024-02-29", "1969-12-31", "2026-11-30"] {
        assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
    }
}

#[test]
fn a_day_before_the_epoch_starts_at_its_midnight() {
    let at: Timestamp = "1969-12-31T00:00:01Z".parse().unwrap();
    assert_eq!(at.day(), Day(-1));
    assert_eq!(at.day().start().rfc3339(), "1969-12-31T00:00:00Z");
}

#[test]
fn an_offset_is_taken_into_account_and_a_bad_text_refused() {
    let at: Timestamp = "2026-01-01T01:00:00+01:00".parse().unwrap();
    assert_eq!(at.rfc3339(), "2026-01-01T00:00:00Z");
    assert!("2026-01-01".parse::<Timestamp>().is_err());
    assert!("2026-02-30".parse::<Day>().is_err());
}

#[test]
fn an_absurd_time_is_clamped_not_a_panic() {
    assert!(!Timestamp(i64::MAX).rfc3339().is_empty());
    assert!(!Timestamp(i64::MIN).rfc3339().is_empty());
}
