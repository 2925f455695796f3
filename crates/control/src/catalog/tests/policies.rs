use keytoll_domain::catalog::{
    Cors, Ejection, HealthCheck, ProductSettings, Retries, UpstreamHttp, UpstreamOptions,
    UpstreamTls, Validation, VersionBy, Versioning, WindowLimits,
};
use keytoll_domain::time::Timestamp;

use super::*;

const GUIDE: &str = include_str!("../../../../../docs/guide/policies.md");
const PARCELS: &str = r#"{"openapi":"3.1.0","info":{"title":"Parcels","version":"2"},"paths":{
    "/labels":{"post":{"responses":{}}},"/labels/{id}":{"get":{"responses":{}}}}}"#;
const NEW_YEAR: Timestamp = Timestamp(1_798_761_600_000_000);

/// The catalogue that the guide shows.
pub(crate) fn worked() -> (&'static str, Specs) {
    let (_, rest) = GUIDE.split_once("```yaml\n").expect("the guide has an example");
    let (text, _) = rest.split_once("```").expect("the example ends");
    let names = ["./parcels.yaml", "./parcels-v1.yaml"];
    (text, Specs(names.into_iter().map(|name| (name.into(), PARCELS.into())).collect()))
}

fn told(members: &str) -> String {
    faults(&format!("products: [{{id: a, spec: ./tracking.json, {members}}}]")).join("\n")
}

fn settings(members: &str) -> ProductSettings {
    let text = format!("products: [{{id: a, spec: ./tracking.json, {members}}}]");
    let mut catalogue =
        parse(&text, &specs()).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
    catalogue.products.remove(0).settings.expect("a catalogue sets them")
}

#[test]
fn the_guide_shows_every_policy() {
    let (text, specs) = worked();
    let catalogue = parse(text, &specs).expect("the guide's example is good");
    let product = &catalogue.products[0];
    let targets: Vec<_> =
        product.targets.iter().map(|target| (target.url.as_str(), target.weight)).collect();
    assert_eq!(targets, [("http://127.0.0.1:9000/v2", 3), ("http://127.0.0.1:9001/v2", 1)]);
    assert_eq!((&product.upstream, product.addresses().count()), (&None, 5));
    let versions = product.versions.as_ref().expect("a catalogue sets them");
    assert_eq!(
        (versions[0].version.as_str(), versions[0].status),
        ("1", ProductStatus::Deprecated)
    );
    let settings = product.settings.as_ref().expect("a catalogue sets them");
    assert_eq!(settings.hosts, ["parcels.example.com"]);
    assert_eq!(
        settings.upstream_options,
        UpstreamOptions {
            connect_ms: Some(1000),
            first_byte_ms: Some(10_000),
            idle_ms: Some(30_000),
            total_ms: Some(60_000),
            retries: Retries::default(),
            health: Some(HealthCheck { path: "/healthz".into(), ..HealthCheck::default() }),
            eject: Some(Ejection::default()),
            http: UpstreamHttp::Http1,
            tls: Some(UpstreamTls {
                ca: Some("/etc/keytoll/./tls/ca.pem".into()),
                client_cert: Some("/etc/keytoll/./tls/client.pem".into()),
                client_key: Some("/etc/keytoll/./tls/client.key".into()),
                server_name: Some("parcels.internal".into()),
            }),
        }
    );
    assert_eq!(settings.request_headers.set["x-source"], "keytoll");
    assert_eq!(settings.response_headers.remove, ["server", "x-powered-by"]);
    assert!(settings.identity_headers && !settings.sign_requests && settings.cache);
    assert_eq!(settings.validation, Validation::Report);
    assert_eq!(
        settings.limits,
        WindowLimits { second: Some(200), minute: Some(6000), ..Default::default() }
    );
    assert_eq!(settings.log_sample_percent, 10);
    assert_eq!(settings.deprecation.as_ref().map(|end| end.at), Some(NEW_YEAR));
    let until = settings.maintenance.as_ref().and_then(|maintenance| maintenance.until);
    assert_eq!(until, Some(NEW_YEAR.plus_secs(6 * 3600)));
    let cors = settings.cors.as_ref().expect("the example has it");
    assert_eq!((cors.origins.len(), cors.methods.len(), cors.max_age_secs), (1, 2, 600));
    assert_eq!(settings.operations["GET /labels/{id}"].max_units, Some(50));
    assert!(settings.operations["POST /labels"].deprecation.is_some());
    let members = serde_json::to_value(settings).expect("JSON");
    for member in members.as_object().expect("an object").keys() {
        let older = [
            "key_from",
            "key_header",
            "forward_key",
            "error_texts",
            "bill",
            "scopes",
            "rotate_on_same_name",
        ];
        let known = older.contains(&member.as_str())
            || member.starts_with("key_")
            || member == "default_expiry_days";
        assert!(known || text.contains(&format!("    {member}:")), "the guide lacks {member}");
    }
}

