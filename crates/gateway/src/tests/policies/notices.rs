//! Maintenance, an end to come, and how much is logged.

use keytoll_domain::catalog::{Deprecation, Maintenance};
use keytoll_domain::time::Timestamp;

use crate::options::AccessLog;
use crate::tests::support::{KEY, NOON, Setup, Sums, TOKEN, Then, Upstream, World, read_body};

#[test]
fn maintenance_is_told_to_known_keys_and_costs_nothing() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.plan.limits.minute = Some(5);
    setup.settings.maintenance = Some(Maintenance {
        message: Some("Back after the \"move\".".into()),
        until: Some(Timestamp(NOON).plus_secs(90)),
    });
    let world = setup.start();
    let answer = world.get("/zoo/animals");
    assert_eq!((answer.status, answer.code().as_str()), (503, "maintenance"));
    assert_eq!(answer.json()["detail"], "Back after the \"move\".");
    assert_eq!(answer.header("retry-after"), "90");
    assert_eq!(answer.header("x-ratelimit-remaining"), "5");
    assert_eq!(world.call("GET /zoo/animals", "").code(), "key_missing");
    assert_eq!(world.get("/zoo/nothing").code(), "no_such_operation");
    let fields = format!("X-Keytoll-Auth: {TOKEN}\r\nAuthorization: Bearer {KEY}\r\n");
    assert_eq!(world.call("GET /v1/auth/zoo/animals", &fields).code(), "maintenance");
    assert_eq!(world.get("/zoo/.keytoll/usage").status, 200);
    world.hands.advance_millis(90_000);
    let late = world.get("/zoo/animals");
    assert_eq!((late.status, late.header("retry-after")), (503, ""), "it does not end by itself");
    assert!(upstream.seen().is_empty());
    assert_eq!(world.sums(), Sums::default());
}

#[test]
fn maintenance_closes_products_without_keys() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.key_from = Vec::new();
    setup.settings.maintenance = Some(Maintenance::default());
    let world = setup.start();
    assert_eq!(world.call("GET /zoo/anything", "").code(), "maintenance");
    assert!(upstream.seen().is_empty());
}

fn end(day: i64, link: Option<&str>) -> Deprecation {
    let at = Timestamp::from_secs(1_798_761_600).plus_days(day);
    Deprecation { at, sunset: None, link: link.map(Into::into) }
}

#[test]
fn deprecation_of_an_operation_goes_before_the_products() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.settings.deprecation = Some(end(0, Some("https://example.com/end")));
    setup.product = Box::new(|product| product.operations[1].deprecation = Some(end(1, None)));
    let world = setup.start();
    let answer = world.get("/zoo/animals");
    assert_eq!(answer.header("deprecation"), "@1798761600");
    assert_eq!(answer.header("link"), "<https://example.com/end>; rel=\"deprecation\"");
    let own = world.get("/zoo/animals/7");
    assert_eq!((own.header("deprecation"), own.header("link")), ("@1798848000", ""));
    assert_eq!(world.get("/zoo/nothing").header("deprecation"), "@1798761600");
}

#[test]
fn deprecation_of_an_operation_alone_is_told_there_alone() {
    let upstream = Upstream::new();
    let mut setup = Setup::new(&upstream);
    setup.product = Box::new(|product| product.operations[1].deprecation = Some(end(1, None)));
    let world = setup.start();
    assert_eq!(world.get("/zoo/animals/7").header("deprecation"), "@1798848000");
    assert_eq!(world.get("/zoo/animals").header("deprecation"), "");
}

fn lines(world: &mut World) -> Vec<serde_json::Value> {
    let gateway = world.gateway.take().unwrap();
    gateway.shutdown(std::time::Duration::from_secs(5));
    let text = std::fs::read_to_string(world.data.join("access.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn log_holds_a_share_of_the_calls_and_all_that_went_wrong() {
    let upstream = Upstream::with(|served| {
        read_body(served);
        let status = if served.head.contains("/7 ") { "500 Oh" } else { "200 OK" };
        served.client.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        Then::KeepOpen
    });
    let mut setup = Setup::new(&upstream);
    setup.settings.log_sample_percent = 20;
    setup.options = Box::new(|options| {
        std::fs::create_dir_all(&options.data_dir).unwrap();
        options.access_log = AccessLog::File(options.data_dir.join("access.log"));
    });
    let mut world = setup.start();
    let mut client = world.client();
    for path in ["/zoo/animals", "/zoo/animals/7", "/zoo/nothing"] {
        for _ in 0..100 {
            client.call(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n"));
        }
    }
    drop(client);
    let lines = lines(&mut world);
    let count = |status: u16| lines.iter().filter(|line| line["status"] == status).count();
    assert_eq!((count(404), count(500)), (100, 100));
    assert!((10..=30).contains(&count(200)), "{} of 100 at 20 %", count(200));
}
