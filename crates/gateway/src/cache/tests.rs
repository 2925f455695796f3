use std::sync::Arc;

use keytoll_domain::time::Timestamp;

use super::{
    Cache, ENTRY_MAX_BYTES, Hit, Lookup, Playback, RequestView, TOTAL_MAX_BYTES, Taking, Ticket,
    VARIANTS_MAX, date,
};
use crate::upstream::head::Head;

/// 2026-11-22T08:00:00Z.
const NOW: u64 = 1_795_334_400;
const DATE: &str = "Sun, 22 Nov 2026 08:00:00 GMT";

type Given<'r> = &'r [(&'r str, &'r str)];

struct Rig {
    cache: Arc<Cache>,
}

impl Rig {
    fn new() -> Self {
        Self::of(TOTAL_MAX_BYTES)
    }

    fn of(total_bytes: usize) -> Self {
        Self { cache: Arc::new(Cache::new(total_bytes)) }
    }

    fn lookup(&self, method: &str, target: &str, asked: Given<'_>, now_secs: u64) -> Lookup {
        let fields = lines(asked);
        self.cache.lookup(&RequestView { now_secs, ..view(method, target, &fields) })
    }

    fn hit(&self, asked: Given<'_>, now_secs: u64) -> Option<Hit> {
        match self.lookup("GET", "/pens", asked, now_secs) {
            Lookup::Hit(hit) => Some(hit),
            Lookup::Miss(_) | Lookup::Bypass | Lookup::Refused => None,
        }
    }

    /// Asks, and answers as the upstream; tells whether the answer was taken.
    fn fill(&self, asked: Given<'_>, status: u16, answer: Given<'_>) -> bool {
        let Some(ticket) = self.ticket("/pens", asked) else { return false };
        let taking = offer(ticket, status, answer);
        let Some(mut taking) = taking else { return false };
        let taken = taking.push(b"pens");
        taking.keep();
        taken
    }

    fn ticket(&self, target: &str, asked: Given<'_>) -> Option<Ticket> {
        match self.lookup("GET", target, asked, NOW) {
            Lookup::Miss(ticket) => ticket.map(|ticket| *ticket),
            Lookup::Hit(_) | Lookup::Bypass | Lookup::Refused => None,
        }
    }
}

fn offer(ticket: Ticket, status: u16, answer: Given<'_>) -> Option<Taking> {
    let head = head(status, answer);
    let length = head.fields.named("content-length").next();
    let length = length.map(|text| String::from_utf8_lossy(text).parse().expect("a number"));
    ticket.offer(&head, length, at(NOW))
}

fn at(secs: u64) -> Timestamp {
    Timestamp(i64::try_from(secs).expect("a time of this age") * 1_000_000)
}

fn lines(fields: Given<'_>) -> Vec<u8> {
    let lines: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    lines.concat().into_bytes()
}

fn head(status: u16, fields: Given<'_>) -> Head {
    let mut head = Head::of_status(status);
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

fn view<'r>(method: &'r str, target: &'r str, fields: &'r [u8]) -> RequestView<'r> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (space, identified) = ("pens live\0", false);
    RequestView { space, method, path, query, fields, identified, now_secs: NOW }
}

fn names(head: &Head) -> Vec<String> {
    let names = head.fields.iter().map(|field| field.name.to_ascii_lowercase());
    names.map(|name| String::from_utf8(name).expect("a name")).collect()
}

