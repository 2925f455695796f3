//! `keys*`: where a key is taken from, what is forwarded, addresses, lifecycle.
//!
//! Other systems name their key parameter freely; the runner uses Keytoll's name, `api_key`, in its place,
//! and gives every case keys of its own.

use keytoll_tests::http::{Request, Response};
use keytoll_tests::report::{Verdict, run};
use keytoll_tests::upstream::Seen;
use keytoll_tests::wait;
use serde_json::{Value, json};

use super::{Installation, Shop};

#[test]
fn keys() {
    // Loopback is a trusted proxy here, so that cases can come from any address.
    let mut installation = Installation::start("trusted_proxies = [\"127.0.0.1/32\"]");
    run("keys", |case| judge(&mut installation, case));
}

fn judge(installation: &mut Installation, case: &Value) -> Verdict {
    match case["area"].as_str().unwrap_or_default() {
        "credential" | "precedence" | "forwarding" | "preflight" => request(installation, case),
        "lifecycle" if case["given"]["anonymous"].is_string() => Verdict::NotOffered(
            "there is no anonymous consumer; a product without keys says key_from: []",
        ),
        "lifecycle" => lifecycle(installation, case),
        "ip" if case["given"]["deny"].is_array() => {
            Verdict::NotOffered("a key has a list of allowed addresses, none of refused ones")
        }
        "ip" => address(installation, case),
        "ip-validation" => address_list(installation, case),
        "verify-api" => Verdict::NotOffered("the Unkey-compatible API is not there yet"),
        "fossbilling" => Verdict::NotOffered("the FOSSBilling-compatible API is not there yet"),
        "forward-auth" => {
            Verdict::NotOffered("Keytoll answers forward-auth questions, it asks no other service")
        }
        "key-format" => imported(installation, case),
        _ => Verdict::NotOffered("the runner does not know this area"),
    }
}

/// The name of the query parameter.
const PARAMETER: &str = "api_key";

/// The names and keys of a case in Keytoll's terms.
struct Terms {
    /// The case's name of header and parameter.
    name: String,
    keys: Vec<(String, String)>,
}

impl Terms {
    fn of(case: &Value, shop: &Shop) -> Self {
        let names: Vec<String> = match &case["given"]["keys"] {
            Value::Object(keys) => keys.keys().cloned().collect(),
            Value::String(range) => numbered(range),
            _ => Vec::new(),
        };
        // A key that is imported must be long enough to be a secret.
        let own = |name: &String| format!("{name}-{}-0123456789", shop.product);
        let keys = names.into_iter().map(|name| (name.clone(), own(&name))).collect();
        Self { name: key_name(case), keys }
    }

    /// The case's key in place of which a key of this case's own was imported.
    fn key(&self, value: &str) -> String {
        let found = self.keys.iter().find(|(name, _)| name == value);
        found.map_or_else(|| value.to_owned(), |(_, own)| own.clone())
    }

    /// A target or form body with parameter names and keys replaced.
    fn target(&self, target: &str) -> String {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (format!("{path}?"), query),
            None if target.contains('=') => (String::new(), target),
            None => return target.to_owned(),
        };
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => format!("{}={}", self.parameter(name), self.key(value)),
            None => self.parameter(pair),
        };
        let pairs: Vec<String> = query.split('&').map(pair).collect();
        path + &pairs.join("&")
    }

    fn parameter(&self, name: &str) -> String {
        if name == self.name { PARAMETER.to_owned() } else { name.to_owned() }
    }
}

fn key_name(case: &Value) -> String {
    case["given"]["key_names"][0].as_str().unwrap_or("apikey").to_owned()
}

/// `auth-1 .. auth-20` as twenty names.
fn numbered(range: &str) -> Vec<String> {
    let ends = range.split_once(" .. ").and_then(|(first, last)| {
        let (stem, from) = first.rsplit_once('-')?;
        let to = last.rsplit_once('-')?.1;
        Some((stem, from.parse::<u32>().ok()?, to.parse::<u32>().ok()?))
    });
    match ends {
        Some((stem, from, to)) => (from..=to).map(|number| format!("{stem}-{number}")).collect(),
        None => vec![range.to_owned()],
    }
}

/// Opens a shop that takes keys where the case says, and imports the case's keys.
fn open(installation: &mut Installation, case: &Value) -> Result<(Shop, Terms), Verdict> {
    let given = &case["given"];
    let places = given["key_in"].as_array().cloned().unwrap_or_default();
    let known = |place: &Value| place == "header" || place == "query";
    let places: Vec<Value> = places.into_iter().filter(known).collect();
    let hide = given["hide_credentials"].as_bool().unwrap_or(false);
    let path = case["request"]["path"].as_str().unwrap_or("/").split('?').next().unwrap_or("/");
    let operations: Vec<String> =
        ["GET", "POST", "PUT", "DELETE"].iter().map(|method| format!("{method} {path}")).collect();
    let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
    let product = json!({"key_from": places, "key_header": key_name(case), "forward_key": !hide});
    let shop = installation.open(&operations, &product, &json!({})).map_err(Verdict::Failed)?;
    let terms = Terms::of(case, &shop);
    let lines: Vec<&str> = terms.keys.iter().map(|(_, own)| own.as_str()).collect();
    installation.import(&shop, &(lines.join("\n") + "\n"));
    Ok((shop, terms))
}

