use super::{
    Cache, ENTRY_MAX_BYTES, Hit, Lines, Lookup, RequestView, TOTAL_DEFAULT_BYTES, Ticket,
    VARIANTS_MAX, date,
};

/// 2026-11-22T08:00:00Z.
const NOW: u64 = 1_795_334_400;
const DATE: &str = "Sun, 22 Nov 2026 08:00:00 GMT";

type Given<'r> = &'r [(&'r str, &'r str)];

struct Rig {
    cache: Cache,
}

impl Rig {
    fn new() -> Self {
        Self { cache: Cache::new(TOTAL_DEFAULT_BYTES) }
    }

    fn lookup(&self, method: &str, target: &str, headers: &[(&str, &str)], now: u64) -> Lookup {
        let headers = lines(headers);
        self.cache.lookup(&view(method, target, &headers), now)
    }

    fn hit(&self, headers: &[(&str, &str)], now: u64) -> Option<Hit> {
        match self.lookup("GET", "/pens", headers, now) {
            Lookup::Hit(hit) => Some(hit),
            Lookup::Miss(_) | Lookup::Refused => None,
        }
    }

    /// Asks, and answers as the upstream; tells whether the answer was taken.
    fn fill(&self, asked: &[(&str, &str)], status: u16, answer: &[(&str, &str)]) -> bool {
        let Some(mut ticket) = self.ticket("/pens", asked) else { return false };
        let taken = ticket.offer(status, &lines(answer), NOW) && ticket.push(b"pens");
        self.cache.keep(ticket);
        taken
    }

    fn ticket(&self, target: &str, asked: &[(&str, &str)]) -> Option<Ticket> {
        match self.lookup("GET", target, asked, NOW) {
            Lookup::Miss(ticket) => ticket.map(|ticket| *ticket),
            Lookup::Hit(_) | Lookup::Refused => None,
        }
    }
}

fn lines<'r>(headers: &[(&'r str, &'r str)]) -> Vec<(&'r str, &'r [u8])> {
    headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

fn view<'r>(method: &'r str, target: &'r str, headers: Lines<'r>) -> RequestView<'r> {
    RequestView { space: "pens live", method, target, headers, identified: false }
}

