//! Pricing cases as data: every `pricing*.json` in `KEYTOLL_CASES`, else in the repository's own
//! `tests/cases`, against `keytoll_domain::rating`. Prints one line of counts per file.
//!
//! A case is `{id, area, price, given, expect}`. The members of `price` and `given` say what is
//! computed, every member must be understood, and every member of `expect` must be among the
//! results: a shape that is not known here is a failure. Amounts are compared after the rounding of
//! lines when the expected text has no more places than the currency, and exactly when it has more.

#[path = "cases_pricing/adjust.rs"]
mod adjust;
#[path = "cases_pricing/members.rs"]
mod members;
#[path = "cases_pricing/metered.rs"]
mod metered;
#[path = "cases_pricing/results.rs"]
mod results;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::members::{Members, Trouble};
use crate::results::{Results, differences};

type Judge = fn(&mut Members, &mut Members) -> Result<Results, Trouble>;

/// The price models that Keytoll offers, with what computes them. A case with another model is not
/// offered if it is marked optional, and fails if it is not.
const OFFERED: [(&str, Judge); 12] = [
    ("flat", adjust::fee),
    ("flat_monthly", adjust::fee_by_the_second),
    ("flat_plus_overage", metered::plan),
    ("per_unit", metered::metered),
    ("package", metered::metered),
    ("graduated", metered::metered),
    ("volume", metered::metered),
    ("percentage", metered::metered),
    ("graduated_percentage", metered::metered),
    ("several", metered::several),
    ("plan_change", adjust::plan_change),
    ("commitment", adjust::commitment),
];

enum Verdict {
    Passed,
    Failed(String),
    NotOffered(String),
}

#[test]
fn pricing_cases_pass() {
    let files = case_files();
    assert!(!files.is_empty(), "no pricing*.json in the folder of cases");
    let mut failures = 0;
    for file in files {
        failures += run(&file);
    }
    assert_eq!(failures, 0, "pricing cases failed; they are named above");
}

fn run(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).expect("a case file can be read");
    let document: Value = serde_json::from_str(&text).expect("a case file is JSON");
    let cases = document["cases"].as_array().expect("a case file has a list named cases");
    let (mut passed, mut failed, mut not_offered) = (0, 0, 0);
    for case in cases {
        let id = case["id"].as_str().unwrap_or("(a case without id)");
        match judge(case) {
            Verdict::Passed => passed += 1,
            Verdict::Failed(why) => {
                failed += 1;
                println!("FAILED: {id}: {why}");
            }
            Verdict::NotOffered(why) => {
                not_offered += 1;
                println!("not offered: {id}: {why}");
            }
        }
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!("\n{name}: {passed} passed, {failed} failed, {not_offered} not offered");
    failed
}

fn judge(case: &Value) -> Verdict {
    let Some(expected) = case["expect"].as_object().filter(|expected| !expected.is_empty()) else {
        return Verdict::Failed("expect is no object with members".to_owned());
    };
    let wants_error = expected.get("error").is_some_and(|error| *error != Value::Bool(false));
    match (compute(case), wants_error) {
        (Err(Trouble::Refused(_)), true) => Verdict::Passed,
        (Ok(results), true) => Verdict::Failed(format!("expected an error, got {results:?}")),
        (Err(Trouble::UnknownModel(model)), _) if case["optional"] == Value::Bool(true) => {
            Verdict::NotOffered(format!("price model {model}"))
        }
        (Err(trouble), _) => {
            Verdict::Failed(format!("expected {:?}, got {trouble}", case["expect"]))
        }
        (Ok(results), false) => {
            let wrong = differences(&results, expected);
            if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong.join("; ")) }
        }
    }
}

fn compute(case: &Value) -> Result<Results, Trouble> {
    let mut price = Members::of("price", &case["price"])?;
    let mut given = Members::of("given", &case["given"])?;
    let judge = match price.optional_text("model")? {
        None => metered::without_model,
        Some(model) => {
            let known = OFFERED.iter().find(|(name, _)| *name == model);
            price.set_model(&model);
            known.ok_or(Trouble::UnknownModel(model))?.1
        }
    };
    let results = judge(&mut price, &mut given)?;
    price.finish()?;
    given.finish()?;
    Ok(results)
}

fn case_files() -> Vec<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = match std::env::var_os("KEYTOLL_CASES") {
        Some(folder) => repository.join(folder),
        None => repository.join("tests/cases"),
    };
    let entries = std::fs::read_dir(&folder).expect("the folder of cases can be read");
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("pricing") && path.extension().is_some_and(|extension| extension == "json")
    };
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_ours).collect();
    files.sort();
    files
}
