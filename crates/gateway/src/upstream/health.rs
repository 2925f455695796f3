//! Health checks: one task per target of a product that asks for them, apart from the cores.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use keytoll_domain::catalog::HealthCheck;
use keytoll_domain::ids::ProductId;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::http2;
use super::once;
use super::{Failure, Upstream};
use crate::compile::Tables;

/// Follows the routes for ever: every target of a product with health checks is asked at its interval.
pub(crate) async fn run(tables: Arc<Tables>) {
    let mut tasks = JoinSet::new();
    // By the number of the target, which stands for its options too.
    let mut running: HashMap<usize, AbortHandle> = HashMap::new();
    loop {
        let mut wanted = HashMap::new();
        for product in tables.routes.load().all() {
            for cluster in product.clusters() {
                let Some(check) = &cluster.options.health else { continue };
                for member in &cluster.members {
                    let upstream = member.upstream.clone();
                    wanted.insert(upstream.number, (product.id.clone(), upstream, check.clone()));
                }
            }
        }
        running.retain(|number, task| {
            let keep = wanted.contains_key(number);
            if !keep {
                task.abort();
            }
            keep
        });
        for (number, (product, upstream, check)) in wanted {
            running.entry(number).or_insert_with(|| tasks.spawn(watch(product, upstream, check)));
        }
        while tasks.try_join_next().is_some() {}
        tables.routes_changed.notified().await;
    }
}

/// The targets that are watched, and whether they are given calls.
pub(crate) fn readings(tables: &Tables) -> BTreeMap<(String, String), bool> {
    let mut readings = BTreeMap::new();
    for product in tables.routes.load().all() {
        for (upstream, up) in product.clusters().filter_map(|cluster| cluster.states()).flatten() {
            readings.insert((product.id.to_string(), upstream.url.to_string()), up);
        }
    }
    readings
}

async fn watch(product: ProductId, upstream: Arc<Upstream>, check: HealthCheck) {
    let mut ticks = interval(Duration::from_secs(u64::from(check.interval_secs.max(1))));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let limit = Duration::from_secs(u64::from(check.timeout_secs.max(1)));
    // Answers in a row that contradict what is believed.
    let mut against = 0;
    loop {
        ticks.tick().await;
        let asked = timeout(limit, ask(&upstream, &check.path, limit)).await;
        let answer = asked.unwrap_or(Err(Failure::Timeout));
        let well = matches!(answer, Ok(200..=299));
        let believed = upstream.state.healthy.load(Relaxed);
        if well == believed {
            against = 0;
            continue;
        }
        against += 1;
        let enough = if well { check.healthy_after } else { check.unhealthy_after };
        if against < enough {
            continue;
        }
        against = 0;
        upstream.state.healthy.store(well, Relaxed);
        let target_url = &*upstream.url;
        match answer {
            Ok(status) if well => {
                tracing::info!(%product, target_url, status, "a target is healthy again");
            }
            Ok(status) => tracing::warn!(%product, target_url, status, "a target is not healthy"),
            Err(failure) => {
                tracing::warn!(%product, target_url, %failure, "a target is not healthy");
            }
        }
    }
}

/// The status of a `GET` on a connection of its own.
async fn ask(upstream: &Arc<Upstream>, path: &str, limit: Duration) -> Result<u16, Failure> {
    if upstream.http2 {
        return http2::status_of(upstream, path, limit).await;
    }
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nuser-agent: keytoll-health\r\nconnection: close\r\n\r\n",
        upstream.authority
    );
    once::ask(upstream, head.as_bytes(), limit).await
}
