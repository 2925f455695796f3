//! `ratelimit*`: windows, quotas, their headers, and that a refusal consumes nothing.
//!
//! The binary runs on the real clock, so cases whose events lie apart in time are not run here:
//! `crates/domain/tests/cases_ratelimit.rs` gives them a clock of their own. A window of a length that plans do not have
//! becomes the next longer one, which is the same for events at one instant.

use keytoll_tests::http::{Connection, Request};
use keytoll_tests::report::{Verdict, run};
use keytoll_tests::wait;
use serde_json::{Map, Value, json};

use super::{Installation, Shop};

const WINDOWS: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];
const UNKNOWN: Verdict = Verdict::NotOffered("the runner does not know this form");

#[test]
fn ratelimit() {
    let mut installation = Installation::start("");
    run("ratelimit", |case| judge(&mut installation, case));
}

fn judge(installation: &mut Installation, case: &Value) -> Verdict {
    if case["ours"] == "not offered" {
        return Verdict::NotOffered(
            "ruled out by the file: windows are exact sums, and paths have none of their own",
        );
    }
    match case["area"].as_str().unwrap_or_default() {
        "faults" | "accuracy" => return Verdict::NotOffered("several nodes are not there yet"),
        "config-change" => {
            return Verdict::NotOffered(
                "a changed plan is a new version, and past calls still count",
            );
        }
        "validation" => return refused_limit(installation, case),
        _ => {}
    }
    if case["events"] == json!(["use up a", "1 call on b"]) {
        return apart(installation, case);
    }
    let Some(setup) = Setup::of(case) else {
        return Verdict::NotOffered("plans have no such limit");
    };
    let calls = match calls(case) {
        Ok(calls) => calls,
        Err(verdict) => return verdict,
    };
    let operations = ["GET /", "GET /one", "GET /two"];
    let shop = match installation.open(&operations, &json!({}), &setup.plan) {
        Ok(shop) => shop,
        Err(problem) => return Verdict::Failed(problem),
    };
    let results = make(installation, &shop, &setup, &calls);
    compare(&case["expect"], &setup, &results)
}

fn refused_limit(installation: &mut Installation, case: &Value) -> Verdict {
    let Some(setup) = Setup::of(case) else {
        return Verdict::NotOffered("plans have no such limit");
    };
    let rejected = installation.open(&["GET /"], &json!({}), &setup.plan).is_err();
    Verdict::equal(
        "rejected",
        &case["expect"]["rejected_at_configuration"].as_bool(),
        &Some(rejected),
    )
}

/// Two limits of one size that count apart: here, those of two keys.
fn apart(installation: &mut Installation, case: &Value) -> Verdict {
    let [a, b] = case["limits"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return UNKNOWN;
    };
    let shop = match installation.open(&["GET /"], &json!({}), &json!({})) {
        Ok(shop) => shop,
        Err(problem) => return Verdict::Failed(problem),
    };
    let target = format!("/{}/", shop.product);
    let keys =
        [a, b].map(|own| installation.secret(&shop, &json!({"rateLimitPerMinute": own["limit"]})));
    for _ in 0..a["limit"].as_u64().unwrap_or(0) {
        installation.server.call(&target, &keys[0]).expect(200);
    }
    let rejected = installation.server.call(&target, &keys[0]);
    let other = installation.server.call(&target, &keys[1]);
    let remaining = case["expect"]["b_remaining"].to_string();
    Verdict::all([
        Verdict::equal("a", &429, &rejected.status),
        Verdict::equal("b", &200, &other.status),
        Verdict::equal(
            "remaining of b",
            &Some(remaining.as_str()),
            &other.header("x-ratelimit-remaining"),
        ),
    ])
}

/// The limits of a case as a plan and a key.
#[derive(Debug, Default)]
struct Setup {
    plan: Value,
    key: Value,
    /// The case's names of limits and ours.
    names: Vec<(String, String)>,
}

impl Setup {
    fn of(case: &Value) -> Option<Self> {
        let mut limits = Map::new();
        let (mut plan, mut key) = (Map::new(), Map::new());
        let mut names = Vec::new();
        for limit in case["limits"].as_array()? {
            let known = ["limit", "window_s", "name", "by", "owner", "auto", "quota", "period"];
            if !limit.as_object()?.keys().all(|member| known.contains(&member.as_str())) {
                return None;
            }
            if let Some(quota) = limit["quota"].as_i64() {
                if quota >= 0 {
                    plan.insert("quota".to_owned(), json!({"calls": quota, "hard": true}));
                }
                continue;
            }
            let (count, length) = (limit["limit"].as_i64()?, limit["window_s"].as_u64()?);
            let per_key = limit["owner"] == "key"
                || matches!(limit["by"].as_str(), Some("credential" | "consumer"));
            let name = if per_key && length <= 60 {
                key.insert("rateLimitPerMinute".to_owned(), json!(count));
                "key_minute"
            } else if length > 86_400 {
                plan.insert("quota".to_owned(), json!({"calls": count, "hard": true}));
                "quota"
            } else {
                let free = |(name, seconds): &&(&str, u64)| {
                    *seconds >= length && !limits.contains_key(*name)
                };
                let (name, _) = WINDOWS.iter().find(free)?;
                limits.insert((*name).to_owned(), json!(count));
                name
            };
            let theirs = limit["name"].as_str().unwrap_or_default().to_owned();
            names.push((theirs, name.to_owned()));
        }
        plan.insert("limits".to_owned(), Value::Object(limits));
        Some(Self { plan: Value::Object(plan), key: Value::Object(key), names })
    }

