//! `serve`: runs gateway and portal until it is asked to stop.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;

use super::runtime;
use crate::cli::Role;
use crate::config::Loaded;
use crate::{output, server};

pub fn run(loaded: &Loaded, role: Role) -> Result<ExitCode> {
    server::log_to_stderr("info");
    runtime()?.block_on(async {
        let server = server::start(&loaded.config, role, |_| async { Ok(()) }).await?;
        if let Some(address) = server.portal_addr {
            output::line(&place("portal ", &loaded.config.public_url, address))?;
        }
        if let Some(address) = server.gateway_addr {
            output::line(&place("gateway", &loaded.config.gateway_url, address))?;
        }
        let stop = server::stop_asked()?;
        server.open_gateway();
        stop.await;
        tracing::info!("stopping: no new calls, those in flight may end");
        server.stop().await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn place(what: &str, url: &str, listening: SocketAddr) -> String {
    if url == format!("http://{listening}") {
        return format!("{what} {url}");
    }
    format!("{what} {url} (listening on {listening})")
}
