//! What an operator does with an installation: copies, restores, exports, and what others may read of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keytoll_tests::binary::{self, Server, run_in, text};
use keytoll_tests::catalog::{apply, catalog, plan, sell};
use keytoll_tests::portal::Session;
use keytoll_tests::scratch::{Scratch, free_port};
use keytoll_tests::upstream::Upstream;
use serde_json::json;

fn partner(folder: &Path, name: &str) {
    let arguments = ["partner", "create", "--name", name, "--email", "a@example.com"];
    run_in(folder, &arguments, "").ok();
}

fn partners(folder: &Path) -> usize {
    let listed = run_in(folder, &["partner", "list", "--json"], "").ok().json();
    listed["partners"].as_array().map_or(0, Vec::len)
}

#[test]
fn restore_twice_keeps_both_replaced_databases() {
    let folder = Scratch::new();
    let path = folder.path();
    run_in(path, &["backup", "empty.db"], "").ok();
    partner(path, "Kept");
    let restore =
        || text(&run_in(path, &["restore", "empty.db", "--json"], "").ok().json(), "previous");
    let (first, second) = (restore(), restore());
    assert_ne!(first, second);
    assert_eq!(partners(path), 0);
    run_in(path, &["restore", &first], "").ok();
    assert_eq!(partners(path), 1, "the database before the first restore is still there");
}

#[test]
fn restore_clears_what_an_interrupted_one_left() {
    let folder = Scratch::new();
    let path = folder.path();
    partner(path, "Kept");
    run_in(path, &["backup", "one.db"], "").ok();
    for suffix in ["check", "check-wal", "check-journal", "incoming"] {
        folder.write(&format!("keytoll-data/keytoll.db.{suffix}"), "left over");
    }
    run_in(path, &["restore", "one.db"], "").ok();
    assert_eq!(partners(path), 1);
    for suffix in ["check", "check-wal", "check-journal", "incoming"] {
        assert!(!path.join(format!("keytoll-data/keytoll.db.{suffix}")).exists(), "{suffix}");
    }
}

#[test]
fn data_and_backups_are_closed_to_other_users() {
    let folder = Scratch::new();
    let path = folder.path();
    partner(path, "Private");
    run_in(path, &["backup", "copy.db"], "").ok();
    for name in ["keytoll-data", "keytoll-data/keytoll.db", "copy.db"] {
        let mode = std::fs::metadata(path.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}

#[test]
fn export_names_calls_by_their_request_id() {
    let upstream = Upstream::start();
    let server = sell(&upstream, &json!([plan("open", &json!({}))]));
    let session = Session::sign_up(server.portal, "a@example.test", "Example");
    session.subscribe("open");
    let (_, key) = session.create_key(&["*"]);
    let answer = server.call("/items/items", &key).expect(200);
    let id = answer.header("x-request-id").expect("every answer has an id").to_owned();
    let span = ["usage", "export", "--from", "2020-01-01", "--to", "2099-01-01"];
    let exported = server.cli(&span).ok().stdout;
    assert!(exported.contains(&id), "{id} is not in {exported}");
}

#[test]
fn export_into_a_closed_pipe_is_quiet() {
    let folder = Scratch::new();
    let mut child = Command::new(binary::path())
        .current_dir(folder.path())
        .args(["usage", "export", "--from", "2026-11-01", "--to", "2026-11-02"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let outcome = child.wait_with_output().unwrap();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(String::from_utf8_lossy(&outcome.stderr), "");
}

#[test]
fn taken_gateway_address_is_named_once() {
    let folder = Scratch::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let portal = free_port();
    folder.write(
        "keytoll.toml",
        format!("[gateway]\nlisten = \"{address}\"\n[portal]\nlisten = \"127.0.0.1:{portal}\"\n"),
    );
    let outcome = run_in(folder.path(), &["serve"], "").refused(&["gateway.listen", "in use"]);
    assert_eq!(outcome.stderr.matches("in use").count(), 1, "{}", outcome.stderr);
}

#[test]
fn portal_shows_the_gateway_at_its_public_address() {
    let server = Server::prepare("", "public_url = \"https://api.example.test\"");
    let upstream = Upstream::start();
    apply(&server, &catalog(&upstream, &json!({}), &json!([plan("open", &json!({}))])));
    let mut server = server;
    server.run();
    let session = Session::sign_up(server.portal, "a@example.test", "Example");
    let page = session.get("/catalog/items").expect(200).text();
    assert!(page.contains("https://api.example.test/items"), "{page}");
}