    fn name(&self, theirs: &str) -> Option<&str> {
        self.names.iter().find(|(name, _)| name == theirs).map(|(_, ours)| ours.as_str())
    }
}

/// One call to make.
#[derive(Clone, Debug)]
struct Call {
    key: String,
    path: String,
    units: u64,
}

/// The calls of a case in their order; all at one instant.
fn calls(case: &Value) -> Result<Vec<Call>, Verdict> {
    let Some(events) = case["events"].as_array() else {
        return Err(Verdict::NotOffered("one cost holds for all windows of a call"));
    };
    let mut calls = Vec::new();
    for event in events {
        let mut call = Call { key: String::new(), path: "/".to_owned(), units: 1 };
        let mut count = 1;
        if let Some(words) = event.as_str() {
            match words.split_once(' ') {
                Some((number, "call" | "calls")) => count = number.parse().map_err(|_| UNKNOWN)?,
                Some(("cost", units)) => call.units = units.parse().map_err(|_| UNKNOWN)?,
                Some(("calls", rest)) if rest.starts_with("alternate over two keys") => {
                    let most = case["expect"]["valid_total"].as_u64().unwrap_or(0) + 1;
                    let key = |number| if number % 2 == 0 { "a" } else { "b" };
                    calls
                        .extend((0..most).map(|n| Call { key: key(n).to_owned(), ..call.clone() }));
                    continue;
                }
                _ => return Err(UNKNOWN),
            }
        } else {
            let known = ["t", "n", "cost", "key", "path"];
            let members = event.as_object().ok_or(UNKNOWN)?;
            if !members.keys().all(|member| known.contains(&member.as_str())) {
                return Err(Verdict::NotOffered("one cost holds for all windows of a call"));
            }
            if event["t"].as_f64().unwrap_or(0.0) > 0.0 {
                return Err(Verdict::Elsewhere);
            }
            count = event["n"].as_u64().unwrap_or(1);
            call.units = event["cost"].as_u64().unwrap_or(1);
            event["key"].as_str().unwrap_or_default().clone_into(&mut call.key);
            event["path"].as_str().unwrap_or("/").clone_into(&mut call.path);
        }
        calls.extend(std::iter::repeat_n(call, usize::try_from(count).map_err(|_| UNKNOWN)?));
    }
    if calls.iter().any(|call| call.units == 0) {
        return Err(Verdict::NotOffered("a call costs at least one unit"));
    }
    Ok(calls)
}

/// What came of one call, by proxy or by verification, in the same terms.
#[derive(Debug)]
struct Outcome {
    call: Call,
    status: u64,
    /// Our names of limits → what remains.
    remaining: Map<String, Value>,
    headers: Vec<(String, String)>,
}

impl Outcome {
    fn header(&self, name: &str) -> Option<u64> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.parse().ok())
    }

    fn tightest(&self) -> Option<u64> {
        let remaining = self.remaining.values().filter_map(Value::as_u64).min();
        self.header("x-ratelimit-remaining").or(remaining)
    }
}

/// Makes the calls: through the proxy, or by verification where a call has a cost.
fn make(installation: &Installation, shop: &Shop, setup: &Setup, calls: &[Call]) -> Vec<Outcome> {
    let mut secrets: Vec<(&str, String)> = Vec::new();
    let verify = calls.iter().any(|call| call.units != 1) || setup.names.len() > 1;
    let mut connection =
        Connection::open(installation.server.gateway).expect("the gateway accepts");
    let mut results = Vec::new();
    for call in calls {
        let known = secrets.iter().find(|(name, _)| *name == call.key).map(|(_, key)| key.clone());
        let key = known.unwrap_or_else(|| {
            let key = installation.secret(shop, &setup.key);
            secrets.push((&call.key, key.clone()));
            key
        });
        let request = if verify {
            let body = json!({"key": key, "product": shop.product, "units": call.units});
            Request::new("POST", "/v1/keys/verify").bearer(&installation.token).json(&body)
        } else {
            Request::get(&format!("/{}{}", shop.product, call.path)).bearer(&key)
        };
        let answer = connection.exchange(&request).expect("the gateway answers");
        let (mut status, mut remaining) = (u64::from(answer.status), Map::new());
        if verify {
            let answer = answer.json();
            status = if answer["valid"] == true { 200 } else { 429 };
            for limit in answer["ratelimits"].as_array().into_iter().flatten() {
                let name = limit["name"].as_str().unwrap_or_default().to_owned();
                remaining.insert(name, limit["remaining"].clone());
            }
        }
        results.push(Outcome { call: call.clone(), status, remaining, headers: answer.headers });
    }
    results
}

