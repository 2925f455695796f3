//! What the process is asked from outside.
//!
//! A signal has its own meaning only once somebody listens, so [`Signals::listen`] comes before everything slow: an
//! early SIGUSR2 or SIGHUP would end the process.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What ends the waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Stop,
    /// A new process in this one's place, by the same sockets.
    Restart,
    /// Certificates have changed.
    Reload,
}

#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    restart: Signal,
    reload: Signal,
}

impl Signals {
    /// Notices signals from now on.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            restart: signal(SignalKind::user_defined2())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.restart.recv() => Asked::Restart,
            _ = self.reload.recv() => Asked::Reload,
        }
    }

    /// From now on SIGINT or SIGTERM ends the process at once, and nothing else is heard.
    pub fn end_at_next_stop(mut self) {
        tokio::spawn(async move {
            while self.next().await != Asked::Stop {}
            std::process::exit(130)
        });
    }
}

/// For what cannot restart: ends at the first SIGINT or SIGTERM. A second one ends the process at once.
pub fn stop_asked() -> Result<impl Future<Output = ()>> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        while signals.next().await != Asked::Stop {}
        signals.end_at_next_stop();
    })
}
