//! `keytoll demo`: one command in an empty folder, and the line it prints works.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use keytoll_tests::binary::{Process, run_in};
use keytoll_tests::http::Request;
use keytoll_tests::scratch::{Scratch, free_port};

struct Demo {
    folder: Scratch,
    gateway: SocketAddr,
    portal: SocketAddr,
}

impl Demo {
    fn new() -> Self {
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let portal = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Self { folder: Scratch::new(), gateway, portal }
    }

    fn arguments(&self) -> Vec<String> {
        let arguments = [
            "demo",
            "--gateway",
            &self.gateway.to_string(),
            "--portal",
            &self.portal.to_string(),
            "--no-traffic",
        ];
        arguments.map(str::to_owned).to_vec()
    }

    fn start(&self) -> Process {
        let mut process = Process::spawn(self.folder.path(), &self.arguments());
        process.wait_healthy(self.gateway);
        process
    }
}

/// The ready-to-paste line.
fn curl_line(output: &str) -> &str {
    let line = output.lines().find(|line| line.contains("curl ")).expect("a curl line is printed");
    &line[line.find("curl ").unwrap_or(0)..]
}

/// Runs a printed line as a person would, and returns the answer's status.
fn paste(line: &str) -> String {
    let script = format!("{line} -s -o /dev/null -w '%{{http_code}}'");
    let output = Command::new("sh").args(["-c", &script]).output().expect("curl is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn printed_curl_line_answers_200() {
    let demo = Demo::new();
    let mut process = demo.start();
    let output = process.output();
    assert!(output.contains(&demo.gateway.to_string()), "{output}");
    assert!(output.contains(&demo.portal.to_string()), "{output}");
    assert!(!output.contains('\u{1b}'), "no colour off a terminal: {output:?}");
    let line = curl_line(&output);
    let first = output.find("/shipment-tracking/").expect("the path of the product is printed");
    let path = output[first..].split(['\'', '"', ' ', '\n']).next().unwrap_or_default();
    assert!(line.contains(path), "the first such path is that of the curl line: {path}");
    assert_eq!(paste(line), "200", "{line}");
    let page = Request::get("/").send(demo.portal).expect("the portal answers");
    assert!(page.status < 400, "{}", page.status);
    assert_eq!(process.interrupt().code(), Some(0), "{}", process.output());
}

#[test]
fn second_start_keeps_the_data_and_rolls_the_printed_key() {
    let demo = Demo::new();
    let mut first = demo.start();
    let first_output = first.output();
    let old = curl_line(&first_output).to_owned();
    assert_eq!(paste(&old), "200");
    assert!(first.interrupt().success());
    let before = first_output.len();

    let mut second = demo.start();
    let output = second.output()[before..].to_owned();
    let new = curl_line(&output);
    assert_ne!(new, old, "only the hash of the first key was kept, so a new one is printed");
    assert_eq!(paste(new), "200");
    assert_eq!(paste(&old), "401");
    assert!(second.interrupt().success());
}

#[test]
fn taken_port_is_named_and_ends_the_demo() {
    let demo = Demo::new();
    let _taken = TcpListener::bind(demo.gateway).expect("the port is free");
    let port = demo.gateway.port().to_string();
    run_in(demo.folder.path(), &demo.arguments(), "").refused(&[&port, "in use"]);
}

#[test]
fn second_demo_on_the_same_folder_is_refused() {
    let demo = Demo::new();
    let _first = demo.start();
    let mut arguments = demo.arguments();
    arguments[2] = format!("127.0.0.1:{}", free_port());
    arguments[4] = format!("127.0.0.1:{}", free_port());
    run_in(demo.folder.path(), &arguments, "").refused(&["keytoll-demo"]);
}
