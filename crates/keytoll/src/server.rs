//! Starts and stops everything: store, portal, gateway, in an order that promises something.
//!
//! The data folder's lock comes first, the gateway's listener last: when `/healthz` answers, all of it does.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use keytoll_control::{Clock, Ctx, receipts};
use keytoll_gateway::{Options, StartError};
use keytoll_portal::{Origin, Portal};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::Role;
use crate::config::Config;
use crate::context;
use crate::handover::Sockets;
use crate::lock::{self, DataLock};
use crate::ports::{GatewayCalls, StorePorts};
use crate::signing;
use crate::wiring::{FeedWake, SystemClock};

/// How long calls in flight may take once the server is asked to stop.
const DRAIN: Duration = Duration::from_secs(25);
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A running server. Dropping it without [`Server::stop`] ends it like a crash.
pub struct Server {
    pub ctx: Ctx,
    pub gateway_addr: Option<SocketAddr>,
    pub portal_addr: Option<SocketAddr>,
    gateway: Option<Arc<keytoll_gateway::Handle>>,
    /// Second handles of the control plane's listeners, for who comes next.
    listeners: Sockets,
    stop_delay: Duration,
    stopping: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    _lock: DataLock,
}

/// Opens the store, then the portal, then (unless the role leaves it out) the gateway.
/// `prepare` runs when the store is open and nothing listens yet. The gateway waits for
/// [`Server::open_gateway`], so that who reaches it finds all the rest done, start-up lines included.
/// Sockets that are open already are used in place of the configured addresses.
pub async fn start<F>(
    config: &Config,
    role: Role,
    sockets: Sockets,
    prepare: impl FnOnce(Ctx) -> F,
) -> Result<Server>
where
    F: Future<Output = Result<()>>,
{
    let lock = lock::acquire(&config.data_dir)?;
    let wake = FeedWake::default();
    let ctx = context::open(config, Arc::new(wake.clone())).await?;
    prepare(ctx.clone()).await?;
    let (stopping, _) = watch::channel(false);
    let mut server = Server {
        ctx: ctx.clone(),
        gateway_addr: None,
        portal_addr: None,
        gateway: None,
        listeners: Sockets::default(),
        stop_delay: config.stop_delay,
        stopping,
        tasks: Vec::new(),
        _lock: lock,
    };
    if role != Role::Gateway {
        server.open_portal(config, sockets.portal).await?;
    }
    if role != Role::Control {
        server.bind_gateway(config, sockets.gateway, wake).await?;
        server.open_metrics(config, sockets.metrics).await?;
    }
    Ok(server)
}

impl Server {
    async fn open_portal(&mut self, config: &Config, inherited: Option<StdListener>) -> Result<()> {
        let (listener, kept) = bind(config.portal_listen, "portal.listen", inherited).await?;
        self.listeners.portal = Some(kept);
        self.portal_addr = Some(listener.local_addr()?);
        let public_url: Origin = config
            .public_url
            .parse()
            .with_context(|| format!("portal.public_url {}", config.public_url))?;
        if config.portal_listen.ip().is_unspecified()
            && config.public_url == format!("http://{}", config.portal_listen)
        {
            tracing::warn!(
                "portal.public_url is not set: forms sent from other machines will be refused; \
                 set it to the address that people type"
            );
        }
        let portal = Portal::new(self.ctx.clone(), public_url, &config.gateway_url);
        let router = keytoll_portal::router(portal);
        let stop = self.stop_signal();
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = keytoll_portal::serve(listener, router, stop).await {
                tracing::error!(%error, "portal stopped");
            }
        }));
        Ok(())
    }

    async fn bind_gateway(
        &mut self,
        config: &Config,
        inherited: Vec<StdListener>,
        wake: FeedWake,
    ) -> Result<()> {
        if let Some(first) = inherited.first() {
            warn_of_address(first, config.gateway_listen, "gateway.listen")?;
        }
        if inherited.len() > config.gateway_workers {
            tracing::warn!(
                sockets = inherited.len(),
                "more sockets were passed than gateway.workers; each has a worker until the next full restart"
            );
        }
        let node = context::node_name(&config.data_dir.join("journal"))?;
        let ports = Arc::new(StorePorts {
            ctx: self.ctx.clone(),
            control: tokio::runtime::Handle::current(),
            wake: wake.0,
        });
        warn_of_others(&self.ctx, &node).await?;
        let mut options = gateway_options(config, &node)?;
        options.journal.recent_calls = self.portal_addr.is_some();
        let clock = Arc::new(|| SystemClock.now());
        let started = tokio::task::spawn_blocking(move || {
            keytoll_gateway::bind(options, inherited, ports.clone(), ports, clock)
        });
        let handle = match started.await? {
            Err(StartError::Listen { address, source }) => {
                return Err(source).context(taken(address, "gateway.listen"));
            }
            started => started.context("the gateway cannot start")?,
        };
        self.gateway_addr = Some(handle.addr());
        let handle = Arc::new(handle);
        if self.portal_addr.is_some() {
            self.ctx.offer_recent_calls(Arc::new(GatewayCalls(Arc::downgrade(&handle))));
        }
        self.gateway = Some(handle);
        Ok(())
    }

    async fn open_metrics(
        &mut self,
        config: &Config,
        inherited: Option<StdListener>,
    ) -> Result<()> {
        let (Some(address), Some(gateway)) = (config.metrics_listen, &self.gateway) else {
            return Ok(());
        };
        let gateway = Arc::downgrade(gateway);
        let (listener, kept) = bind(address, "metrics.listen", inherited).await?;
        self.listeners.metrics = Some(kept);
        let text = move || {
            let text = gateway.upgrade().map_or_else(String::new, |gateway| gateway.metrics_text());
            async move { ([("content-type", METRICS_TYPE)], text) }
        };
        let router = axum::Router::new().route("/metrics", axum::routing::get(text));
        let stop = self.stop_signal();
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
                tracing::error!(%error, "metrics listener stopped");
            }
        }));
        Ok(())
    }

    fn stop_signal(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.subscribe();
        async move {
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Lets calls in; until now they waited.
    pub fn open_gateway(&self) {
        if let Some(gateway) = &self.gateway {
            gateway.open();
        }
    }

    /// Loads certificates again.
    pub fn reload(&self) {
        if let Some(gateway) = self.gateway.clone() {
            tokio::task::spawn_blocking(move || gateway.reload_tls());
        }
    }

    /// Refuses new connections, lets calls in flight end, syncs the journal and closes the store.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(gateway) = &self.gateway {
            gateway.announce_stop();
            tokio::time::sleep(self.stop_delay).await;
        }
        self.listeners = Sockets::default();
        self.end(|gateway| (gateway.shutdown(DRAIN), Vec::new())).await.map(drop)
    }

    /// Like [`Self::stop`], but new connections wait in the sockets that are returned. The data folder is free when
    /// this returns.
    pub async fn hand_over(self) -> Result<Sockets> {
        self.end(|gateway| gateway.hand_over(DRAIN)).await
    }

    async fn end(
        mut self,
        end_gateway: impl FnOnce(keytoll_gateway::Handle) -> (bool, Vec<StdListener>) + Send + 'static,
    ) -> Result<Sockets> {
        let mut sockets = std::mem::take(&mut self.listeners);
        if let Some(mut shared) = self.gateway.take() {
            // The metrics listener holds the gateway only while it writes an answer.
            let gateway = loop {
                match Arc::try_unwrap(shared) {
                    Ok(gateway) => break gateway,
                    Err(held) => shared = held,
                }
                tokio::task::yield_now().await;
            };
            let node = gateway.node().to_owned();
            let ended = tokio::task::spawn_blocking(move || end_gateway(gateway)).await?;
            let settled;
            (settled, sockets.gateway) = ended;
            if !settled {
                tracing::warn!(
                    "some calls are not in the store yet; the next start brings them in"
                );
            }
            if let Err(error) = keytoll_control::feed::left(&self.ctx, &node).await {
                tracing::warn!(%error, "the store still lists this node for some seconds");
            }
        }
        let _ = self.stopping.send(true);
        for task in self.tasks.drain(..) {
            let _ = tokio::time::timeout(DRAIN, task).await;
        }
        self.ctx.store.close().await;
        Ok(sockets)
    }
}

