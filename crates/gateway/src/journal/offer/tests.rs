use super::*;

#[test]
fn two_thousand_busy_keys_are_told_every_second_and_ten_thousand_every_few() {
    assert_eq!(wait_for(0), Duration::ZERO);
    assert!(wait_for(2_000 * 3) < Duration::from_secs(1));
    assert_eq!(wait_for(4_000 * 3), Duration::from_millis(3_300));
    assert_eq!(wait_for(usize::MAX), LONGEST_WAIT);
}