fn compare(expect: &Value, setup: &Setup, results: &[Outcome]) -> Verdict {
    let statuses: Vec<u64> = results.iter().map(|result| result.status).collect();
    let mut verdicts = Vec::new();
    for (member, value) in expect.as_object().into_iter().flatten() {
        verdicts.push(match member.as_str() {
            "statuses" if value[0] == "200 x10000" => {
                Verdict::equal("granted", &10_000, &statuses.iter().filter(|s| **s == 200).count())
            }
            "statuses" => numbers(member, value, &statuses),
            "codes" => {
                let codes: Vec<&str> = statuses.iter().map(|s| code(*s)).collect();
                Verdict::equal(member, &value.clone(), &json!(codes))
            }
            "valid_total" => {
                let valid = statuses.iter().filter(|status| **status == 200).count() as u64;
                Verdict::equal(member, &value.as_u64(), &Some(valid))
            }
            "sixth" => Verdict::equal(member, &value.as_str(), &statuses.get(5).map(|s| code(*s))),
            "remaining" if value.is_number() => {
                let last = results.last().and_then(Outcome::tightest);
                Verdict::equal(member, &value.as_u64(), &last)
            }
            "remaining" => {
                let found: Vec<u64> = results.iter().filter_map(Outcome::tightest).collect();
                numbers(member, value, &found)
            }
            "remaining_two" => {
                let second = results.iter().filter(|result| result.call.path == "/two");
                numbers(member, value, &second.filter_map(Outcome::tightest).collect::<Vec<_>>())
            }
            "limit_header" => {
                let found = results.iter().filter_map(|result| result.header("x-ratelimit-limit"));
                numbers(member, value, &found.collect::<Vec<_>>())
            }
            "reset_between" => resets(value, results),
            "reset" => resets(&json!([0, 86_400]), results),
            "retry_after_on_429" => {
                let mut refused = results.iter().filter(|result| result.status == 429);
                let missing = refused.any(|result| result.header("retry-after").is_none());
                Verdict::equal(member, &false, &missing)
            }
            "success" => Verdict::equal(member, &value.as_bool(), &Some(statuses == [200])),
            "exceeded" => Verdict::equal(member, &value.as_bool(), &Some(statuses != [200])),
            "month_remaining_after" => {
                remaining(setup, "month", &json!([value]), &results[results.len() - 1..])
            }
            "remaining_header" => {
                Verdict::equal(member, &None, &results.last().and_then(Outcome::tightest))
            }
            path if path.starts_with('/') => {
                let those = results.iter().filter(|result| result.call.path == path);
                numbers(member, value, &those.map(|result| result.status).collect::<Vec<_>>())
            }
            key if results.iter().any(|result| result.call.key == key) => {
                let those = results.iter().filter(|result| result.call.key == key);
                numbers(member, value, &those.map(|result| result.status).collect::<Vec<_>>())
            }
            other => match other.strip_suffix("_remaining") {
                Some(name) if value.is_array() => remaining(setup, name, value, results),
                _ => UNKNOWN,
            },
        });
    }
    Verdict::all(verdicts)
}

fn code(status: u64) -> &'static str {
    if status == 200 { "VALID" } else { "RATE_LIMITED" }
}

fn numbers(what: &str, expected: &Value, found: &[u64]) -> Verdict {
    Verdict::equal(what, expected, &json!(found))
}

/// What remains of one limit after each call.
fn remaining(setup: &Setup, theirs: &str, expected: &Value, results: &[Outcome]) -> Verdict {
    let Some(name) = setup.name(theirs) else {
        return UNKNOWN;
    };
    let found: Vec<&Value> =
        results.iter().filter_map(|result| result.remaining.get(name)).collect();
    Verdict::equal(theirs, expected, &json!(found))
}

/// Every reset lies between so many seconds from now.
fn resets(range: &Value, results: &[Outcome]) -> Verdict {
    let now = wait::unix_millis() / 1000;
    let (least, most) = (range[0].as_u64().unwrap_or(0), range[1].as_u64().unwrap_or(0));
    for result in results {
        let Some(reset) = result.header("x-ratelimit-reset") else {
            return Verdict::Failed("no X-RateLimit-Reset".to_owned());
        };
        if reset + 1 < now + least || reset > now + most + 1 {
            return Verdict::Failed(format!("reset {reset} is not within {range} s of {now}"));
        }
    }
    Verdict::Passed
}
