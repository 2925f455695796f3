//! Rate-limit cases whose events lie apart in time, on a clock of the case's own: every `ratelimit*.json`
//! in `KEYTOLL_CASES`, else in the repository's own `tests/cases`. Prints one line of counts per file.
//!
//! Cases at one instant are run against the binary, by the black-box tests, and not counted here.

use std::path::{Path, PathBuf};

use keytoll_domain::limits::Window;
use keytoll_domain::time::{MICROS_PER_SECOND, Timestamp};
use serde_json::{Value, json};

#[test]
fn ratelimit_cases_in_time_pass() {
    let mut failures = Vec::new();
    for file in case_files() {
        let text = std::fs::read_to_string(&file).expect("a case file can be read");
        let document: Value = serde_json::from_str(&text).expect("a case file is JSON");
        let cases = document["cases"].as_array().expect("a case file has `cases`");
        let (mut passed, mut failed) = (0, 0);
        for case in cases.iter().filter(|case| is_timed(case)) {
            match judge(case) {
                Ok(()) => passed += 1,
                Err(problem) => {
                    failed += 1;
                    println!("FAILED: {}: {problem}", case["id"]);
                    failures.push(format!("{}: {problem}", case["id"]));
                }
            }
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("\n{name} (in time): {passed} passed, {failed} failed, 0 not offered");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn case_files() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    let folder = std::env::var_os("KEYTOLL_CASES").map_or(own, PathBuf::from);
    let entries = std::fs::read_dir(folder).expect("the folder of cases can be listed");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ratelimit") && name.ends_with(".json")
    });
    files.sort();
    files
}

/// One window, numbered events, and some of them later than the start.
fn is_timed(case: &Value) -> bool {
    let events = case["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let offered = case["ours"] != "not offered";
    offered && events.iter().any(|event| event["t"].as_f64().is_some_and(|t| t > 0.0))
}

fn judge(case: &Value) -> Result<(), String> {
    let [limit] = case["limits"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err("one limit is expected".to_owned());
    };
    let units = limit["limit"].as_u64().ok_or("a limit in units")?;
    let length = limit["window_s"].as_f64().ok_or("a window in seconds")?;
    let mut window = Window::new(micros(length), units);
    let (mut statuses, mut remaining, mut retry_after) = (Vec::new(), Vec::new(), Vec::new());
    for event in case["events"].as_array().into_iter().flatten() {
        let now =
            Timestamp::from_secs(1_000_000).plus_micros(micros(event["t"].as_f64().unwrap_or(0.0)));
        let cost = event["cost"].as_u64().unwrap_or(1);
        for _ in 0..event["n"].as_u64().unwrap_or(1) {
            let refused = window.refusal(now, cost);
            if refused.is_none() {
                window.record(now, cost);
            }
            statuses.push(if refused.is_none() { 200 } else { 429 });
            remaining.push(window.remaining(now));
            retry_after.push(refused.map(|at| {
                (at.0 - now.0).unsigned_abs().div_ceil(MICROS_PER_SECOND.unsigned_abs())
            }));
        }
    }
    let admitted = statuses.iter().filter(|status| **status == 200).count();
    for (member, expected) in case["expect"].as_object().into_iter().flatten() {
        let (expected, found) = match member.as_str() {
            "statuses" => (expected.clone(), json!(statuses)),
            "remaining" => (expected.clone(), json!(remaining)),
            "retry_after_s" => (expected.clone(), json!(retry_after)),
            "total_allowed_max" => (expected["exact log"].clone(), json!(admitted)),
            _ => return Err(format!("the runner does not know `{member}`")),
        };
        if expected != found {
            return Err(format!("{member}: expected {expected}, found {found}"));
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "case times are small and given to the millisecond"
)]
fn micros(seconds: f64) -> i64 {
    (seconds * 1_000_000.0).round() as i64
}