fn request(installation: &mut Installation, case: &Value) -> Verdict {
    if case["given"]["key_names"] == json!(["Authorization"]) {
        return Verdict::NotOffered(
            "a key in Authorization is a bearer; a bare one is not looked for",
        );
    }
    let (shop, terms) = match open(installation, case) {
        Ok(opened) => opened,
        Err(verdict) => return verdict,
    };
    installation.upstream.forget();
    let request = match sent(case, &terms, &shop) {
        Ok(request) => request,
        Err(verdict) => return verdict,
    };
    let answer = match request.send(installation.server.gateway) {
        Ok(answer) => answer,
        Err(error) => return Verdict::Failed(format!("no answer: {error}")),
    };
    // Keys in bodies are not read, so whatever such a case expects, no key was given.
    let expected =
        if case["ours"] == "not offered" { &json!({"status": 401}) } else { &case["expect"] };
    let seen = installation.upstream.seen();
    Verdict::all([
        Verdict::equal("status", &expected["status"].as_u64(), &Some(u64::from(answer.status))),
        message(expected, &answer),
        headers(&expected["headers"], &answer),
        forwarded(expected, &terms, seen.last()),
        Verdict::equal("requests upstream", &usize::from(answer.status == 200), &seen.len()),
    ])
}

/// The request of a case: as written, or as a pair of right and wrong places.
fn sent(case: &Value, terms: &Terms, shop: &Shop) -> Result<Request, Verdict> {
    let given = &case["request"];
    let right = terms.keys.first().map_or_else(String::new, |(_, own)| own.clone());
    let value = |place: &Value| match place.as_str() {
        Some("right") => Some(right.clone()),
        Some(_) => Some("wrong".to_owned()),
        None => None,
    };
    if given.get("header").is_some() || given.get("query").is_some() {
        let query = value(&given["query"]).map(|key| format!("?{PARAMETER}={key}"));
        let target = format!("/{}/{}", shop.product, query.unwrap_or_default());
        let mut request = Request::get(&target);
        if let Some(key) = value(&given["header"]) {
            request = request.header(&terms.name, &key);
        }
        return Ok(request);
    }
    let (Some(method), Some(path)) = (given["method"].as_str(), given["path"].as_str()) else {
        return Err(Verdict::NotOffered("the runner does not know this form of request"));
    };
    let mut request = Request::new(method, &format!("/{}{}", shop.product, terms.target(path)));
    for (name, value) in given["headers"].as_object().into_iter().flatten() {
        request = request.header(name, &terms.key(value.as_str().unwrap_or_default()));
    }
    if let Some(body) = given["body"].as_str() {
        request = request.body(terms.target(body));
    }
    Ok(request)
}

/// Other systems' words for a refusal, and the code that says the same here.
fn message(expected: &Value, answer: &Response) -> Verdict {
    let Some(words) = expected["message"].as_str() else {
        return Verdict::Passed;
    };
    let code = match words {
        words if words.contains("Duplicate") => "key_ambiguous",
        words if words.contains("No API key") || words.contains("Missing API key") => "key_missing",
        words if words.contains("Unauthorized") || words.contains("Invalid") => "key_invalid",
        _ => return Verdict::NotOffered("the runner does not know this message"),
    };
    Verdict::equal("code", &code.to_owned(), &answer.code())
}

/// Headers of an answer must be there; their values differ between systems.
fn headers(expected: &Value, answer: &Response) -> Verdict {
    let absent = |name: &&String| answer.header(name).is_none();
    match expected.as_object().and_then(|headers| headers.keys().find(absent).cloned()) {
        Some(name) => Verdict::Failed(format!("no header {name} in the answer")),
        None => Verdict::Passed,
    }
}

fn forwarded(expected: &Value, terms: &Terms, seen: Option<&Seen>) -> Verdict {
    let empty = Seen::default();
    let seen = seen.unwrap_or(&empty);
    let mut verdicts = Vec::new();
    for name in expected["upstream_headers_absent"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        verdicts.push(Verdict::equal(name, &None, &seen.header(name)));
    }
    for (name, value) in expected["upstream_headers"].as_object().into_iter().flatten() {
        verdicts.push(Verdict::equal(name, &value.as_str(), &seen.header(name)));
    }
    if let Some(target) = expected["upstream_uri"].as_str() {
        let target = format!("/base{}", terms.target(target));
        verdicts.push(Verdict::equal("target", &target, &seen.target));
    }
    if let Some(query) = expected["upstream_query"].as_str() {
        let found = seen.target.split_once('?').map_or("", |(_, query)| query);
        verdicts.push(Verdict::equal("query", &query, &found));
    }
    Verdict::all(verdicts)
}

