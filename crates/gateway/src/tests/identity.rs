//! What upstreams are told about who calls, and that nobody else can tell them.

use keytoll_domain::ids::{KeyId, PartnerId};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::support::*;
use crate::SigningSecret;

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

/// The signature that the guide's snippet expects of a request's head.
fn expected(secret: &str, head: &str) -> String {
    let field = |name: &str| {
        let start = format!("{name}: ");
        head.split("\r\n").find_map(|line| line.strip_prefix(&start)).unwrap_or_default()
    };
    let mut line = head.split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let (id, key) = (field("x-request-id"), field("x-keytoll-key-id"));
    let seconds = NOON / 1_000_000;
    let text = format!("{seconds}\n{method}\n{target}\n{id}\n{key}");
    let secret: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&secret[at..at + 2], 16).unwrap()).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(text.as_bytes());
    let code = mac.finalize().into_bytes();
    format!("t={seconds},v1={}", SigningSecret::new(code.into()).to_hex())
}

#[test]
fn signed_requests_can_be_verified_with_the_products_secret() {
    let secret = SigningSecret::new([7; 32]);
    for (identity_headers, keyless) in [(true, false), (false, false), (true, true)] {
        let upstream = Upstream::new();
        let mut setup = Setup::new(&upstream);
        setup.settings.sign_requests = true;
        setup.settings.identity_headers = identity_headers;
        if keyless {
            setup.settings.key_from = Vec::new();
        }
        let installation = secret.clone();
        setup.options = Box::new(move |options| options.signing_secret = Some(installation));
        let world = setup.start();
        for line in ["GET /zoo/animals?a=b%20c&d", "DELETE /zoo/animals/7"] {
            let fields = format!("X-API-Key: {KEY}\r\nX-Keytoll-Signature: t=1,v1=forged\r\n");
            assert_eq!(world.call(line, &fields).status, 200);
            let head = upstream.last();
            let signatures: Vec<_> = head
                .split("\r\n")
                .filter_map(|l| l.strip_prefix("x-keytoll-signature: "))
                .collect();
            assert_eq!(signatures, [expected(&secret.of_product("zoo"), &head)], "{head}");
        }
        assert!(upstream.seen()[0].starts_with("GET /base/animals?a=b%20c&d "));
    }
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
