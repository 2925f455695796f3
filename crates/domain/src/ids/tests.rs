use super::*;

#[test]
fn an_id_round_trips_with_its_prefix_only() {
    let id = KeyId::new(Timestamp::from_secs(1_700_000_000), [7; 10]);
    let text = id.to_string();
    assert!(text.starts_with("key_018bcfe5"), "{text}");
    assert_eq!(text.parse::<KeyId>(), Ok(id));
    assert!(text.parse::<PartnerId>().is_err());
    assert!(text.replace('_', "").parse::<KeyId>().is_err());
    assert!("key_".parse::<KeyId>().is_err());
}

#[test]
fn ids_sort_by_the_millisecond_they_were_made_in() {
    let early = KeyId::new(Timestamp(1_000_000), [255; 10]);
    let late = KeyId::new(Timestamp(1_001_000), [0; 10]);
    assert!(early < late && early.to_string() < late.to_string());
}

#[test]
fn a_request_has_one_spelling() {
    let id = RequestId(0x0190_1234_5678_7abc_8def_0123_4567_89ab);
    assert_eq!(id.to_string(), "01901234-5678-7abc-8def-0123456789ab");
    assert_eq!(id.to_string().parse(), Ok(id));
    for bad in
        ["", "x", "0190123456787abc8def0123456789ab", "{01901234-5678-7abc-8def-0123456789ab}"]
    {
        assert_eq!(bad.parse::<RequestId>(), Err(RequestIdError), "{bad}");
    }
}

#[test]
fn a_slug_is_refused_when_it_is_not_one() {
    for good in ["a", "shipment-tracking", "a1-", &"a".repeat(63)] {
        assert_eq!(Slug::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "1a", "-a", "a_b", "a b", "ä", "a/b", &"a".repeat(64)] {
        assert!(Slug::new(bad).is_err(), "{bad}");
    }
}
