use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn january() -> Period {
    Period { start: at("2017-01-01T00:00:00Z"), end: at("2017-02-01T00:00:00Z") }
}

#[test]
fn days_share_counts_each_started_day() {
    let part = Period { start: at("2017-01-30T23:59:59Z"), end: at("2017-01-31T00:00:01Z") };
    assert_eq!(days_share(part, january()), Share::new(2, 31));
    let midnight = Period { end: at("2017-01-31T00:00:00Z"), ..part };
    assert_eq!(days_share(midnight, january()), Share::new(1, 31));
    assert_eq!(days_share(january(), january()), Share::new(31, 31));
    assert_eq!(days_share(january(), part), Err(RatingError::Period));
}

#[test]
fn change_plan_refunds_what_was_not_used() {
    let (old, new) = (Decimal::from(31), Decimal::from(310));
    let noon = at("2017-01-01T12:00:00Z");
    let change = change_plan(old, new, january(), january().start, noon, Currency::USD).unwrap();
    let expected =
        PlanChange { old_fee: Minor(3100), refund: Minor(-3050), new_fee: Minor(30_500) };
    assert_eq!(change, expected);
    let backwards = change_plan(old, new, january(), noon, january().start, Currency::USD);
    assert_eq!(backwards, Err(RatingError::Period));
    let later = at("2017-02-01T00:00:01Z");
    let outside = change_plan(old, new, january(), january().start, later, Currency::USD);
    assert_eq!(outside, Err(RatingError::Period));
}

#[test]
fn tax_is_taken_from_the_rounded_line() {
    let percent = Decimal::new(2333, 2);
    assert_eq!(tax(Minor(2571), percent, Currency::USD), Ok(Minor(600)));
    assert_eq!(tax(Minor(-2571), percent, Currency::USD), Ok(Minor(-600)));
    assert!(tax(Minor(1), Decimal::from(101), Currency::USD).is_err());
}

#[test]
fn true_up_is_nothing_when_the_minimum_is_reached() {
    let minimum = Decimal::from(100);
    let share = Share::new(25, 28).unwrap();
    assert_eq!(true_up(minimum, share, Minor(7000), Currency::USD), Ok(Minor(1929)));
    assert_eq!(true_up(minimum, share, Minor(9000), Currency::USD), Ok(Minor(0)));
}
