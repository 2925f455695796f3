use super::*;

/// A small deterministic generator (splitmix64), for tests only.
fn filler(mut state: u64) -> impl FnMut(&mut [u8]) {
    move |buffer| {
        for byte in buffer {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed >> 40 & 255) as u8;
        }
    }
}

fn make(format: KeyFormat, environment: Environment) -> NewSecret {
    generate(format, Grouping::default(), "sk", environment, &mut filler(1))
}

fn split(text: &str, parts: &[usize]) -> Vec<usize> {
    let lens: Vec<usize> = text.split('_').map(str::len).collect();
    assert_eq!(lens, parts, "{text}");
    lens
}

#[test]
fn each_preset_has_its_lengths_and_its_visible_prefix() {
    let made = make(KeyFormat::Default, Environment::Live);
    split(made.key.expose(), &[2, 4, 8, 49]);
    assert_eq!(made.prefix.len(), 16);

    let made = make(KeyFormat::Hex64, Environment::Live);
    assert_eq!((made.key.expose().len(), made.prefix.len()), (67, 8));
    let made = make(KeyFormat::Alnum48, Environment::Live);
    assert_eq!((made.key.expose().len(), made.prefix.len()), (51, 8));
    let made = make(KeyFormat::Base64url43, Environment::Test);
    assert!(made.key.expose().starts_with("sk_test_"));
    assert_eq!((made.key.expose().len(), made.prefix.len()), (51, 12));
    let made = make(KeyFormat::Hex8Base64url32, Environment::Test);
    assert_eq!((made.key.expose().len(), made.prefix.len()), (49, 16));
    for format in [KeyFormat::Default, KeyFormat::Hex64, KeyFormat::Grouped] {
        let made = make(format, Environment::Live);
        assert!(made.key.expose().starts_with(&made.prefix));
    }
}

#[test]
fn a_grouped_key_follows_its_shape() {
    let text = |grouping| {
        let made = generate(KeyFormat::Grouped, grouping, "sk", Environment::Live, &mut filler(3));
        made.key.expose().to_owned()
    };
    let groups = text(Grouping::default());
    assert_eq!(groups.split('-').map(str::len).collect::<Vec<_>>(), [8, 8, 8, 8]);
    assert!(groups.chars().all(|c| c == '-' || c.is_ascii_digit() || ('A'..='F').contains(&c)));
    let plain =
        Grouping { length: 16, split: false, case: LetterCase::Lower, ..Grouping::default() };
    let plain = text(plain);
    assert!(plain.len() == 16 && plain.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
    let mixed = text(Grouping { length: 255, case: LetterCase::Mixed, ..Grouping::default() });
    assert!(mixed.contains(|c: char| c.is_ascii_lowercase()));
    assert!(mixed.contains(|c: char| c.is_ascii_uppercase()));
}

#[test]
fn a_typo_in_a_default_key_is_seen_without_a_lookup() {
    let made = make(KeyFormat::Default, Environment::Live);
    let good = made.key.expose().as_bytes();
    assert!(may_be_a_key("sk", good));
    for at in 8..good.len() {
        let mut typo = good.to_vec();
        typo[at] = if typo[at] == b'0' { b'1' } else { b'0' };
        if at != 16 {
            assert!(!may_be_a_key("sk", &typo), "at {at}");
        }
    }
}

#[test]
fn keys_of_other_formats_are_left_to_the_lookup() {
    for format in [KeyFormat::Hex64, KeyFormat::Alnum48, KeyFormat::Base64url43, KeyFormat::Grouped]
    {
        let made = make(format, Environment::Live);
        assert!(may_be_a_key("sk", made.key.expose().as_bytes()));
    }
    assert!(may_be_a_key("sk", b"anything"));
}

#[test]
fn the_checksum_is_crc32_in_base62() {
    // CRC-32 of "123456789" is 0xCBF43926 = 3421780262 (the algorithm's published check value).
    assert_eq!(check_text(b"123456789"), "3jZRME");
    assert_eq!(check_text(b""), "000000");
}

#[test]
fn brands() {
    for good in ["sk", "acme-api", "K1"] {
        assert!(is_brand(good));
    }
    for bad in ["", "1k", "a_b", "a b", "averyveryverylongbrand"] {
        assert!(!is_brand(bad));
    }
    assert!(
        has_brand_form("sk", b"sk_live_x")
            && !has_brand_form("sk", b"skx_live")
            && !has_brand_form("sk", b"sk_")
    );
}

#[test]
fn every_character_of_the_alphabet_is_about_equally_likely() {
    let text = draw(BASE62, 62_000, &mut filler(9));
    for symbol in BASE62 {
        let count = text.bytes().filter(|b| b == symbol).count();
        assert!((800..1200).contains(&count), "{symbol} {count}");
    }
}
