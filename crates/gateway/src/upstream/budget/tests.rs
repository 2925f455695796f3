use super::*;

#[test]
fn repeats_are_a_share_of_the_calls_of_the_last_spans() {
    let budgets = Budgets::default();
    let taken = |tick| (0..1000).filter(|_| budgets.take(3, tick, 20)).count();
    assert_eq!(taken(0), 5, "the floor");
    for _ in 0..100 {
        budgets.called(3, 0);
    }
    assert_eq!(taken(1), 15, "20 of 100, 5 of which are used");
    assert_eq!(taken(ticks_per_span()), 0, "the span before still counts");
    assert_eq!(taken(2 * ticks_per_span()), 5, "long ago");
    assert!(!budgets.take(4, 0, 0), "no share at all");
}
