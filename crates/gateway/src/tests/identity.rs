//! What upstreams are told about who calls, and that nobody else can tell them.

use keytoll_domain::ids::{KeyId, PartnerId};

use super::support::*;

const FORGED: &str =
    "X-Keytoll-Key-Id: key_forged\r\nx_keytoll_plan: gold\r\nX-Keytoll-Extra: forged\r\n";

fn told(head: &str) -> Vec<String> {
    let fields = head.split("\r\n").filter(|line| line.contains("keytoll"));
    fields.map(str::to_owned).collect()
}

#[test]
fn upstream_is_told_who_calls_and_never_by_the_client() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.keys[0].scopes = vec!["zoo:read".into(), "zoo:feed".into()];
    let world = setup.start();
    let fields = format!("X-API-Key: {KEY}\r\n{FORGED}");
    assert_eq!(world.call("GET /zoo/animals", &fields).status, 200);
    let expected = [
        format!("x-keytoll-key-id: {}", KeyId::from_bytes([7; 16])),
        format!("x-keytoll-partner-id: {}", PartnerId::from_bytes([1; 16])),
        format!("x-keytoll-subscription-id: {}", subscription_id()),
        "x-keytoll-plan: basic".to_owned(),
        "x-keytoll-scopes: zoo:read zoo:feed".to_owned(),
        "x-keytoll-environment: live".to_owned(),
    ];
    assert_eq!(told(&upstream.last()), expected);
}

#[test]
fn upstream_is_told_nothing_when_the_product_says_so_or_has_no_keys() {
    for keyless in [true, false] {
        let upstream = Upstream::new();
        let mut setup = Setup::new(&upstream);
        if keyless {
            setup.settings.key_from = Vec::new();
        } else {
            setup.settings.identity_headers = false;
        }
        let world = setup.start();
        let fields = format!("X-API-Key: {KEY}\r\n{FORGED}");
        assert_eq!(world.call("GET /zoo/animals", &fields).status, 200);
        assert_eq!(told(&upstream.last()), [""; 0]);
    }
}
