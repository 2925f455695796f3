use super::*;

#[test]
fn plain_paths() {
    for good in [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/a/.b",
        "/a/...",
        "/a/..b",
        "/a%20b",
        "/a%2Fb",
        "/~x;v=1/y",
        "/a:b@c",
    ] {
        assert!(is_plain(good), "{good}");
    }
    for bad in [
        "",
        "a",
        "*",
        "//",
        "/a//b",
        "/.",
        "/..",
        "/a/./b",
        "/a/../b",
        "/%2e",
        "/%2E%2e/",
        "/.%2e",
        "/..;a",
        "/.;",
        "/a\\b",
        "/%5C",
        "/%00",
        "/%",
        "/%1",
        "/%g0",
        "/a%2f..",
        "/a%2f%2e%2e%2fb",
        "/é",
        "/a b",
        "/a#b",
        "/\u{7f}",
        "/..%2f",
    ] {
        assert!(!is_plain(bad), "{bad}");
    }
}

#[test]
fn simple_paths_are_plain_ones() {
    let mut simple = 0;
    for number in 0..7u32.pow(6) {
        let digit = |place: u32| usize::try_from(number / 7u32.pow(place) % 7).unwrap();
        let path: Vec<u8> = (0..6).map(|place| b"/a.%2e;"[digit(place)]).collect();
        for path in [&path[..], &path[..3]] {
            assert!(!is_simple(path) || is_plain_of_any(path), "{}", path.escape_ascii());
            simple += u32::from(is_simple(path));
        }
    }
    assert!(simple > 1000, "{simple}");
    for byte in 0..=255u8 {
        let path = [b'/', b'a', byte];
        assert!(!is_simple(&path) || is_plain_of_any(&path), "{byte}");
    }
    for simple in ["/", "/a/", "/a/b.c/d", "/v1/auth/a-b_c~d/1"] {
        assert!(is_simple(simple.as_bytes()), "{simple}");
    }
}
