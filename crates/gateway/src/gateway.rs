//! Starting and stopping the data plane, and what other threads may ask of it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use keytoll_domain::ids::KeyId;
use keytoll_domain::ledger::{CallPlace, RecentCalls};
use keytoll_domain::time::MICROS_PER_DAY;
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::access_log::Log;
use crate::cache::Cache;
use crate::compile::{Compiler, Tables};
use crate::core::{Core, RequestIds, Shared};
use crate::entry::Gate;
use crate::journal::{self, Journal, OpenError, Opened, Writer};
use crate::metrics::{Metrics, Readings};
use crate::options::{Clock, Options};
use crate::per_address::Places;
use crate::ports::{KeySource, PortError, UsageSink};
use crate::server::deadline::TICK;
use crate::server::http2;
use crate::spans::Pending;
use crate::spans::export::Export;
use crate::tls::{self, ServerTls, TlsError};
use crate::upstream::health;
use crate::verify::{self, Question, Verdict};
use crate::{feed, listener, rebuild, validation};

/// Every so many ticks each core hands its refusal counts on and closes old upstream connections.
const HOUSEKEEPING_TICKS: u32 = 20;
/// What the listener speaks, offered by ALPN, the preferred first.
const PROTOCOLS: [&[u8]; 2] = [http2::ALPN, b"http/1.1"];
/// Values of the stop signal.
const DRAIN: u8 = 1;
const KILL: u8 = 2;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot read the records: {0}")]
    Source(#[from] PortError),
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error("cannot name this node in `{path}`: {source}")]
    Node { path: PathBuf, source: io::Error },
    #[error("cannot read the journal: {0}")]
    Replay(io::Error),
    #[error("cannot open the access log `{path}`: {source}")]
    AccessLog { path: PathBuf, source: io::Error },
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
}

/// Taken out when the gateway stops.
type SharedJournal = Arc<Mutex<Option<Arc<Journal>>>>;

/// A gateway that is bound, or running.
pub struct Handle {
    address: SocketAddr,
    /// A second handle of every listener, so that connections can wait in them when no core listens any more.
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    journal: SharedJournal,
    verifier: Verifier,
    open: watch::Sender<bool>,
    stop: watch::Sender<u8>,
    workers: Vec<(JoinHandle<()>, oneshot::Receiver<()>)>,
    export: Option<Export>,
    runtime: Option<Runtime>,
}

/// Decides and charges from other threads, with the same counters as the proxy.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    own: Arc<Mutex<(Writer, RequestIds)>>,
}

/// Starts serving: [`bind`], then [`Handle::open`].
pub fn start(
    options: Options,
    source: Arc<dyn KeySource>,
    sink: Arc<dyn UsageSink>,
    clock: Clock,
) -> Result<Handle, StartError> {
    let handle = bind(options, Vec::new(), source, sink, clock)?;
    handle.open();
    Ok(handle)
}

