use keytoll_domain::ids::KeyId;
use keytoll_domain::time::Timestamp;

use super::*;
use crate::request::Request;

fn span(number: u64) -> Span {
    Span {
        context: Context::begun(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, number),
        request: RequestId(0x0199_0000_0000_7000_8000_0000_0000_0001),
        start: Timestamp(1_795_262_400_000_000),
        end: Timestamp(1_795_262_400_001_500),
        method: "GET",
        protocol: "1.1",
        host: "api.example".into(),
        product: ProductId::new("zoo").unwrap(),
        operation: "GET /animals/{id}".into(),
        plan: Some(PlanSlug::new("starter").unwrap()),
        key: Some(KeyId::from_bytes([7; 16])),
        status: 200,
        code: "",
        aborted: false,
    }
}

fn encoded(spans: &[Span]) -> serde_json::Value {
    serde_json::from_slice(&encode::request("here", spans)).unwrap()
}

fn attribute(key: &str, kind: &str, value: &str) -> serde_json::Value {
    serde_json::json!({ "key": key, "value": { kind: value } })
}

fn text(key: &str, value: &str) -> serde_json::Value {
    attribute(key, "stringValue", value)
}

#[test]
fn a_span_is_encoded_as_the_protocol_has_it() {
    let version = env!("CARGO_PKG_VERSION");
    let mut child = span(0xb7ad_6b71_6920_3331);
    child.context.parent = Some(0x2a);
    let expected = serde_json::json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", "keytoll"),
            text("service.version", version),
            text("service.instance.id", "here"),
        ] },
        "scopeSpans": [{
            "scope": { "name": "keytoll.gateway", "version": version },
            "spans": [{
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": "b7ad6b7169203331",
                "parentSpanId": "000000000000002a",
                "flags": 0x301,
                "name": "GET /animals/{id}",
                "kind": 2,
                "startTimeUnixNano": "1795262400000000000",
                "endTimeUnixNano": "1795262400001500000",
                "attributes": [
                    text("http.request.method", "GET"),
                    text("http.route", "/animals/{id}"),
                    attribute("http.response.status_code", "intValue", "200"),
                    text("server.address", "api.example"),
                    text("network.protocol.version", "1.1"),
                    text("keytoll.product", "zoo"),
                    text("keytoll.operation", "GET /animals/{id}"),
                    text("keytoll.plan", "starter"),
                    text("keytoll.key.id", "key_07070707070707070707070707070707"),
                    text("keytoll.request.id", "01990000-0000-7000-8000-000000000001"),
                ],
            }],
        }],
    }] });
    assert_eq!(encoded(&[child]), expected);
}

#[test]
fn what_is_unknown_is_left_out_and_what_failed_is_said() {
    let bare = Span {
        method: method("sk_live_secret"),
        host: "".into(),
        operation: "".into(),
        plan: None,
        key: None,
        status: 502,
        aborted: true,
        ..span(1)
    };
    let versioned = Span { operation: "GET v2:/animals".into(), code: "scope_missing", ..span(2) };
    let document = encoded(&[bare, versioned]);
    let spans = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans[0]["name"], "HTTP");
    assert_eq!(spans[0]["status"], serde_json::json!({ "code": 2 }));
    assert_eq!((&spans[0]["parentSpanId"], &spans[0]["flags"]), (&().into(), &0x101.into()));
    let expected = serde_json::json!([
        text("http.request.method", "_OTHER"),
        attribute("http.response.status_code", "intValue", "502"),
        text("error.type", "502"),
        text("network.protocol.version", "1.1"),
        text("keytoll.product", "zoo"),
        text("keytoll.request.id", "01990000-0000-7000-8000-000000000001"),
        { "key": "keytoll.aborted", "value": { "boolValue": true } },
    ]);
    assert_eq!(spans[0]["attributes"], expected);
    assert_eq!(spans[1]["name"], "GET /animals");
    assert!(spans[1].get("status").is_none());
    let attributes = spans[1]["attributes"].as_array().unwrap();
    assert!(attributes.contains(&text("http.route", "/animals")));
    assert!(attributes.contains(&text("error.type", "scope_missing")));
}

