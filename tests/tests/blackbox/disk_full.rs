//! No room for the journal: calls are refused rather than served unmetered, until there is room.

use std::process::Command;

use keytoll_tests::binary::{Process, Server};
use keytoll_tests::catalog::{apply, catalog, plan};
use keytoll_tests::portal::Session;
use keytoll_tests::upstream::Upstream;
use keytoll_tests::wait;
use serde_json::json;

/// How the room is taken: a small tmpfs, or, where the machine lets nobody mount, a limit on the size of
/// files, which stops the allocation of a segment in the same way.
enum Room {
    Tmpfs { unshare: &'static str },
    FileSize,
}

impl Room {
    fn find() -> Self {
        for unshare in ["--mount", "--user --map-root-user --mount"] {
            let mut probe = Command::new("unshare");
            probe.args(unshare.split(' ')).args(["mount", "-t", "tmpfs", "none", "/mnt"]);
            if probe.output().is_ok_and(|output| output.status.success()) {
                return Self::Tmpfs { unshare };
            }
        }
        Self::FileSize
    }

    /// Starts the server with 8 MiB for the journal, half of what one segment takes.
    fn script(&self) -> String {
        match self {
            Self::Tmpfs { unshare } => format!(
                "exec unshare {unshare} sh -c \
                 'mount -t tmpfs -o size=8m none data/journal && exec \"$0\" \"$@\"' \"$0\" \"$@\""
            ),
            Self::FileSize => {
                // An ignored signal stays ignored in the program that follows; the limit then is an error.
                "trap '' XFSZ; ulimit -S -f 16384; exec \"$0\" \"$@\"".to_owned()
            }
        }
    }

    fn enlarge(&self, process: &Process) {
        let id = process.id().to_string();
        let mut command = match self {
            Self::Tmpfs { unshare } => {
                let mut command = Command::new("nsenter");
                command.args(["--target", &id, "--mount", "--wd=/"]);
                if unshare.contains("--user") {
                    command.args(["--user", "--preserve-credentials"]);
                }
                let journal = format!("/proc/{id}/cwd/data/journal");
                command.args([
                    "sh",
                    "-c",
                    "mount -o remount,size=256m \"$(readlink -f \"$0\")\"",
                    &journal,
                ]);
                command
            }
            Self::FileSize => {
                let mut command = Command::new("prlimit");
                command.args(["--pid", &id, "--fsize=unlimited:"]);
                command
            }
        };
        let output = command.output().expect("util-linux is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn calls_are_refused_while_there_is_no_room_and_go_on_after() {
    let upstream = Upstream::start();
    let mut server = Server::prepare("", "workers = 1");
    server.run();
    apply(&server, &catalog(&upstream, &json!({}), &json!([plan("open", &json!({}))])));
    let partner = Session::sign_up(server.portal, "a@example.test", "Example");
    partner.subscribe("open");
    let (_, key) = partner.create_key(&["items:read"]);
    assert!(server.process().interrupt().success());
    let journal = server.folder.path().join("data/journal");
    std::fs::remove_dir_all(&journal).expect("the journal lies in the data folder");
    std::fs::create_dir(&journal).expect("a folder can be made");

    let room = Room::find();
    let arguments = ["serve", "--config", "keytoll.toml"];
    let mut process = Process::spawn_by_script(server.folder.path(), &room.script(), &arguments);
    process.wait_healthy(server.gateway);
    let full = server.call("/items/items", &key).expect(503);
    assert_eq!(full.code(), "metering_unavailable");
    assert_eq!(upstream.count(), 0, "nothing is served unmetered");

    room.enlarge(&process);
    wait::until_true("calls to go on", || server.call("/items/items", &key).status == 200);
    wait::until_true("the call to show in the usage", || {
        partner.get("/api/v1/usage").expect(200).json()["totalCalls"] == 1
    });
}