#[test]
fn policies_are_absent_unless_said() {
    assert_eq!(settings("status: beta"), ProductSettings::default());
    let written = settings(
        "validation: off, versioning: {by: header}, maintenance: {}, cors: {origins: [\"*\"]}",
    );
    assert_eq!(
        written.versioning,
        Versioning { by: VersionBy::Header, header: "X-API-Version".into() }
    );
    assert_eq!(written.cors, Some(Cors { origins: vec!["*".into()], ..Cors::default() }));
    assert!(written.maintenance.is_some());
    let eager =
        settings("upstream_options: {http: \"2\", retries: {attempts: 0}, eject: {secs: 3}}");
    assert_eq!(eager.upstream_options.http, UpstreamHttp::Http2);
    assert_eq!(eager.upstream_options.retries, Retries { attempts: 0, budget_percent: 20 });
    assert_eq!(eager.upstream_options.eject, Some(Ejection { failures: 5, secs: 3 }));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn bad_policies_name_their_member_and_the_remedy() {
    let version = "version: v1, spec: ./tracking.json";
    let cases = [
        ("hosts: [API.example.com]", "/hosts/0: write host names in lower case"),
        ("hosts: [\"a.example.com:80\"]", "/hosts/0: \"a.example.com:80\" is no host name"),
        ("hosts: [a.example, a.example]", "/hosts/1: a.example occurs twice"),
        (
            "upstream: \"http://a\", targets: [{url: \"http://b\"}]",
            "/targets: beside upstream: say one",
        ),
        (
            "sandbox: \"http://a\", sandbox_targets: [{url: \"http://b\"}]",
            "/sandbox_targets: beside sandbox",
        ),
        ("targets: []", "/targets: say 1 to 64 targets"),
        (
            "targets: [{url: \"http://b\", weight: 0}]",
            "/targets/0/weight: 0 is no whole number from 1 to 1000",
        ),
        ("targets: [{url: \"http://b\", weight: -1}]", "/targets/0/weight: -1 is no whole number"),
        ("targets: [{url: \"http://b\"}, {url: \"http://b/\"}]", "/targets/1/url: named twice"),
        ("targets: [{url: \"b\"}]", "/targets/0/url: "),
        (
            "versions: [{version: V1, spec: ./tracking.json}]",
            "/versions/0/version: \"V1\" is no version: 1 to 32",
        ),
        ("versions: [{version: v1}]", "/versions/0/spec: a further version has a document"),
        (
            &format!("versions: [{{{version}}}, {{{version}}}]"),
            "/versions/1/version: v1 occurs twice",
        ),
        (
            &format!("versions: [{{{version}, host: a.example}}]"),
            "/versions/0/host: versions have hosts only with",
        ),
        (
            &format!("versioning: {{by: host}}, versions: [{{{version}}}]"),
            "/versions/0/host: versioning is by host",
        ),
        (&format!("versions: [{{{version}, upstream: x}}]"), "/versions/0/upstream: "),
        ("versioning: {by: header, header: \"a b\"}", "/versioning/header: no name of a header"),
        (
            "versioning: {by: header, header: X-API-Key}",
            "/versioning/header: that header holds the key",
        ),
        (
            "upstream_options: {connect_ms: 0}",
            "/upstream_options/connect_ms: 0 is no whole number from 1 to 3600000",
        ),
        (
            "upstream_options: {retries: {attempts: 6}}",
            "/upstream_options/retries/attempts: 6 is no whole number from 0 to 5",
        ),
        (
            "upstream_options: {retries: {budget_percent: 101}}",
            "/upstream_options/retries/budget_percent: 101",
        ),
        (
            "upstream_options: {health: {path: healthz}}",
            "/upstream_options/health/path: no path: write it like /healthz",
        ),
        (
            "upstream_options: {health: {interval_secs: 1, timeout_secs: 2}}",
            "/upstream_options/health/timeout_secs: longer than",
        ),
        ("upstream_options: {eject: {failures: 0}}", "/upstream_options/eject/failures: 0"),
        (
            "upstream_options: {tls: {client_cert: a.pem}}",
            "/upstream_options/tls/client_key: absent: a client",
        ),
        (
            "upstream_options: {tls: {server_name: \"a b\"}}",
            "/upstream_options/tls/server_name: \"a b\" is no host name",
        ),
        (
            "request_headers: {set: {Host: a}}",
            "/request_headers/set/host: host is the gateway's own",
        ),
        (
            "request_headers: {set: {X-Keytoll-Plan: a}}",
            "/request_headers/set/x-keytoll-plan: x-keytoll-plan is the gateway's",
        ),
        ("request_headers: {set: {\"a b\": c}}", "/request_headers/set/a b: no name of a header"),
        ("request_headers: {set: {X-A: 1, x-a: 2}}", "/request_headers/set/x-a: named twice"),
        (
            "response_headers: {set: {X-A: \"1\\r\\nX-B: 2\"}}",
            "/response_headers/set/x-a: no value of a header",
        ),
        (
            "response_headers: {remove: [Transfer-Encoding]}",
            "/response_headers/remove/0: transfer-encoding is",
        ),
        (
            "response_headers: {set: {X-A: a}, remove: [X-A]}",
            "/response_headers/remove/0: named twice",
        ),
        ("cors: {origins: []}", "/cors/origins: name the origins that may call"),
        (
            "cors: {origins: [\"*\"], credentials: true}",
            "/cors/credentials: not together with the origin",
        ),
        ("cors: {origins: [\"*\", \"https://a.example\"]}", "/cors/origins: \"*\" stands alone"),
        (
            "cors: {origins: [\"https://a.example/\"]}",
            "/cors/origins/0: \"https://a.example/\" is no origin",
        ),
        ("cors: {origins: [\"https://*.example\"]}", "/cors/origins/0: "),
        ("cors: {origins: [\"null\"]}", "/cors/origins/0: \"null\" is no origin"),
        ("cors: {origins: [\"*\"], methods: [get]}", "/cors/methods/0: \"get\" is no method"),
        ("cors: {origins: [\"*\"], headers: [\"a,b\"]}", "/cors/headers/0: "),
        ("cors: {origins: [\"*\"], max_age_secs: 86401}", "/cors/max_age_secs: 86401"),
        (
            "maintenance: {until: soon}",
            "/maintenance/until: \"soon\" is no time: write it like 2027-01-01",
        ),
        ("maintenance: {message: \"a\\nb\"}", "/maintenance/message: one line of at most 500"),
        ("deprecation: {at: 2027-02-30}", "/deprecation/at: \"2027-02-30\" is no time"),
        ("deprecation: {at: 2027-02-01, sunset: 2027-01-01}", "/deprecation/sunset: before at"),
        (
            "deprecation: {at: 2027-02-01, link: \"javascript:x\"}",
            "/deprecation/link: no address of a page",
        ),
        (
            "deprecation: {at: 2027-02-01, link: \"https://a/>;x\"}",
            "/deprecation/link: no address of a page",
        ),
        ("cache: true, forward_key: true", "/cache: not together with forward_key"),
        ("limits: {minute: 0}", "/limits/minute: 0 is no whole number"),
        ("log_sample_percent: 101", "/log_sample_percent: 101 is no whole number from 0 to 100"),
        (
            "operations: {\"GET /shipments\": {units: 5, max_units: 4}}",
            "/operations/GET ~1shipments/max_units: less than units, which is 5",
        ),
        (
            "operations: {\"GET /shipments\": {max_units: 0}}",
            "/operations/GET ~1shipments/max_units: less than units, which is 1",
        ),
    ];
    for (members, expected) in cases {
        let found = told(members);
        assert!(found.starts_with(&format!("line 1: /products/0{expected}")), "{members}\n{found}");
    }
    let strict = [
        "validation: strict",
        "cache: 1",
        "upstream_options: {http: 3}",
        "versioning: {by: query}",
        "upstream_options: {speed: 1}",
        "cors: {}",
        "deprecation: {}",
        "targets: [{weight: 1}]",
        "request_headers: {add: {}}",
        "maintenance: {on: true}",
        "versions: [{}]",
    ];
    for members in strict {
        assert!(told(members).starts_with("line 1: "), "{members}");
    }
}

#[test]
fn lists_are_bounded() {
    let many = |count: usize, one: &dyn Fn(usize) -> String| {
        (0..count).map(one).collect::<Vec<_>>().join(", ")
    };
    let hosts = many(17, &|n| format!("h{n}.example"));
    assert!(told(&format!("hosts: [{hosts}]")).contains("/hosts: at most 16 hosts"));
    let targets = many(65, &|n| format!("{{url: \"http://h{n}\"}}"));
    assert!(told(&format!("targets: [{targets}]")).contains("/targets: say 1 to 64 targets"));
    let headers = many(33, &|n| format!("X-{n}: a"));
    assert!(told(&format!("request_headers: {{set: {{{headers}}}}}")).contains("/set: at most 32"));
    let versions = many(33, &|n| format!("{{version: v{n}, spec: ./tracking.json}}"));
    assert!(told(&format!("versions: [{versions}]")).contains("/versions: at most 32 further"));
    let origins = many(65, &|n| format!("\"https://h{n}.example\""));
    assert!(told(&format!("cors: {{origins: [{origins}]}}")).contains("/cors/origins: at most 64"));
}

#[test]
fn a_secret_header_is_not_repeated_in_its_fault() {
    let found = told("request_headers: {set: {Authorization: \"Bearer upstream-secret \"}}");
    assert!(found.contains("/set/authorization") && !found.contains("upstream-secret"), "{found}");
}