#[test]
fn offer_takes_only_answers_that_may_be_kept() {
    let fresh = ("Cache-Control", "max-age=60");
    let cases: [(u16, Given<'_>, bool); 33] = [
        (200, &[fresh], true),
        (203, &[fresh], true),
        (204, &[fresh], true),
        (300, &[fresh], true),
        (301, &[fresh], true),
        (404, &[fresh], true),
        (410, &[fresh], true),
        (308, &[fresh], true),
        (201, &[fresh], false),
        (206, &[fresh], false),
        (302, &[fresh], false),
        (304, &[fresh], false),
        (500, &[fresh], false),
        (200, &[], false),
        (200, &[("Last-Modified", DATE), ("Cache-Control", "public")], false),
        (200, &[("Cache-Control", "max-age=0")], false),
        (200, &[("Cache-Control", "max-age=60, no-store")], false),
        (200, &[fresh, ("cache-control", "NO-STORE")], false),
        (200, &[("Cache-Control", "max-age=60, private")], false),
        (200, &[("Cache-Control", "max-age=60, private=\"x, y\"")], false),
        (200, &[("Cache-Control", "max-age=60, no-cache")], false),
        (200, &[("Cache-Control", "max-age=60, x=\"a, no-store\"")], true),
        (200, &[("Cache-Control", "max-age=60, s-maxage=0")], false),
        (200, &[("Cache-Control", "max-age=0, s-maxage=60")], true),
        (200, &[("Cache-Control", "max-age=60, max-age=0")], false),
        (200, &[("Cache-Control", "max-age=soon")], false),
        (200, &[fresh, ("Set-Cookie", "a=1")], false),
        (200, &[fresh, ("Vary", "Accept, *")], false),
        (200, &[fresh, ("Age", "60")], false),
        (200, &[("Date", DATE), ("Expires", "Sun, 22 Nov 2026 08:00:30 GMT")], true),
        (200, &[("Date", DATE), ("Expires", "0")], false),
        (200, &[("Expires", "Sun, 22 Nov 2026 08:00:30 GMT"), ("Pragma", "no-cache")], false),
        (200, &[fresh, ("Pragma", "no-cache")], true),
    ];
    for (status, answer, expected) in cases {
        let rig = Rig::new();
        assert_eq!(rig.fill(&[], status, answer), expected, "{status} {answer:?}");
        assert_eq!(rig.hit(&[], NOW).is_some(), expected, "{status} {answer:?}");
    }
}

#[test]
fn offer_keeps_answers_to_identified_requests_only_when_told() {
    let cases = [
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", false),
    ];
    for (control, expected) in cases {
        let answer = [("Cache-Control", control)];
        assert_eq!(Rig::new().fill(&[("authorization", "Basic x")], 200, &answer), expected);
        assert_eq!(Rig::new().fill(&[("Cookie", "session=x")], 200, &answer), expected);
        let rig = Rig::new();
        let request = RequestView { identified: true, ..view("GET", "/pens", &[]) };
        let Lookup::Miss(Some(ticket)) = rig.cache.lookup(&request) else {
            panic!("nothing is kept yet");
        };
        assert_eq!(offer(*ticket, 200, &answer).is_some(), expected, "{control}");
        // What was kept for the nameless is for those with a name only if it is for all.
        assert!(rig.fill(&[], 200, &answer));
        assert_eq!(matches!(rig.cache.lookup(&request), Lookup::Hit(_)), expected, "{control}");
        assert!(rig.hit(&[], NOW).is_some());
    }
    let vary = [("Cache-Control", "public, max-age=60"), ("Vary", "Authorization")];
    assert!(!Rig::new().fill(&[("authorization", "Basic x")], 200, &vary));
    let rig = Rig::new();
    assert!(rig.fill(&[], 200, &vary), "the key was taken out");
    assert!(rig.hit(&[("authorization", "Basic x")], NOW).is_none());
    assert!(rig.hit(&[], NOW).is_some());
}

#[test]
fn lookup_serves_until_the_age_is_the_lifetime() {
    let rig = Rig::new();
    assert!(rig.fill(
        &[],
        200,
        &[("Cache-Control", "max-age=60"), ("Age", "10"), ("ETag", "\"1\"")]
    ));
    let hit = rig.hit(&[], NOW + 5).expect("it is fresh");
    let body = Playback::of(&hit.entry).expect("a body");
    assert_eq!((hit.age_secs, hit.not_modified, body.rest()), (15, false, &b"pens"[..]));
    assert_eq!(names(&hit.entry.head), ["cache-control", "etag", "date"]);
    drop((body, hit));
    assert!(rig.hit(&[], NOW - 100).is_some(), "a clock that was set back");
    assert!(rig.hit(&[], NOW + 49).is_some());
    assert!(rig.hit(&[], NOW + 50).is_none());
    assert_eq!(rig.cache.bytes(), 0);
    // What its date shows counts where it says no age.
    assert!(rig.fill(
        &[],
        200,
        &[("Cache-Control", "max-age=60"), ("Date", "Sun, 22 Nov 2026 07:59:30 GMT")]
    ));
    assert_eq!(rig.hit(&[], NOW).expect("it is fresh").age_secs, 30);
    // The time that the answer took counts; of several ages the first does.
    let slow = RequestView { now_secs: NOW - 7, ..view("GET", "/slow", &[]) };
    let Lookup::Miss(Some(ticket)) = rig.cache.lookup(&slow) else { panic!("it is new") };
    let answer = [("Cache-Control", "max-age=60"), ("Age", "3, 20")];
    offer(*ticket, 200, &answer).expect("it is fresh").keep();
    let Lookup::Hit(hit) = rig.lookup("GET", "/slow", &[], NOW) else { panic!("it is kept") };
    assert_eq!(hit.age_secs, 10);
}

#[test]
fn lookup_heeds_what_the_request_asks_for() {
    let rig = Rig::new();
    assert!(rig.fill(&[], 200, &[("Cache-Control", "max-age=60")]));
    let cases: [(&str, &str, bool); 12] = [
        ("cache-control", "max-age=20", true),
        ("cache-control", "max-age=19", false),
        ("cache-control", "max-age=x", false),
        ("cache-control", "min-fresh=40", true),
        ("cache-control", "min-fresh=41", false),
        ("cache-control", "max-age=60, max-age=0", false),
        ("cache-control", "no-cache", false),
        ("cache-control", "no-store", false),
        ("cache-control", "only-if-cached, max-stale=9", true),
        ("pragma", "no-cache", false),
        ("range", "bytes=0-1", false),
        ("if-match", "\"1\"", false),
    ];
    for (name, value, expected) in cases {
        assert_eq!(rig.hit(&[(name, value)], NOW + 20).is_some(), expected, "{name}: {value}");
    }
    assert!(rig.hit(&[("cache-control", "max-age=0")], NOW).is_none());
    let only = [("cache-control", "only-if-cached")];
    assert!(matches!(rig.lookup("GET", "/other", &only, NOW), Lookup::Refused));
    assert!(matches!(
        rig.lookup("GET", "/x", &[("cache-control", "no-store")], NOW),
        Lookup::Bypass
    ));
    assert!(matches!(
        rig.lookup("GET", "/x", &[("cache-control", "no-cache")], NOW),
        Lookup::Miss(Some(_))
    ));
    assert!(matches!(rig.lookup("HEAD", "/pens", &[], NOW), Lookup::Hit(_)));
    assert!(matches!(rig.lookup("HEAD", "/x", &[], NOW), Lookup::Miss(None)));
    assert!(matches!(rig.lookup("POST", "/pens", &[], NOW), Lookup::Bypass));
    assert!(matches!(rig.lookup("GET", "/pens?a", &[], NOW), Lookup::Miss(Some(_))));
}

#[test]
fn lookup_answers_conditions() {
    let rig = Rig::new();
    let answer = [
        ("Cache-Control", "max-age=60"),
        ("ETag", "W/\"a,b\""),
        ("Last-Modified", "Sun, 22 Nov 2026 07:00:00 GMT"),
        ("Content-Type", "text/plain"),
    ];
    assert!(rig.fill(&[], 200, &answer));
    let cases: [(&[(&str, &str)], bool); 8] = [
        (&[("if-none-match", "\"a,b\"")], true),
        (&[("if-none-match", "\"x\", W/\"a,b\"")], true),
        (&[("if-none-match", "*")], true),
        (&[("if-none-match", "\"a\", \"b\"")], false),
        (&[("if-modified-since", "Sun, 22 Nov 2026 07:00:00 GMT")], true),
        (&[("if-modified-since", "Sun, 22 Nov 2026 06:59:59 GMT")], false),
        (&[("if-modified-since", "yesterday")], false),
        (&[("if-none-match", "\"x\""), ("if-modified-since", DATE)], false),
    ];
    for (asked, expected) in cases {
        let hit = rig.hit(asked, NOW).expect("it is fresh");
        assert_eq!(hit.not_modified, expected, "{asked:?}");
        let known = hit.entry.not_modified();
        assert_eq!(known.status, 304);
        assert_eq!(names(&known), ["cache-control", "etag", "last-modified", "date"]);
    }
    // Without a time of its last change, the time when it was made counts.
    let rig = Rig::new();
    assert!(rig.fill(&[], 200, &[("Cache-Control", "max-age=60")]));
    assert!(rig.hit(&[("if-modified-since", DATE)], NOW).expect("it is fresh").not_modified);
}

#[test]
fn lookup_tells_variants_apart() {
    let rig = Rig::new();
    let answer = [("Cache-Control", "max-age=60"), ("Vary", "Accept-Language, accept")];
    assert!(rig.fill(&[("accept-language", "de")], 200, &answer));
    assert!(rig.hit(&[("Accept-Language", " de ")], NOW).is_some());
    assert!(rig.hit(&[("accept-language", "en")], NOW).is_none());
    assert!(rig.hit(&[("accept-language", "de"), ("accept", "*/*")], NOW).is_none());
    assert!(rig.hit(&[], NOW).is_none());
    for language in 0..40 {
        assert!(rig.fill(&[("accept-language", &language.to_string())], 200, &answer));
    }
    let kept =
        (0..40).filter(|one| rig.hit(&[("accept-language", &one.to_string())], NOW).is_some());
    assert_eq!(kept.count(), VARIANTS_MAX);
}

#[test]
fn lookup_tells_apart_what_a_target_was_called() {
    let rig = Rig::new();
    let answer = [("Cache-Control", "max-age=60")];
    let called = |host| [("x-forwarded-host", host), ("x-forwarded-proto", "https")];
    assert!(rig.fill(&called("evil.example"), 200, &answer));
    assert!(rig.hit(&called("api.example"), NOW).is_none());
    assert!(rig.fill(&called("api.example"), 200, &answer));
    let plain = [("x-forwarded-host", "api.example"), ("x-forwarded-proto", "http")];
    assert!(rig.hit(&plain, NOW).is_none());
    rig.cache.answered("pens live\0", "PUT", ("/pens", ""), 200);
    assert!(rig.hit(&called("evil.example"), NOW).is_none(), "a change is one under any name");
}

#[test]
fn answered_forgets_what_an_unsafe_request_may_have_changed() {
    let answer = [("Cache-Control", "max-age=60")];
    for (method, status, goes) in
        [("POST", 201, true), ("DELETE", 204, true), ("PUT", 409, false), ("GET", 200, false)]
    {
        let rig = Rig::new();
        assert!(rig.fill(&[], 200, &answer));
        rig.cache.answered("pens live\0", method, ("/pens", ""), status);
        assert_eq!(rig.hit(&[], NOW).is_none(), goes, "{method} {status}");
    }
    let rig = Rig::new();
    let late = rig.ticket("/pens", &[]).expect("a ticket");
    let mut late = offer(late, 200, &answer).expect("it may be kept");
    assert!(late.push(b"old"));
    rig.cache.answered("pens live\0", "PATCH", ("/pens", ""), 200);
    late.keep();
    assert!(rig.hit(&[], NOW).is_none(), "it was asked for before the change");
}

#[test]
fn keep_is_bounded_in_every_way() {
    let rig = Rig::new();
    let answer = [("Cache-Control", "max-age=60")];
    let big = offer(rig.ticket("/big", &[]).expect("a ticket"), 200, &answer);
    let mut big = big.expect("nothing is known of its length");
    assert!(big.push(&[0; 100]) && rig.cache.bytes() > 100);
    assert!(!big.push(&vec![0; ENTRY_MAX_BYTES]));
    drop(big);
    assert_eq!(rig.cache.bytes(), 0);
    let announced = [("Cache-Control", "max-age=60"), ("Content-Length", "262144")];
    assert!(offer(rig.ticket("/big", &[]).expect("a ticket"), 200, &announced).is_none());
    let long = format!("/{}", "x".repeat(5_000));
    assert!(matches!(rig.lookup("GET", &long, &[], NOW), Lookup::Bypass));

    let rig = Rig::of(1_000_000);
    let put = |index: usize| {
        let ticket = rig.ticket(&format!("/{index}"), &[]).expect("a ticket");
        let mut taking = offer(ticket, 200, &answer).expect("it may be kept");
        assert!(taking.push(&vec![0; 50_000]));
        taking.keep();
    };
    for index in 0..100 {
        put(index);
        assert!(index == 0 || matches!(rig.lookup("GET", "/0", &[], NOW), Lookup::Hit(_)));
        assert!(rig.cache.bytes() <= 750_000);
    }
    assert!(rig.cache.bytes() > 650_000);
    assert!(rig.ticket("/1", &[]).is_some(), "the longest unused go first");
}

#[test]
fn answers_that_are_still_read_and_those_on_their_way_count_against_the_bound() {
    let rig = Rig::of(1_000_000);
    let answer = [("Cache-Control", "max-age=60")];
    let mut read = Vec::new();
    let mut kept = 0;
    for index in 0..100 {
        let target = format!("/{index}");
        let taking = offer(rig.ticket(&target, &[]).expect("a ticket"), 200, &answer);
        if let Some(mut taking) = taking
            && taking.push(&vec![0; 50_000])
        {
            taking.keep();
            kept += 1;
        }
        // A slow client each, which holds what it reads.
        if let Lookup::Hit(hit) = rig.lookup("GET", &target, &[], NOW) {
            read.push(hit);
        }
        assert!(rig.cache.bytes() <= 1_000_000);
    }
    assert_eq!((kept, read.len()), (19, 19));
    drop(read);
    assert!(rig.cache.bytes() <= 750_000);
}

#[test]
fn a_change_spoils_only_what_shares_its_counter() {
    let rig = Rig::new();
    let answer = [("Cache-Control", "max-age=60")];
    let takings: Vec<Taking> = (0..64)
        .filter_map(|index| rig.ticket(&format!("/{index}"), &[]))
        .filter_map(|ticket| offer(ticket, 200, &answer))
        .collect();
    rig.cache.answered("pens live\0", "POST", ("/other", ""), 201);
    for taking in takings {
        taking.keep();
    }
    let kept = (0..64)
        .filter(|index| matches!(rig.lookup("GET", &format!("/{index}"), &[], NOW), Lookup::Hit(_)))
        .count();
    assert!(kept > 48, "{kept}");
}

#[test]
fn headers_of_the_connection_are_not_kept() {
    let rig = Rig::new();
    let answer = [
        ("Cache-Control", "max-age=60"),
        ("Connection", "close, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("X-Request-Id", "theirs"),
        ("X-Keytoll-Plan", "gold"),
        ("X-Keytoll-Units", "3"),
    ];
    assert!(rig.fill(&[], 200, &answer));
    let hit = rig.hit(&[], NOW).expect("it is fresh");
    assert_eq!(names(&hit.entry.head), ["cache-control", "x-keytoll-units", "date"]);
}

#[test]
fn dates_are_read_in_the_one_form_of_today() {
    let cases: [(&str, Option<u64>); 8] = [
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
        ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
        (DATE, Some(NOW)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", None),
        ("Sun Nov  6 08:49:37 1994", None),
        ("Sun, 06 Nov 1994 24:49:37 GMT", None),
        ("0", None),
    ];
    for (text, expected) in cases {
        assert_eq!(date::parse(text.as_bytes()), expected, "{text}");
    }
}