/// Makes everything ready and takes the address, so that only [`Handle::open`] is left and cannot fail; until
/// then connections wait. Blocks while records are read and counters are rebuilt.
///
/// `inherited` are listeners that are open already and are used instead of the address in the options. All of them
/// are served: with more than `options.workers`, there are as many workers as listeners.
///
/// The ports are driven by a runtime of the gateway's own, apart from the cores.
pub fn bind(
    options: Options,
    inherited: Vec<TcpListener>,
    source: Arc<dyn KeySource>,
    sink: Arc<dyn UsageSink>,
    clock: Clock,
) -> Result<Handle, StartError> {
    // A thread of its own, so that a caller inside a runtime may start a gateway too.
    let starting = std::thread::Builder::new()
        .name("gateway-start".into())
        .spawn(move || bind_here(options, inherited, source, sink, clock))
        .map_err(StartError::Threads)?;
    match starting.join() {
        Ok(started) => started,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn bind_here(
    mut options: Options,
    inherited: Vec<TcpListener>,
    source: Arc<dyn KeySource>,
    sink: Arc<dyn UsageSink>,
    clock: Clock,
) -> Result<Handle, StartError> {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_name("gateway-feed").enable_all().build();
    let runtime = runtime.map_err(StartError::Threads)?;
    let workers = options.workers.max(1).max(inherited.len());
    // It is written into JSON as it is.
    options.upgrade_url = options.upgrade_url.filter(|url| is_plain_url(url));
    let dir = options.data_dir.join("journal");
    options.node = journal::node(&dir, &options.node)
        .map_err(|source| StartError::Node { path: dir.clone(), source })?;
    let snapshot = runtime.block_on(source.snapshot(&options.node))?;
    let opened =
        open_journal(&options, dir, workers, snapshot.sealed_through, &clock, sink, &runtime)?;
    let tables = Arc::new(Tables::default());
    let (upgrade, handle) = (source.clone(), runtime.handle().clone());
    tables.start_slow_check(upgrade, clock.clone(), handle).map_err(StartError::Threads)?;
    let (mut compiler, checks_wanted) = Compiler::new(tables.clone());
    compiler.sign_with(options.signing_secret.clone());
    let now = clock();
    let periods = snapshot.periods.clone();
    // Documents are read while keys are.
    runtime.spawn(validation::follow(checks_wanted, source.clone()));
    let first_checks = compiler.starting();
    let sequence = runtime.block_on(feed::load(&mut compiler, &*source, snapshot))?;
    compiler.started();
    rebuild::periods(&tables.keys, &periods);
    rebuild::periods(&tables.keys, &opened.unfolded);
    let since = now.plus_micros(-MICROS_PER_DAY);
    let products = rebuild::LimitedProducts::of(&tables.routes.load());
    let replayed =
        opened.journal.replay(since, |charge| rebuild::windows(&tables.keys, &products, charge));
    replayed.map_err(StartError::Replay)?;
    runtime.block_on(first_checks.tried());

    let log = Log::start(&options.access_log).map_err(|source| StartError::AccessLog {
        path: match &options.access_log {
            crate::options::AccessLog::File(path) => path.clone(),
            _ => PathBuf::from("stdout"),
        },
        source,
    })?;
    let gate = gate(&options)?;
    if let Some(tls) = &gate.tls {
        runtime.spawn(tls.clone().follow());
    }
    let spans = options.otlp.as_ref().map(|otlp| Arc::new(Pending::new(otlp.sample)));
    let export = match (&options.otlp, &spans) {
        (Some(otlp), Some(spans)) => Some(Export::start(otlp, &options.node, spans, &runtime)?),
        _ => None,
    };
    let shared = Arc::new(Shared {
        clock,
        gate,
        tables,
        metrics: Metrics::default(),
        log,
        spans,
        cache: Arc::new(Cache::new(options.cache_max_bytes)),
        draining: AtomicBool::new(false),
        connections: AtomicI64::new(0),
        applied: AtomicU64::new(sequence),
        options,
    });
    let address = shared.options.listen;
    let failed = |source| StartError::Listen { address, source };
    let listeners = listener::bind(address, workers, inherited).map_err(failed)?;
    let kept = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>();
    let kept = kept.map_err(failed)?;
    let address = listeners[0].local_addr().map_err(failed)?;
    let (stop, stopped) = watch::channel(0);
    let (open, opening) = watch::channel(false);
    let following = runtime.spawn(feed::run(shared.clone(), compiler, source, stopped.clone()));
    runtime.spawn(health::run(shared.tables.clone()));
    runtime.spawn(tls::follow_upstreams(shared.tables.clone()));
    runtime.spawn(watch_feed(shared.clone(), following));
    let mut writers = opened.writers;
    let spare = writers.pop().expect("one writer more than workers was asked for");
    let journal = Arc::new(Mutex::new(Some(Arc::new(opened.journal))));
    let mut threads = Vec::with_capacity(workers);
    for (index, (listener, writer)) in listeners.into_iter().zip(writers).enumerate() {
        let (shared, journal) = (shared.clone(), journal.clone());
        let signals = Signals { open: opening.clone(), stop: stopped.clone() };
        let (ended, end) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name(format!("gateway-{index}")).spawn(move || {
                work(shared, &journal, writer, listener, signals);
                let _ = ended.send(());
            });
        threads.push((thread.map_err(StartError::Threads)?, end));
    }
    let verifier =
        Verifier { shared: shared.clone(), own: Arc::new(Mutex::new((spare, RequestIds::new()))) };
    Ok(Handle {
        address,
        listeners: kept,
        shared,
        journal,
        verifier,
        open,
        stop,
        workers: threads,
        export,
        runtime: Some(runtime),
    })
}

fn gate(options: &Options) -> Result<Gate, TlsError> {
    let tls = match &options.tls[..] {
        [] => None,
        files => Some(Arc::new(ServerTls::load(files, &PROTOCOLS)?)),
    };
    Ok(Gate { tls, places: Places::new(options.bounds.connections_per_address) })
}

fn is_plain_url(url: &str) -> bool {
    url.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\')
}

/// A node that no longer hears of revocations must not get calls: it says so where load balancers ask.
async fn watch_feed(shared: Arc<Shared>, following: tokio::task::JoinHandle<()>) {
    if following.await.is_err_and(|error| error.is_panic()) {
        tracing::error!("the feed of changes ended in a panic; this node is not ready: restart it");
        shared.draining.store(true, Ordering::Relaxed);
    }
}

fn open_journal(
    options: &Options,
    dir: PathBuf,
    workers: usize,
    sealed_through: u64,
    clock: &Clock,
    sink: Arc<dyn UsageSink>,
    runtime: &Runtime,
) -> Result<Opened, StartError> {
    let writers = u32::try_from(workers + 1).unwrap_or(u32::MAX);
    let node = options.node.clone();
    let mut of_journal = journal::Options::new(dir, node, writers, sealed_through, clock.clone());
    of_journal.interval = options.journal.fsync;
    of_journal.max_bytes = options.journal.max_bytes;
    of_journal.recent_calls = options.journal.recent_calls;
    if let Some(bytes) = options.journal.segment_bytes {
        of_journal.segment_bytes = bytes;
    }
    Ok(Journal::open(&of_journal, sink, runtime.handle().clone())?)
}

/// What a core is told.
struct Signals {
    open: watch::Receiver<bool>,
    stop: watch::Receiver<u8>,
}

/// One core: its event loop, until it is told to stop.
fn work(
    shared: Arc<Shared>,
    journal: &SharedJournal,
    writer: Writer,
    listener: TcpListener,
    mut signals: Signals,
) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a core cannot start");
            return;
        }
    };
    runtime.block_on(async {
        let core = Rc::new(Core::new(shared, writer));
        let (keeping, kept) = (core.clone(), journal.clone());
        tokio::task::spawn_local(async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            for tick in 1u32.. {
                ticks.tick().await;
                keeping.tick();
                if tick % HOUSEKEEPING_TICKS == 0 {
                    keep_house(&keeping, &kept);
                }
            }
        });
        let stopped = signals.stop.clone();
        let serving = async {
            match signals.open.wait_for(|open| *open).await {
                Ok(_) => listener::serve(core.clone(), listener, stopped).await,
                Err(_never_opened) => Ok(()),
            }
        };
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(%error, "a core cannot listen");
                }
            }
            _ = signals.stop.wait_for(|signal| *signal == KILL) => {}
        }
        keep_house(&core, journal);
    });
}

