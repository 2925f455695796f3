//! `serve`: runs gateway and portal until it is asked to stop, or to make place for a new process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;

use super::runtime;
use crate::cli::Role;
use crate::config::{Config, Loaded};
use crate::handover::{self, Program, Sockets};
use crate::server::Server;
use crate::signals::{Asked, Signals};
use crate::{output, server};

/// How long the new program may take to read its configuration.
const CHECK_WAIT: Duration = Duration::from_secs(10);

pub fn run(loaded: &Loaded, file: Option<&Path>, role: Role) -> Result<ExitCode> {
    server::log_to_stderr("info");
    let program = Program::current()?;
    let sockets = handover::inherited(&loaded.config)?;
    let runtime = runtime()?;
    let Some(sockets) = runtime.block_on(serve(loaded, file, role, &program, sockets))? else {
        return Ok(ExitCode::SUCCESS);
    };
    end_threads(runtime);
    match program.exec(&sockets)? {}
}

/// Nothing of this process may work on while the next one is loaded.
fn end_threads(runtime: Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(1));
}

/// The sockets to go on with, if a restart was asked for.
async fn serve(
    loaded: &Loaded,
    file: Option<&Path>,
    role: Role,
    program: &Program,
    sockets: Sockets,
) -> Result<Option<Sockets>> {
    let mut signals = Signals::listen()?;
    let server = server::start(&loaded.config, role, sockets, |_| async { Ok(()) }).await?;
    announce(&server, &loaded.config)?;
    server.open_gateway();
    loop {
        match signals.next().await {
            Asked::Reload => server.reload(),
            Asked::Stop => {
                signals.end_at_next_stop();
                tracing::info!("stopping: no new calls, those in flight may end");
                server.stop().await?;
                return Ok(None);
            }
            Asked::Restart => {
                if let Err(error) = check(program.clone(), file).await {
                    tracing::error!("not restarted, serving on: {error:#}");
                    continue;
                }
                signals.end_at_next_stop();
                tracing::info!("restarting: calls in flight may end, new connections wait");
                return server.hand_over().await.map(Some);
            }
        }
    }
}

async fn check(program: Program, file: Option<&Path>) -> Result<()> {
    let file = file.map(Path::to_owned);
    let checking = tokio::task::spawn_blocking(move || program.check(file.as_deref()));
    let checked = tokio::time::timeout(CHECK_WAIT, checking).await;
    checked.context("the new program does not end reading its configuration")??
}

fn announce(server: &Server, config: &Config) -> Result<()> {
    if let Some(address) = server.portal_addr {
        output::line(&place("portal ", &config.public_url, address))?;
    }
    if let Some(address) = server.gateway_addr {
        output::line(&place("gateway", &config.gateway_url, address))?;
    }
    Ok(())
}

fn place(what: &str, url: &str, listening: SocketAddr) -> String {
    if url == format!("http://{listening}") || url == format!("https://{listening}") {
        return format!("{what} {url}");
    }
    format!("{what} {url} (listening on {listening})")
}
