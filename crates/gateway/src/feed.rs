//! Keeping the tables as the control plane has them, and saying how far this node has come.
//!
//! `applied` is written only after every core sees the change: tables are shared, so that applying is publishing.
//! A source that is out changes nothing; requests go on with what is in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keytoll_domain::feed::Snapshot;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::compile::Compiler;
use crate::core::Shared;
use crate::ports::{KeySource, PortError};

/// How often the feed is asked when nobody wakes us.
const POLL: Duration = Duration::from_millis(200);
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Changes taken at once.
const PAGE: usize = 1000;
/// How often idle counters are freed.
const TIDY: Duration = Duration::from_mins(1);

pub(crate) async fn run(
    shared: Arc<Shared>,
    mut compiler: Compiler,
    source: Arc<dyn KeySource>,
    mut stop: watch::Receiver<u8>,
) {
    let mut told: Option<(u64, Instant)> = None;
    let mut tidied = Instant::now();
    let mut out = false;
    loop {
        let caught_up = catch_up(&shared.applied, &mut compiler, &*source).await;
        let applied = shared.applied.load(Ordering::Acquire);
        let due = told.is_none_or(|(at, when)| at != applied || when.elapsed() >= HEARTBEAT);
        let said = match (&caught_up, due) {
            (Ok(()), true) => source.applied(&shared.options.node, applied).await,
            _ => Ok(()),
        };
        if due && said.is_ok() {
            told = Some((applied, Instant::now()));
        }
        note(&mut out, caught_up.and(said));
        if tidied.elapsed() >= TIDY {
            shared.tables.keys.drop_idle_cells(shared.now());
            tidied = Instant::now();
        }
        tokio::select! {
            _ = timeout(POLL, source.woken()) => {}
            _ = stop.changed() => break,
        }
    }
}

/// Fills the tables: the snapshot, all keys page by page, and what changed meanwhile. Returns the sequence applied.
/// The next page is read while one is compiled.
pub(crate) async fn load(
    compiler: &mut Compiler,
    source: &dyn KeySource,
    snapshot: Snapshot,
) -> Result<u64, PortError> {
    let applied = AtomicU64::new(snapshot.sequence);
    compiler.load(snapshot);
    let mut page = source.keys(None).await?;
    while let Some(last) = page.last().map(|key| key.id) {
        let (next, ()) =
            tokio::join!(biased; source.keys(Some(last)), async { compiler.keys(page) });
        page = next?;
    }
    catch_up(&applied, compiler, source).await?;
    Ok(applied.into_inner())
}

async fn catch_up(
    applied: &AtomicU64,
    compiler: &mut Compiler,
    source: &dyn KeySource,
) -> Result<(), PortError> {
    loop {
        let changes = source.changes(applied.load(Ordering::Acquire), PAGE).await?;
        let Some(last) = changes.last().map(|change| change.sequence) else { return Ok(()) };
        for change in changes {
            compiler.apply(change.record);
        }
        compiler.publish();
        applied.store(last, Ordering::Release);
    }
}

/// Says once that the source is out, and once that it is back.
fn note(out: &mut bool, result: Result<(), PortError>) {
    match result {
        Err(error) if !*out => {
            *out = true;
            tracing::warn!(%error, "records cannot be followed; serving from memory");
        }
        Ok(()) if *out => {
            *out = false;
            tracing::info!("records are followed again");
        }
        Ok(()) | Err(_) => {}
    }
}