fn keep_house(core: &Core, journal: &Mutex<Option<Arc<Journal>>>) {
    core.pool.sweep();
    core.log.hand_over();
    let rows = core.take_refused();
    if rows.is_empty() {
        return;
    }
    let journal = journal.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(journal) = journal {
        journal.refused(rows);
    }
}

impl Handle {
    /// Lets the connections in that wait, and all that follow.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    #[cfg(test)]
    pub(crate) fn tables(&self) -> &Tables {
        &self.shared.tables
    }

    /// The address that is really listened on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    pub fn node(&self) -> &str {
        &self.shared.options.node
    }

    pub fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// Waits until everything charged before the call is in the store; `false` when time runs out. Blocks.
    pub fn settle(&self, patience: Duration) -> bool {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        journal.is_some_and(|journal| journal.settle(patience))
    }

    /// The last calls of the key at this gateway, the newest first: those before `before`, at most `limit`. None unless
    /// the options say that this will be asked. Reads files: not for a runtime's thread.
    pub fn recent_calls(&self, key: KeyId, before: Option<CallPlace>, limit: usize) -> RecentCalls {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let calls = journal.map(|journal| journal.recent_calls(key, before, limit));
        calls.unwrap_or_else(|| Ok(RecentCalls::default())).unwrap_or_else(|error| {
            tracing::error!(%error, "the last calls of a key cannot be read");
            RecentCalls::default()
        })
    }

    /// The body of `/metrics`.
    pub fn metrics_text(&self) -> String {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stats = journal.map(|journal| journal.stats());
        let lag = stats.map_or(0, |stats| stats.sealed_through.saturating_sub(stats.taken_through));
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let shared = &self.shared;
        shared.metrics.text(Readings {
            connections: shared.connections.load(Ordering::Relaxed),
            keys: i64::try_from(shared.tables.keys.len()).unwrap_or(i64::MAX),
            applied: signed(shared.applied.load(Ordering::Relaxed)),
            log_dropped: signed(shared.log.as_ref().map_or(0, Log::dropped)),
            spans_dropped: shared.spans.as_ref().map_or(0, |spans| spans.dropped()),
            journal_lag: signed(lag),
            cache_bytes: i64::try_from(shared.cache.bytes()).unwrap_or(i64::MAX),
            upstreams: health::readings(&shared.tables),
        })
    }

    /// Loads the TLS files of the listener and of all upstreams again; how that went is in the log. Blocks.
    pub fn reload_tls(&self) {
        if let Some(tls) = &self.shared.gate.tls {
            tls::log(&tls.reload());
        }
        tls::reload_upstreams(&self.shared.tables, true);
    }

    /// From now on `/readyz` says that no new calls should come; they are served nevertheless.
    pub fn announce_stop(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// [`Self::shutdown`], but the listeners stay open: connections wait in them for who is given them next.
    pub fn hand_over(mut self, deadline: Duration) -> (bool, Vec<TcpListener>) {
        let listeners = std::mem::take(&mut self.listeners);
        (self.shutdown(deadline), listeners)
    }

    /// Stops accepting, lets calls in flight end until the deadline, then syncs and offers the journal. Blocks.
    /// `true` when everything charged is in the store; the rest is offered by the next run.
    pub fn shutdown(mut self, deadline: Duration) -> bool {
        self.announce_stop();
        self.listeners.clear();
        self.stop.send_replace(DRAIN);
        let workers = std::mem::take(&mut self.workers);
        let Some(runtime) = self.runtime.take() else { return false };
        let stop = self.stop.clone();
        let (shared, export) = (self.shared.clone(), self.export.take());
        let journal = self.journal.clone();
        let ending = std::thread::spawn(move || {
            let (threads, ends): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
            runtime.block_on(async {
                let all = async {
                    for end in ends {
                        let _ = end.await;
                    }
                };
                let _ = tokio::time::timeout(deadline, all).await;
            });
            stop.send_replace(KILL);
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a core ended in a panic");
                }
            }
            let journal = journal.lock().unwrap_or_else(PoisonError::into_inner).take();
            let settled = journal.is_some_and(|journal| journal.settle(deadline));
            if let Some(log) = &shared.log {
                log.flush(deadline);
            }
            if let Some(export) = export {
                runtime.block_on(export.finish());
            }
            runtime.shutdown_background();
            settled
        });
        ending.join().unwrap_or(false)
    }
}

impl Verifier {
    /// Decides and charges one call; takes microseconds and waits only for other askers. A secret that only a
    /// slow check could tell (an import that is known by its bcrypt hash) is an unknown key here until its first use
    /// over the network, because there is nobody to wait; such a key can be asked about by its id.
    pub fn ask(&self, question: &Question<'_>) -> Verdict {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, ids) = &mut *own;
        let now = self.shared.now();
        let known = verify::key_of(&self.shared, question.key, now);
        verify::decide(&self.shared, writer, ids.next(now), now, known, question)
    }

    /// [`Self::ask`], with the answer as `POST /v1/keys/verify` gives it.
    pub fn ask_json(&self, question: &Question<'_>) -> serde_json::Value {
        let answer = self.ask(question).json(&self.shared);
        serde_json::from_slice(&answer).expect("what we write is JSON")
    }
}
