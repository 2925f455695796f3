//! `demo`: everything at once in an empty folder, with labelled sample data. Starting again keeps the data
//! and rolls the printed key, of which only the hash was kept.

mod seed;
mod traffic;
mod upstream;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

use crate::cli::{Demo, Role};
use crate::commands::runtime;
use crate::config::{self, Config};
use crate::handover::Sockets;
use crate::output;
use crate::server::{self, Server};
use crate::signals;

pub fn run(arguments: &Demo) -> Result<ExitCode> {
    server::log_to_stderr("warn");
    runtime()?.block_on(serve(arguments))
}

async fn serve(arguments: &Demo) -> Result<ExitCode> {
    let config = configuration(arguments)?;
    server::check_free(config.gateway_listen, "--gateway")?;
    server::check_free(config.portal_listen, "--portal")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("cannot open the sample upstream on a free port of 127.0.0.1")?;
    let upstream = format!("http://{}", listener.local_addr()?);
    let sample = tokio::spawn(async move { axum::serve(listener, upstream::router()).await });

    let seeded = std::sync::OnceLock::new();
    let prepare = async |ctx| {
        let keys = seed::prepare(&ctx, &upstream).await?;
        seeded.get_or_init(|| keys);
        Ok(())
    };
    let server = server::start(&config, Role::All, Sockets::default(), prepare).await?;
    let keys = seeded.into_inner().context("the demo's data was not prepared")?;
    output::line(&welcome(arguments, &server, &keys))?;
    let stop = signals::stop_asked()?;
    server.open_gateway();
    let traffic = (!arguments.no_traffic)
        .then(|| {
            server.gateway_addr.map(|to| tokio::spawn(traffic::run(reachable(to), keys.traffic)))
        })
        .flatten();
    stop.await;
    if let Some(traffic) = traffic {
        traffic.abort();
    }
    server.stop().await?;
    sample.abort();
    Ok(ExitCode::SUCCESS)
}

fn configuration(arguments: &Demo) -> Result<Config> {
    let mut config = config::built_in()?;
    config.data_dir.clone_from(&arguments.data);
    config.storage_url = format!("sqlite:{}", arguments.data.join("keytoll.db").display());
    config.access_log = keytoll_gateway::AccessLog::File(arguments.data.join("access.log"));
    config.gateway_listen = arguments.gateway;
    config.gateway_url = format!("http://{}", reachable(arguments.gateway));
    config.portal_listen = arguments.portal;
    config.public_url = format!("http://{}", reachable(arguments.portal));
    Ok(config)
}

/// An address one can connect to: the loopback one of a listener on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

fn welcome(arguments: &Demo, server: &Server, keys: &seed::Keys) -> String {
    let gateway = reachable(server.gateway_addr.unwrap_or(arguments.gateway));
    let portal = reachable(server.portal_addr.unwrap_or(arguments.portal));
    format!(
        "\
Keytoll demo: sample data, for trying out only

  portal   http://{portal}
  gateway  http://{gateway}

  partner  {partner}  password {partner_password}
  staff    {staff}  password {staff_password}

Make a call:

  curl http://{gateway}{path} -H 'Authorization: Bearer {key}'

The data is in {folder}. Ctrl-C ends the demo; starting it again keeps the data and prints a new key.",
        partner = seed::PARTNER_EMAIL,
        partner_password = seed::PARTNER_PASSWORD,
        staff = seed::STAFF_EMAIL,
        staff_password = seed::STAFF_PASSWORD,
        path = "/shipment-tracking/shipments/KT-1001",
        key = keys.shown.expose(),
        folder = arguments.data.display(),
    )
}
