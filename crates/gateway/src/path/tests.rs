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
