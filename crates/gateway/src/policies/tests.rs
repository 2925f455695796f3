use std::collections::BTreeMap;

use keytoll_domain::catalog::{Deprecation, HeaderRules, Maintenance};
use keytoll_domain::time::Timestamp;

use super::{Notice, Rules, deprecation_lines};

fn rules(set: &[(&str, &str)], remove: &[&str]) -> HeaderRules {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    HeaderRules {
        set: set.iter().map(owned).collect::<BTreeMap<_, _>>(),
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn rules_replace_and_remove_lines_in_any_spelling() {
    let rules = Rules::of(&rules(&[("x-tier", "gold")], &["cookie", "x-old"])).expect("rules");
    let mut head =
        b"GET / HTTP/1.1\r\nX-Tier: a\r\nAccept: b\r\nx_tier: c\r\nCOOKIE: d\r\nX-Older: e\r\n"
            .to_vec();
    let start = head.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    rules.apply(&mut head, start);
    let text = String::from_utf8(head).expect("text");
    assert_eq!(text, "GET / HTTP/1.1\r\nAccept: b\r\nX-Older: e\r\nx-tier: gold\r\n");
}

#[test]
fn rules_never_touch_framing_nor_split_a_head() {
    assert!(Rules::of(&rules(&[("content-length", "1")], &["transfer-encoding"])).is_none());
    assert!(Rules::of(&rules(&[("x-a", "1\r\nx-b: 2"), ("x a", "1")], &["connection"])).is_none());
}

#[test]
fn notices_are_fit_for_json_and_count_down() {
    let notice = Notice::of(&Maintenance {
        message: Some("Back \"soon\"\n".into()),
        until: Some(Timestamp::from_secs(100)),
    });
    assert_eq!(notice.detail.as_deref(), Some("Back \\\"soon\\\"\\n"));
    assert_eq!(notice.at(Timestamp(1)).retry_after_secs, Some(100));
    assert_eq!(notice.at(Timestamp::from_secs(100)).retry_after_secs, None);
}

#[test]
fn deprecation_is_told_in_three_lines() {
    let lines = deprecation_lines(&Deprecation {
        at: Timestamp::from_secs(1_798_761_600),
        sunset: Some(Timestamp::from_secs(1_814_313_600)),
        link: Some("https://example.com/end".into()),
    });
    assert_eq!(
        std::str::from_utf8(&lines).expect("text"),
        "deprecation: @1798761600\r\nsunset: Wed, 30 Jun 2027 00:00:00 GMT\r\n\
         link: <https://example.com/end>; rel=\"deprecation\"\r\n"
    );
}