/// Steps in words: `GET … -> STATUS`, `DELETE … -> STATUS`.
fn lifecycle(installation: &mut Installation, case: &Value) -> Verdict {
    let Some(steps) = case["request"]["steps"].as_array() else {
        return Verdict::NotOffered("the runner does not know this form of request");
    };
    let shop = match open(installation, case) {
        Ok((shop, _)) => shop,
        Err(verdict) => return verdict,
    };
    // The case may wait half a minute; the property does not depend on how long a key lives.
    let lifetime = case["given"]["ttl_s"].as_u64().map(|_| 3_000);
    let expires = lifetime.map(|millis| rfc3339(wait::unix_millis() + millis));
    let made = installation.key(&shop, &json!({"expiresAt": expires})).expect(201).json();
    let (id, key) =
        (made["id"].as_str().unwrap_or_default(), made["key"].as_str().unwrap_or_default());
    let target = format!("/{}/", shop.product);
    let call = || {
        let request = Request::get(&target).header(&key_name(case), key);
        request.send(installation.server.gateway).map_or(0, |answer| answer.status)
    };
    for step in steps.iter().filter_map(Value::as_str) {
        let status: u16 =
            step.rsplit("-> ").next().and_then(|rest| rest[..3].parse().ok()).unwrap_or(0);
        let verdict = if step.starts_with("DELETE") {
            let answer = installation.staff.delete(&format!("/api/v1/keys/{id}"));
            Verdict::equal(step, &200, &answer.status)
        } else if step.contains("after") {
            wait::until_true("the key to expire", || call() == status);
            Verdict::Passed
        } else {
            Verdict::equal(step, &status, &call())
        };
        if verdict != Verdict::Passed {
            return verdict;
        }
    }
    Verdict::Passed
}

/// A key of another system works as it is, and of its secret part nothing is shown.
fn imported(installation: &mut Installation, case: &Value) -> Verdict {
    let (request, expect) = (&case["request"], &case["expect"]);
    let (Some(token), Some(secret)) = (request["token"].as_str(), expect["long"].as_str()) else {
        return Verdict::NotOffered("the runner does not know this form of request");
    };
    let shop = match installation.open(&["GET /"], &json!({}), &json!({})) {
        Ok(shop) => shop,
        Err(problem) => return Verdict::Failed(problem),
    };
    let prefix = expect["short"].as_str().filter(|short| !short.is_empty());
    let line = match prefix {
        Some(prefix) => json!({"key": token, "prefix": prefix}).to_string(),
        None => token.to_owned(),
    };
    installation.import(&shop, &(line + "\n"));
    let target = format!("/{}/", shop.product);
    let answer = installation.server.call(&target, token);
    let listed = installation.staff.get(&format!("/api/v1/keys?partner={}", shop.partner));
    let shown = listed.json()["keys"][0]["key_prefix"].as_str().unwrap_or_default().to_owned();
    Verdict::all([
        Verdict::equal("status", &200, &answer.status),
        Verdict::equal("prefix", &true, &prefix.is_none_or(|prefix| shown == prefix)),
        Verdict::equal("the secret is shown", &false, &listed.text().contains(secret)),
    ])
}

fn address(installation: &mut Installation, case: &Value) -> Verdict {
    let shop = match installation.open(&["GET /"], &json!({}), &json!({})) {
        Ok(shop) => shop,
        Err(problem) => return Verdict::Failed(problem),
    };
    let key = installation.secret(&shop, &json!({"allowedIPs": case["given"]["allow"]}));
    let peer = case["request"]["peer"].as_str().unwrap_or_default();
    let forwarded = case["request"]["X-Forwarded-For"].as_str();
    let from = forwarded.or((peer != "127.0.0.1").then_some(peer));
    let mut request = Request::get(&format!("/{}/", shop.product)).bearer(&key);
    if let Some(from) = from {
        request = request.header("X-Forwarded-For", from);
    }
    match request.send(installation.server.gateway) {
        Ok(answer) => Verdict::equal(
            "status",
            &case["expect"]["status"].as_u64(),
            &Some(u64::from(answer.status)),
        ),
        Err(error) => Verdict::Failed(format!("no answer: {error}")),
    }
}

fn address_list(installation: &mut Installation, case: &Value) -> Verdict {
    let Some(allow) = case["given"].get("allow") else {
        return Verdict::NotOffered("a key has a list of allowed addresses, none of refused ones");
    };
    let shop = match installation.open(&["GET /"], &json!({}), &json!({})) {
        Ok(shop) => shop,
        Err(problem) => return Verdict::Failed(problem),
    };
    let status = installation.key(&shop, &json!({"allowedIPs": allow})).status;
    let rejected = case["expect"]["rejected_at_configuration"].as_bool().unwrap_or(false);
    Verdict::equal("rejected", &rejected, &matches!(status, 400 | 422))
}

/// A time as RFC 3339 in UTC, counted on from 1970.
fn rfc3339(unix_millis: u64) -> String {
    let (seconds, millis) = (unix_millis / 1000, unix_millis % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut rest) = (1970, days);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    let (hour, minute) = (second / 3600, second % 3600 / 60);
    format!(
        "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{:02}.{millis:03}Z",
        month + 1,
        rest + 1,
        second % 60
    )
}
