//! The harness itself: what the other tests conclude rests on it.

use keytoll_tests::http::{Connection, Request};
use keytoll_tests::upstream::Upstream;
use keytoll_tests::webdriver::Browser;

#[test]
fn upstream_records_requests_byte_by_byte() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address()).expect("the stub accepts");
    let first = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    connection.write(first).expect("the stub reads");
    connection.write(b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n").expect("the stub reads");
    assert_eq!(connection.read_response(false).expect("an answer").status, 200);
    assert_eq!(connection.read_response(false).expect("an answer").status, 200);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].raw, first);
    assert_eq!(seen[0].body, b"hi");
    assert_eq!(seen[1].target, "/second");
}

#[test]
fn upstream_answers_as_told() {
    let upstream = Upstream::start();
    upstream.answer_with(418, "text/plain", "short and stout");
    let answer = Request::get("/").send(upstream.address()).expect("an answer").expect(418);
    assert_eq!(answer.text(), "short and stout");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn browser_shows_and_clicks_a_page() {
    let upstream = Upstream::start();
    let page =
        "<form action=/next><label>Name <input name=who></label><button>Go on</button></form>";
    upstream.answer_with(200, "text/html", page);
    let browser = Browser::open();
    browser.go(&upstream.url());
    browser.fill("who", "someone");
    browser.press("go on");
    browser.wait_for("Name");
    assert!(browser.url().ends_with("/next?who=someone"), "{}", browser.url());
}
