use keytoll_domain::limits::Standings;

use super::{put_limits, put_text};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("it is text")
}

#[test]
fn no_limits_are_an_empty_list() {
    assert_eq!(written(|out| put_limits(out, &Standings::default())), "[]");
}

#[test]
fn texts_of_a_question_are_escaped() {
    let text = written(|out| put_text(out, "a\"b\\c\n\u{1}</é"));
    assert_eq!(text, r#""a\"b\\c\n\u0001</é""#);
    assert_eq!(serde_json::from_str::<String>(&text).expect("it is JSON"), "a\"b\\c\n\u{1}</é");
}
