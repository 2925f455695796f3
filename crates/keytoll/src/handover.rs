//! Listening sockets that come from before this process image and go on to the next.
//!
//! They arrive as systemd passes them (`LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`), and a restart passes them to
//! itself in the same way. Because the sockets never close, connections wait in them instead of being refused. The
//! numbers need not be in one row: a place between them is named `-`. `LISTEN_FDS_FIRST_FD` says where they begin.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::config::Config;

const GATEWAY: &str = "gateway";
const PORTAL: &str = "portal";
const METRICS: &str = "metrics";
/// A number that is none of ours.
const GAP: &str = "-";
/// More sockets than any number of workers needs; a larger number in the environment is a mistake.
const SOCKETS_MAX: usize = 4096;

/// Open listeners by what they are for.
#[derive(Debug, Default)]
pub struct Sockets {
    /// One or more, each with a queue of its own.
    pub gateway: Vec<TcpListener>,
    pub portal: Option<TcpListener>,
    pub metrics: Option<TcpListener>,
}

/// How this process was started, read before an upgrade can put another file in the binary's place.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// The sockets that were passed to this process, each by its name, else by its address. Call it once, before there
/// are other threads.
pub fn inherited(config: &Config) -> Result<Sockets> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = ListenFd::from_env();
    if passed.len() > SOCKETS_MAX {
        bail!("LISTEN_FDS is {}; at most {SOCKETS_MAX} sockets can be passed", passed.len());
    }
    let mut names = names.split(':');
    let mut sockets = Sockets::default();
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        if name == GAP {
            continue;
        }
        let listener = passed.take_tcp_listener(index);
        let listener =
            listener.with_context(|| format!("passed socket {} (`{name}`)", index + 1))?;
        if let Some(listener) = listener {
            sockets.place(name, listener, config)?;
        }
    }
    Ok(sockets)
}

impl Sockets {
    fn place(&mut self, name: &str, listener: TcpListener, config: &Config) -> Result<()> {
        let address = listener.local_addr()?;
        let purpose = purpose(name, address, config).with_context(|| {
            format!(
                "the passed socket on {address} (`{name}`) is named neither {GATEWAY}, {PORTAL} nor {METRICS}, and \
                 no configured address is its own"
            )
        })?;
        let other = match purpose {
            GATEWAY => {
                self.gateway.push(listener);
                None
            }
            PORTAL => self.portal.replace(listener),
            _ => self.metrics.replace(listener),
        };
        if let Some(other) = other {
            bail!(
                "{} and {address} are both passed for {purpose}, which takes one",
                other.local_addr()?
            );
        }
        Ok(())
    }

    fn named(&self) -> Vec<(&'static str, &TcpListener)> {
        let gateway = self.gateway.iter().map(|listener| (GATEWAY, listener));
        let portal = self.portal.iter().map(|listener| (PORTAL, listener));
        let metrics = self.metrics.iter().map(|listener| (METRICS, listener));
        gateway.chain(portal).chain(metrics).collect()
    }
}

fn purpose(name: &str, address: SocketAddr, config: &Config) -> Option<&'static str> {
    match name {
        GATEWAY => Some(GATEWAY),
        PORTAL => Some(PORTAL),
        METRICS => Some(METRICS),
        _ if address == config.gateway_listen => Some(GATEWAY),
        _ if address == config.portal_listen => Some(PORTAL),
        _ if Some(address) == config.metrics_listen => Some(METRICS),
        _ => None,
    }
}

impl Program {
    pub fn current() -> Result<Self> {
        let path = std::env::current_exe().context("cannot name the running binary")?;
        Ok(Self { path, arguments: std::env::args_os().skip(1).collect() })
    }

    /// Whether the file that is there now can be run and takes this configuration file. Blocks.
    pub fn check(&self, config: Option<&std::path::Path>) -> Result<()> {
        let mut command = Command::new(&self.path);
        command.args(["config", "check"]);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let checked =
            command.output().with_context(|| format!("cannot run {}", self.path.display()))?;
        if !checked.status.success() {
            bail!("{}", String::from_utf8_lossy(&checked.stderr).trim());
        }
        Ok(())
    }

    /// Puts the program in this process's place, with the same arguments and these sockets. Returns only when that
    /// fails.
    pub fn exec(&self, sockets: &Sockets) -> Result<std::convert::Infallible> {
        let listeners = sockets.named();
        for (_, listener) in &listeners {
            fcntl_setfd(listener, FdFlags::empty()).context("cannot keep a socket open")?;
        }
        let mut numbers: Vec<_> =
            listeners.iter().map(|(name, listener)| (listener.as_raw_fd(), *name)).collect();
        numbers.sort_unstable();
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        if let (Some((first, _)), Some((last, _))) = (numbers.first(), numbers.last()) {
            let purpose = |number| {
                let found = numbers.binary_search_by_key(&number, |(number, _)| *number);
                found.map_or(GAP, |at| numbers[at].1)
            };
            let names: Vec<&str> = (*first..=*last).map(purpose).collect();
            command.env("LISTEN_PID", std::process::id().to_string());
            command.env("LISTEN_FDS", names.len().to_string());
            command.env("LISTEN_FDS_FIRST_FD", first.to_string());
            command.env("LISTEN_FDNAMES", names.join(":"));
        }
        let error = command.exec();
        Err(error).with_context(|| format!("cannot run {}", self.path.display()))
    }
}