fn gateway_options(config: &Config, node: &str) -> Result<Options> {
    let mut options = Options::new(config.gateway_listen, config.data_dir.clone(), node);
    options.workers = config.gateway_workers;
    options.trusted_proxies.clone_from(&config.trusted_proxies);
    options.tls.clone_from(&config.tls);
    options.proxy_protocol = config.proxy_protocol;
    options.bounds = config.bounds;
    options.brand.clone_from(&config.brand);
    options.upgrade_url = Some(format!("{}/plans", config.public_url));
    options.access_log = config.access_log.clone();
    options.otlp.clone_from(&config.otlp);
    options.journal.fsync = config.journal_fsync;
    options.journal.max_bytes = config.journal_max_bytes;
    options.signing_secret = Some(signing::secret(config)?);
    Ok(options)
}

/// Each node counts by itself: a limit of the plan holds on each of them, not over all.
async fn warn_of_others(ctx: &Ctx, node: &str) -> Result<()> {
    let mut others = receipts::live(ctx).await?;
    others.retain(|other| other != node);
    if !others.is_empty() {
        let others = others.join(", ");
        tracing::warn!(
            others,
            "other nodes serve from this store: each counts windows and quotas by itself in this version"
        );
    }
    Ok(())
}

/// A listener and a second handle of it.
async fn bind(
    address: SocketAddr,
    key: &str,
    inherited: Option<StdListener>,
) -> Result<(TcpListener, StdListener)> {
    let listener = match inherited {
        Some(listener) => {
            warn_of_address(&listener, address, key)?;
            listener.set_nonblocking(true)?;
            listener
        }
        None => {
            TcpListener::bind(address).await.with_context(|| taken(address, key))?.into_std()?
        }
    };
    let kept = listener.try_clone()?;
    Ok((TcpListener::from_std(listener)?, kept))
}

/// The socket wins, because connections may wait in it.
fn warn_of_address(listener: &StdListener, configured: SocketAddr, key: &str) -> Result<()> {
    let address = listener.local_addr()?;
    if address != configured && configured.port() != 0 {
        tracing::warn!(
            "listening on {address}, as the passed socket does, not on {configured} ({key})"
        );
    }
    Ok(())
}

/// Says early and plainly that an address is taken. The listener's own bind decides in the end.
pub fn check_free(address: SocketAddr, key: &str) -> Result<()> {
    std::net::TcpListener::bind(address).map(drop).with_context(|| taken(address, key))
}

fn taken(address: SocketAddr, key: &str) -> String {
    format!(
        "cannot listen on {address} ({key}); stop the program that uses it or choose another address"
    )
}

/// Program messages of this level and above go to standard error, unless `KEYTOLL_LOG` says otherwise.
pub fn log_to_stderr(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("KEYTOLL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("{level},sqlx=warn")));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .init();
}
