use proptest::prelude::*;

use super::*;

fn credit(remaining: i64, priority: u32, expires_at: Option<i64>) -> Credit {
    Credit { remaining: Minor(remaining), priority, expires_at: expires_at.map(Timestamp) }
}

fn minors(amounts: &[i64]) -> Vec<Minor> {
    amounts.iter().copied().map(Minor).collect()
}

#[test]
fn credits_are_used_by_priority_then_by_expiry() {
    let credits = [
        credit(100, 1, None),
        credit(100, 0, None),
        credit(100, 0, Some(50)),
        credit(100, 0, Some(10)),
    ];
    let settled = settle(&minors(&[150]), &credits, Timestamp(10)).unwrap();
    assert_eq!(settled.used, minors(&[0, 50, 100, 0]), "the last one expired at 10");
    assert_eq!(settled.due, Minor(0));
}

#[test]
fn credits_pay_lines_in_order_and_never_more_than_the_total() {
    let settled = settle(&minors(&[100, -30, 50]), &[credit(1000, 0, None)], Timestamp(0)).unwrap();
    assert_eq!(settled.line_credits, minors(&[100, 0, 20]));
    assert_eq!((settled.used, settled.due), (minors(&[120]), Minor(0)));
    let refund = settle(&minors(&[-30]), &[credit(1000, 0, None)], Timestamp(0)).unwrap();
    assert_eq!((refund.used, refund.due), (minors(&[0]), Minor(-30)));
}

#[test]
fn a_credit_below_zero_pays_nothing() {
    let settled = settle(&minors(&[100]), &[credit(-50, 0, None)], Timestamp(0)).unwrap();
    assert_eq!((settled.used, settled.due), (minors(&[0]), Minor(100)));
}

proptest! {
    #[test]
    fn nothing_is_lost(
        amounts in prop::collection::vec(-1_000_i64..1_000, 0..6),
        credits in prop::collection::vec((0_i64..1_000, 0_u32..3, prop::option::of(0_i64..100)), 0..6),
    ) {
        let credits: Vec<Credit> = credits.into_iter().map(|(left, rank, end)| credit(left, rank, end)).collect();
        let settled = settle(&minors(&amounts), &credits, Timestamp(50)).unwrap();
        let total: i64 = amounts.iter().sum();
        let used: i64 = settled.used.iter().map(|used| used.0).sum();
        let paid: i64 = settled.line_credits.iter().map(|paid| paid.0).sum();
        prop_assert_eq!((used, settled.due.0), (paid, total - paid));
        prop_assert!(settled.due.0 >= total.min(0));
        for (credit, used) in credits.iter().zip(&settled.used) {
            prop_assert!((0..=credit.remaining.0).contains(&used.0));
        }
    }

    #[test]
    fn no_numbers_panic(amounts: Vec<i64>, left: i64) {
        let _ = settle(&minors(&amounts), &[credit(left, 0, None), credit(i64::MAX, 0, None)], Timestamp(0));
    }
}
