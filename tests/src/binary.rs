//! The built binary as a process: started in a folder of its own, spoken to, and ended by its id.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::http::{Request, Response};
use crate::scratch::{Scratch, free_port};
use crate::wait;

/// The binary that `make test` built, from `KEYTOLL_BIN`.
///
/// # Panics
/// When the variable is not set: these tests never guess where cargo puts its files.
pub fn path() -> PathBuf {
    let found = std::env::var_os("KEYTOLL_BIN")
        .expect("KEYTOLL_BIN names the built binary; `make test` sets it");
    PathBuf::from(found)
}

/// What a finished command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Fails unless the command succeeded.
    pub fn ok(self) -> Self {
        assert!(
            self.status.success(),
            "{}\nstdout: {}\nstderr: {}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails unless the command refused with a message on standard error that holds all these texts,
    /// in any case, and is no panic.
    pub fn refused(self, texts: &[&str]) -> Self {
        let shown = format!("{}\nstdout: {}\nstderr: {}", self.status, self.stdout, self.stderr);
        assert!(
            self.status.code().is_some_and(|code| code != 0 && code != 101),
            "no refusal: {shown}"
        );
        assert!(!self.stderr.contains("panicked"), "{shown}");
        for text in texts {
            let message = self.stderr.to_lowercase();
            assert!(message.contains(&text.to_lowercase()), "the message lacks {text:?}: {shown}");
        }
        self
    }

    /// Standard output as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("no JSON document ({error}): {} {}", self.stdout, self.stderr)
        })
    }
}

/// Runs the binary with these arguments in a folder, with this text as standard input.
pub fn run_in<A: AsRef<OsStr>>(folder: &Path, arguments: &[A], input: &str) -> Outcome {
    let mut child = command(&path(), folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    if let Some(mut stdin) = child.stdin.take() {
        // A command that refuses its arguments may end before it reads.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().expect("the command ends");
    Outcome {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        // Only what a test sets may configure the binary.
        if name.to_string_lossy().starts_with("KEYTOLL_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running process of the binary whose output goes to a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn spawn<A: AsRef<OsStr>>(folder: &Path, arguments: &[A]) -> Self {
        let mut with_arguments = command(&path(), folder);
        with_arguments.args(arguments);
        Self::start(with_arguments, folder)
    }

    /// Runs the binary as the last command of a shell script, as `"$0" "$@"`.
    pub fn spawn_by_script(folder: &Path, script: &str, arguments: &[&str]) -> Self {
        let mut shell = command(Path::new("sh"), folder);
        shell.args(["-c", script]).arg(path()).args(arguments);
        Self::start(shell, folder)
    }

    fn start(mut command: Command, folder: &Path) -> Self {
        let log = folder.join("output.log");
        let file = File::options().create(true).append(true).open(&log);
        let file = file.expect("a log can be written");
        let second = file.try_clone().expect("a file handle can be copied");
        command.stdin(Stdio::null()).stdout(file).stderr(second);
        Self { child: command.spawn().expect("the binary can be started"), log }
    }

    /// Everything that was printed so far, by this process and those before it in the same folder.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child can be asked")
    }

    /// Waits until the process ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        wait::until("the process to end", || self.ended())
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id is positive");
        let _ = kill_process(id, signal);
    }

    /// Ctrl-C, then the exit status.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.wait()
    }

    /// Kills the process at this instant, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until `/healthz` answers at the address, or fails with the output if the process ended.
    pub fn wait_healthy(&mut self, gateway: SocketAddr) {
        wait::until("/healthz to answer", || {
            if let Some(status) = self.ended() {
                panic!("the server ended ({status}):\n{}", self.output());
            }
            Request::get("/healthz").send(gateway).ok().filter(|answer| answer.status == 200)
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `keytoll serve` with a configuration, a data folder and two ports of its own.
#[derive(Debug)]
pub struct Server {
    pub folder: Scratch,
    pub gateway: SocketAddr,
    pub portal: SocketAddr,
    process: Option<Process>,
}

impl Server {
    /// Starts with an empty data folder.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts with more lines for the configuration file; `[gateway]` and `[portal]` are written here,
    /// their further keys belong into `more` as dotted keys are not allowed twice.
    pub fn start_with(more: &str) -> Self {
        let mut server = Self::prepare(more, "");
        server.run();
        server
    }

    /// Writes the configuration and starts nothing. `gateway_more` are further lines of `[gateway]`.
    pub fn prepare(more: &str, gateway_more: &str) -> Self {
        let folder = Scratch::new();
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let portal = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut config = format!("data_dir = '{}'\n", folder.path().join("data").display());
        let _ = write!(config, "[gateway]\nlisten = \"{gateway}\"\n{gateway_more}\n");
        let _ = write!(config, "[portal]\nlisten = \"{portal}\"\n{more}\n");
        folder.write("keytoll.toml", config);
        Self { folder, gateway, portal, process: None }
    }

    /// Starts the process, or starts it again, and waits until it serves.
    pub fn run(&mut self) {
        self.process = None;
        let mut process =
            Process::spawn(self.folder.path(), &["serve", "--config", "keytoll.toml"]);
        process.wait_healthy(self.gateway);
        self.process = Some(process);
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the server was started")
    }

    /// Runs a command of the same installation, in another process.
    pub fn cli(&self, arguments: &[&str]) -> Outcome {
        self.cli_with_input(arguments, "")
    }

    pub fn cli_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let all = [arguments, &["--config", "keytoll.toml"]].concat();
        run_in(self.folder.path(), &all, input)
    }

    /// The JSON document of a command that must succeed.
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        self.cli(&[arguments, &["--json"]].concat()).ok().json()
    }

    /// A new management token.
    pub fn token(&self, role: &str) -> String {
        let made = self.cli_json(&["token", "create", "--name", "black box", "--role", role]);
        text(&made, "token")
    }

    /// One call of an API through the gateway with a key as bearer.
    pub fn call(&self, target: &str, key: &str) -> Response {
        Request::get(target).bearer(key).send(self.gateway).expect("the gateway answers")
    }
}

/// Every call in the ledger of a server's installation.
pub fn export(server: &Server) -> Vec<Value> {
    let range = ["--from", "2000-01-01", "--to", "2999-12-31"];
    let export = server.cli(&[&["usage", "export", "--format", "jsonl"][..], &range].concat()).ok();
    let row = |line| serde_json::from_str(line).expect("an export line is JSON");
    export.stdout.lines().map(row).collect()
}

/// The text at a JSON member.
///
/// # Panics
/// When there is none.
pub fn text(value: &Value, member: &str) -> String {
    let found = value[member].as_str();
    found.unwrap_or_else(|| panic!("no text {member:?} in {value}")).to_owned()
}
