//! The portal as a person uses it, in a real browser.

use keytoll_tests::catalog::{plan, sell};
use keytoll_tests::portal::PASSWORD;
use keytoll_tests::upstream::Upstream;
use keytoll_tests::wait;
use keytoll_tests::webdriver::Browser;
use serde_json::json;

#[test]
fn stranger_signs_up_buys_makes_a_key_calls_and_sees_the_call() {
    let upstream = Upstream::start();
    let starter =
        plan("starter", &json!({"price_monthly": "49", "quota": {"calls": 500, "hard": true}}));
    let server = sell(&upstream, &json!([starter]));
    let page = |path: &str| format!("http://{}{path}", server.portal);
    let browser = Browser::open();

    browser.go(&page("/signup"));
    browser.picture("signup");
    browser.fill("email", "person@example.test");
    browser.fill("password", PASSWORD);
    browser.fill("partner_name", "Example Person");
    browser.press("Create account");
    browser.wait_for("Example Person");
    browser.picture("after-signup");

    browser.press("Log out");
    browser.go(&page("/login"));
    browser.picture("login");
    browser.fill("email", "person@example.test");
    browser.fill("password", PASSWORD);
    browser.press("Log in");
    browser.wait_for("Example Person");

    browser.go(&page("/products/items"));
    browser.wait_for("/items/{id}");
    browser.picture("product");
    browser.press("Choose starter");
    browser.picture("subscribe");
    browser.press("Subscribe for");
    browser.wait_for("You are subscribed to");
    browser.picture("subscribed");

    browser.go(&page("/keys"));
    browser.picture("keys-empty");
    browser.press("Create key");
    browser.fill("name", "Production integration");
    browser.picture("key-form");
    browser.press("Create key");
    browser.wait_for("sk_live_");
    browser.picture("key-secret");
    let secret = secret_on(&browser.text());

    for _ in 0..3 {
        server.call("/items/items/1", &secret).expect(200);
    }
    browser.go(&page("/keys"));
    browser.wait_for("Production integration");
    assert!(!browser.text().contains(&secret), "the secret is shown once");
    browser.picture("keys");
    wait::until_true("the dashboard to show the calls", || {
        browser.go(&page("/dashboard"));
        let text = browser.text();
        text.to_lowercase().contains("requests today")
            && text.lines().any(|line| line.trim() == "3")
    });
    browser.picture("dashboard");
    browser.resize(390, 844);
    browser.picture("dashboard-narrow");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

/// The whole key in the text of a page.
fn secret_on(text: &str) -> String {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let found = words.find(|word| word.starts_with("sk_live_") && word.len() > 40);
    found.expect("the page shows a whole key").to_owned()
}
