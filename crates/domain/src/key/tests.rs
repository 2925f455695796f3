use super::*;

#[test]
fn a_secret_is_never_debugged() {
    let key = PlainKey::new("sk_live_very_secret".into());
    assert_eq!(format!("{key:?}"), "PlainKey(…)");
    assert_eq!(format!("{:?}", key.hash()), "KeyHash(…)");
}

#[test]
fn a_hash_is_sha256_in_hex() {
    let hash = KeyHash::of(b"abc");
    assert_eq!(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(KeyHash::from_hex(&hash.hex().to_uppercase()), Some(hash));
    assert_eq!(KeyHash::from_hex("ba78"), None);
    assert_eq!(KeyHash::from_hex(&"é".repeat(32)), None);
}

#[test]
fn an_allowlist_entry_is_an_address_or_a_network() {
    let shown = |text| parse_allowed_ip(text).map(|net: IpNet| net.to_string());
    assert_eq!(shown("10.0.0.7").as_deref(), Some("10.0.0.7/32"));
    assert_eq!(shown("10.0.0.7/8").as_deref(), Some("10.0.0.0/8"));
    assert_eq!(shown("2001:db8::1").as_deref(), Some("2001:db8::1/128"));
    for bad in ["10.255.256.0/24", "::1/129", "", "localhost"] {
        assert_eq!(shown(bad), None, "{bad}");
    }
}

#[test]
fn a_rolled_name_says_so_once_and_stays_within_bounds() {
    assert_eq!(rolled_name("a"), "a (rolled)");
    assert_eq!(rolled_name("a (rolled)"), "a (rolled)");
    let long = rolled_name(&"é".repeat(100));
    assert_eq!(long.chars().count(), 100);
    assert!(long.ends_with("é (rolled)"));
    assert_eq!(rolled_name(&long), long);
}
