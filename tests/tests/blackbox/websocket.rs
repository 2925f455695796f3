//! A WebSocket through the gateway, as a client and a server that others wrote see it.

use std::process::Command;

use keytoll_tests::binary::{Server, export, text};
use keytoll_tests::catalog::{apply, catalog, plan};
use keytoll_tests::peer::installed;
use keytoll_tests::portal::Session;
use keytoll_tests::scratch::{free_port, repository};
use keytoll_tests::upstream::Upstream;
use keytoll_tests::wait;
use serde_json::{Value, json};

#[test]
fn a_conversation_through_the_gateway_is_that_without_it() {
    let port = free_port();
    let service = format!("127.0.0.1:{port}");
    let server = Server::start();
    let upstream = json!({"upstream": format!("http://{service}")});
    let plans = json!([plan("open", &json!({}))]);
    apply(&server, &catalog(&Upstream::start(), &upstream, &plans));
    let partner = Session::sign_up(server.portal, "dev@example.test", "Example");
    text(&partner.subscribe("open"), "id");
    let (_, key) = partner.create_key(&["items:read"]);

    let told = talk(port, &key, &[&service, &format!("{}/items", server.gateway)]);
    let (direct, through) = (&told["told"][0], &told["told"][1]);
    assert_eq!(direct["binary"]["bytes"], 1 << 20);
    assert_eq!(direct["pinged"], "ponged");
    assert_eq!(direct["closed by client"], json!([4001, "enough"]));
    assert_eq!(direct["as the server saw it"], json!([4001, "enough"]));
    assert_eq!(direct["closed by server"], json!([4002, "as you wish"]));
    assert_eq!(direct["too large"], 1009);
    assert_eq!(direct["extensions"], json!(["permessage-deflate"]));
    assert_eq!(through, direct);
    assert_eq!(told["refused"], 401);
    wait::until_true("the conversations to be in the ledger", || export(&server).len() == 3);
}

/// What came of the conversation at each place; the echo server listens at the port meanwhile.
fn talk(port: u16, key: &str, places: &[&str]) -> Value {
    let library = installed("websockets/__init__.py");
    let folder = library.ancestors().nth(2).expect("the library is in a folder");
    let talked = Command::new("python3")
        .arg(repository().join("tests/clients/websocket_talk.py"))
        .args([&port.to_string(), key])
        .args(places.iter().map(|place| format!("ws://{place}/items")))
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python can be started");
    let errors = String::from_utf8_lossy(&talked.stderr);
    assert!(talked.status.success(), "{errors}");
    serde_json::from_slice(&talked.stdout).expect("the conversation is told as JSON")
}
