//! OpenAPI documents of every generation: those of the repository, and a folder of real ones if
//! `KEYTOLL_SPECS` names one.

use std::path::{Path, PathBuf};

use keytoll_tests::binary::{Outcome, Server, run_in};
use keytoll_tests::http::Request;
use keytoll_tests::portal::Session;
use keytoll_tests::scratch::{Scratch, repository};
use keytoll_tests::upstream::Upstream;
use serde_json::json;

fn check(file: &Path) -> Outcome {
    let folder = Scratch::new();
    let path = file.to_string_lossy();
    run_in(folder.path(), &["spec", "check", &path, "--json"], "")
}

/// The repository's own documents: file, version, operations.
const OWN: [(&str, &str, u64); 4] = [
    ("warehouse-2.0.json", "2.0", 3),
    ("weather-3.0.yaml", "3.0.3", 3),
    ("tickets-3.1.yaml", "3.1.0", 4),
    ("events-3.2.yaml", "3.2.0", 2),
];

#[test]
fn every_generation_is_read() {
    for (name, version, operations) in OWN {
        let found = check(&repository().join("tests/specs").join(name)).ok().json();
        assert_eq!(found["openapi"], version, "{name}: {found}");
        assert_eq!(found["operations"], operations, "{name}: {found}");
        assert!(found["title"].is_string() && found["diagnostics"].is_array(), "{name}: {found}");
    }
}

#[test]
fn imported_document_is_served_and_shown() {
    let upstream = Upstream::start();
    let server = Server::start();
    let file = repository().join("tests/specs/weather-3.0.yaml");
    let file = file.to_string_lossy();
    let url = upstream.url();
    let import = ["product", "import", "--id", "weather", "--spec", &file, "--upstream", &url];
    assert_eq!(server.cli_json(&import)["id"], "weather");
    let plans = json!({"currency": "USD", "plans": [
        {"id": "basic", "products": ["weather"], "operations": ["GET /stations"], "price_monthly": "1"},
    ]});
    server.folder.write("plans.yaml", plans.to_string());
    server.cli(&["apply", "plans.yaml"]).ok();
    let partner = Session::sign_up(server.portal, "reader@example.test", "Example Reader");
    partner.subscribe("basic");
    let (_, key) = partner.create_key(&["weather:read"]);

    server.call("/weather/stations?near=sea", &key).expect(200);
    assert_eq!(upstream.last().target, "/base/stations?near=sea");
    assert_eq!(upstream.last().header("authorization"), None, "the key stays here");
    let outside = server.call("/weather/stations/7", &key).expect(403);
    assert_eq!(outside.code(), "operation_not_in_plan");
    assert_eq!(server.call("/weather/nowhere", &key).expect(404).code(), "no_such_operation");
    let method = Request::new("DELETE", "/weather/stations").bearer(&key).send(server.gateway);
    let method = method.expect("an answer").expect(405);
    assert!(
        method.header("allow").is_some_and(|allow| allow.contains("GET")),
        "{:?}",
        method.headers
    );
    let shown = partner.get("/api/v1/products/weather").expect(200).text();
    assert!(shown.contains("/stations/{station}"), "{shown}");
}

#[test]
fn document_from_a_url_is_imported() {
    let site = Upstream::start();
    let file = repository().join("tests/specs/tickets-3.1.yaml");
    site.answer_with(200, "application/yaml", std::fs::read(file).expect("our own document"));
    let server = Server::start();
    let (spec, url) = (format!("http://{}/openapi.yaml", site.address()), site.url());
    server.cli_json(&["product", "import", "--id", "tickets", "--spec", &spec, "--upstream", &url]);
    let partner = Session::sign_up(server.portal, "reader@example.test", "Example Reader");
    partner.get("/api/v1/products/tickets").expect(200);
}

#[test]
fn outside_documents_are_read_or_refused_with_a_place() {
    let Some(folder) = std::env::var_os("KEYTOLL_SPECS").map(PathBuf::from) else {
        return;
    };
    let mut files = Vec::new();
    collect(&folder, &mut files);
    let mut problems = Vec::new();
    let mut read = 0;
    for file in &files {
        let outcome = check(file);
        let path = file.to_string_lossy();
        let hostile = ["/fail/", "/invalid/", "/malicious/"].iter().any(|part| path.contains(part));
        match outcome.status.code() {
            Some(0) => read += 1,
            Some(2) if hostile || !is_document(file) => {}
            other => problems.push(format!("{path}: exit {other:?}: {}", outcome.stderr)),
        }
    }
    println!("{read} of {} documents read", files.len());
    assert!(!files.is_empty(), "no documents under {}", folder.display());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("KEYTOLL_SPECS {}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, files);
        } else if ["json", "yaml", "yml"].contains(&extension.as_str()) {
            files.push(path);
        }
    }
}

/// Whether a file is an OpenAPI document and no part of one.
fn is_document(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
        return value["openapi"].is_string() || value["swagger"].is_string();
    }
    let keys = ["openapi:", "swagger:", "\"openapi\":", "\"swagger\":"];
    text.lines().any(|line| keys.iter().any(|key| line.starts_with(key)))
}