#[test]
fn offer_takes_only_answers_that_may_be_kept() {
    let fresh = ("Cache-Control", "max-age=60");
    let cases: [(u16, Given<'_>, bool); 30] = [
        (200, &[fresh], true),
        (203, &[fresh], true),
        (204, &[fresh], true),
        (300, &[fresh], true),
        (301, &[fresh], true),
        (404, &[fresh], true),
        (410, &[fresh], true),
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
        ("max-age=60, must-revalidate", true),
    ];
    for (control, expected) in cases {
        let answer = [("Cache-Control", control)];
        assert_eq!(Rig::new().fill(&[("authorization", "Basic x")], 200, &answer), expected);
        assert_eq!(Rig::new().fill(&[("Cookie", "session=x")], 200, &answer), expected);
        let rig = Rig::new();
        let mut request = view("GET", "/pens", &[]);
        request.identified = true;
        let Lookup::Miss(Some(mut ticket)) = rig.cache.lookup(&request, NOW) else {
            panic!("nothing is kept yet");
        };
        assert_eq!(ticket.offer(200, &lines(&answer), NOW), expected, "{control}");
    }
    let vary = [("Cache-Control", "public, max-age=60"), ("Vary", "Authorization")];
    assert!(!Rig::new().fill(&[], 200, &vary));
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
    assert_eq!((hit.age_secs, hit.not_modified, &hit.entry.body[..]), (15, false, &b"pens"[..]));
    assert!(hit.entry.headers.iter().all(|(name, _)| &**name != "Age"));
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
}

#[test]
fn lookup_heeds_what_the_request_asks_for() {
    let rig = Rig::new();
    assert!(rig.fill(&[], 200, &[("Cache-Control", "max-age=60")]));
    let cases: [(&str, &str, bool); 11] = [
        ("cache-control", "max-age=20", true),
        ("cache-control", "max-age=19", false),
        ("cache-control", "max-age=x", false),
        ("cache-control", "min-fresh=40", true),
        ("cache-control", "min-fresh=41", false),
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
    let only = [("cache-control", "only-if-cached")];
    assert!(matches!(rig.lookup("GET", "/other", &only, NOW), Lookup::Refused));
    assert!(matches!(
        rig.lookup("GET", "/x", &[("cache-control", "no-store")], NOW),
        Lookup::Miss(None)
    ));
    assert!(matches!(
        rig.lookup("GET", "/x", &[("cache-control", "no-cache")], NOW),
        Lookup::Miss(Some(_))
    ));
    assert!(matches!(rig.lookup("HEAD", "/pens", &[], NOW), Lookup::Hit(_)));
    assert!(matches!(rig.lookup("HEAD", "/x", &[], NOW), Lookup::Miss(None)));
    assert!(matches!(rig.lookup("POST", "/pens", &[], NOW), Lookup::Miss(None)));
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
        assert!(hit.entry.not_modified_headers().all(|(name, _)| name != "Content-Type"));
        assert_eq!(hit.entry.not_modified_headers().count(), 3);
    }
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
fn answered_forgets_what_an_unsafe_request_may_have_changed() {
    let answer = [("Cache-Control", "max-age=60")];
    for (method, status, goes) in
        [("POST", 201, true), ("DELETE", 204, true), ("PUT", 409, false), ("GET", 200, false)]
    {
        let rig = Rig::new();
        assert!(rig.fill(&[], 200, &answer));
        rig.cache.answered(&view(method, "/pens", &[]), status);
        assert_eq!(rig.hit(&[], NOW).is_none(), goes, "{method} {status}");
    }
    let rig = Rig::new();
    let mut late = rig.ticket("/pens", &[]).expect("a ticket");
    assert!(late.offer(200, &lines(&answer), NOW) && late.push(b"old"));
    rig.cache.answered(&view("PATCH", "/pens", &[]), 200);
    rig.cache.keep(late);
    assert!(rig.hit(&[], NOW).is_none(), "it was asked for before the change");
}

#[test]
fn keep_is_bounded_in_every_way() {
    let rig = Rig::new();
    let answer = lines(&[("Cache-Control", "max-age=60")]);
    let mut ticket = rig.ticket("/big", &[]).expect("a ticket");
    assert!(ticket.offer(200, &answer, NOW));
    assert!(!ticket.push(&vec![0; ENTRY_MAX_BYTES]));
    assert!(!ticket.push(b"more"));
    rig.cache.keep(ticket);
    assert_eq!(rig.cache.bytes(), 0);
    let announced = lines(&[("Cache-Control", "max-age=60"), ("Content-Length", "262144")]);
    assert!(!rig.ticket("/big", &[]).expect("a ticket").offer(200, &announced, NOW));
    assert!(rig.ticket(&format!("/{}", "x".repeat(5_000)), &[]).is_none());
    let long = "x".repeat(20_000);
    assert!(rig.ticket("/pens", &[("x-long", &long)]).is_none());

    let small = Cache::new(1_000_000);
    let rig = Rig { cache: small };
    let put = |index: usize| {
        let mut ticket = rig.ticket(&format!("/{index}"), &[]).expect("a ticket");
        assert!(ticket.offer(200, &answer, NOW) && ticket.push(&vec![0; 50_000]));
        rig.cache.keep(ticket);
    };
    for index in 0..100 {
        put(index);
        assert!(index == 0 || matches!(rig.lookup("GET", "/0", &[], NOW), Lookup::Hit(_)));
        assert!(rig.cache.bytes() <= 1_000_000);
    }
    assert!(rig.cache.bytes() > 900_000);
    assert!(rig.ticket("/1", &[]).is_some(), "the longest unused go first");
}

#[test]
fn headers_of_the_connection_are_not_kept() {
    let rig = Rig::new();
    let answer = [
        ("Cache-Control", "max-age=60"),
        ("Connection", "close, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("X-Keytoll-Units", "3"),
    ];
    assert!(rig.fill(&[], 200, &answer));
    let hit = rig.hit(&[], NOW).expect("it is fresh");
    let names: Vec<&str> = hit.entry.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["Cache-Control", "X-Keytoll-Units"]);
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