fn sampled(sample: f64, head: &str, calls: usize) -> Vec<Context> {
    let core = CoreSpans::new(&Arc::new(Pending::new(sample)));
    let mut request = Request::default();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{head}\r\n");
    request.parse(head.as_bytes(), 10).unwrap().unwrap();
    (0..calls).filter_map(|_| core.begin(&request.fields)).collect()
}

#[test]
fn a_share_is_recorded_of_calls_that_do_not_say() {
    assert_eq!(sampled(1.0, "", 1000).len(), 1000);
    assert_eq!(sampled(0.0, "", 1000).len(), 0);
    // Off by more than five standard deviations once in a million runs.
    assert!((400..=600).contains(&sampled(0.05, "", 10_000).len()));
    let contexts = sampled(1.0, "", 1000);
    let traces: std::collections::HashSet<_> = contexts.iter().map(|own| own.trace).collect();
    let spans: std::collections::HashSet<_> = contexts.iter().map(|own| own.span).collect();
    assert_eq!((traces.len(), spans.len()), (1000, 1000));
}

#[test]
fn calls_that_say_are_recorded_as_they_say() {
    let parent = |flags| {
        format!("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}\r\n")
    };
    assert_eq!(sampled(1.0, &parent("00"), 10), []);
    assert_eq!(sampled(1.0, &parent("02"), 10), []);
    let own = sampled(0.0, &parent("03"), 1)[0];
    assert_eq!(own.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!((own.parent, own.flags), (Some(0xb7ad_6b71_6920_3331), 3));
    assert_eq!(sampled(0.0, &parent("zz"), 10), []);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let pending = Arc::new(Pending::new(1.0));
    let core = CoreSpans::new(&pending);
    for number in 0..CORE_SPANS_MAX + 3 {
        core.add(span(number as u64));
    }
    core.hand_over();
    assert_eq!((pending.lock().len(), pending.dropped()), (CORE_SPANS_MAX, 3));
    for _ in 1..PENDING_MAX / CORE_SPANS_MAX {
        (0..CORE_SPANS_MAX).for_each(|_| core.add(span(1)));
        core.hand_over();
    }
    assert_eq!((pending.lock().len(), pending.dropped()), (PENDING_MAX, 3));
    core.add(span(1));
    drop(core);
    assert_eq!((pending.lock().len(), pending.dropped()), (PENDING_MAX, 4));
    assert_eq!(pending.take().len(), BATCH_MAX);
}

#[test]
fn options_are_checked_and_their_secrets_not_shown() {
    let none = || std::iter::empty::<(&str, &str)>();
    let refused = |options: Result<options::OtlpOptions, _>| options.unwrap_err();
    for endpoint in ["", "collector:4318", "ftp://a", "http://u:p@a", "http://a/?token=x"] {
        let error = refused(options::OtlpOptions::new(endpoint, 0.5, none()));
        assert_eq!(error, options::OtlpError::Endpoint, "{endpoint}");
    }
    for sample in [-0.1, 1.1, f64::NAN] {
        let error = refused(options::OtlpOptions::new("http://a", sample, none()));
        assert_eq!(error, options::OtlpError::Sample);
    }
    for (name, value) in [("a b", "x"), ("Host", "x"), ("", "x"), ("a", "x\r\nb: secret")] {
        let error = refused(options::OtlpOptions::new("http://a", 1.0, [(name, value)]));
        assert_eq!(error, options::OtlpError::Header(name.into()));
    }
    let right = options::OtlpOptions::new("http://a:1/secret", 1.0, [("x-token", "secret")]);
    let right = right.unwrap();
    assert_eq!(format!("{right:?}"), "OtlpOptions(a:1, 1, …)");
    assert_eq!(&*right.target().prefix, "/secret");
}
