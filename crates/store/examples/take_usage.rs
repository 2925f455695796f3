//! What taking a batch costs: CPU of this process per row of a batch that touches `keys` keys, on SQLite in a file
//! or, with a `postgres://` URL, on a fresh schema of that server (then without the server's share).
//!
//! `cargo run --release -p keytoll-store --example take_usage -- [KEYS] [ROUNDS] [URL]`

use std::time::Duration;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::key::Environment;
use keytoll_domain::ledger::{KeyTouch, PeriodRow, UsageRow};
use keytoll_domain::time::{Day, Timestamp};
use keytoll_store::{Db, Result, ledger};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let keys: u32 = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let rounds: u32 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("keytoll-take-usage-{}", std::process::id()));
    let file = folder.join("keytoll.db");
    let url = arguments.next().unwrap_or_else(|| format!("sqlite:{}", file.display()));
    let db = Db::connect(&url).await?;
    if url.starts_with("sqlite:") {
        make_keys(&file, keys).await?;
    }
    let rows = Rows::of(keys);
    take(&db, &rows, 0).await?;
    let names = ["usage", "periods", "touches", "commit"];
    let mut spent = [Duration::ZERO; 4];
    let before = cpu()?;
    for _ in 0..rounds {
        for (sum, part) in spent.iter_mut().zip(take(&db, &rows, 0).await?) {
            *sum += part;
        }
    }
    let all = cpu()?.saturating_sub(before);
    let row_count = u128::from(keys) * 3 * u128::from(rounds);
    println!(
        "{keys} keys, {rounds} batches: {} ms of CPU a batch, {} ns a row",
        all.as_millis() / u128::from(rounds),
        all.as_nanos() / row_count
    );
    for (name, sum) in names.iter().zip(spent) {
        println!("  {name}: {} ms of time a batch", sum.as_millis() / u128::from(rounds));
    }
    db.close().await;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

struct Rows {
    usage: Vec<UsageRow>,
    periods: Vec<PeriodRow>,
    touches: Vec<KeyTouch>,
}

impl Rows {
    fn of(keys: u32) -> Self {
        let mut rows = Self { usage: Vec::new(), periods: Vec::new(), touches: Vec::new() };
        for number in 0..keys {
            let id = id(number);
            let (key, subscription) = (KeyId::from_bytes(id), SubscriptionId::from_bytes(id));
            rows.usage.push(UsageRow {
                key,
                day: Day(20_000),
                operation: OperationKey(-4_711_471_147_114_711),
                environment: Environment::Live,
                calls: 3,
                successes: 3,
                units: 3,
                latency_micros: 1_234,
            });
            let period_start = Timestamp(1_760_000_000_000_000);
            rows.periods.push(PeriodRow { subscription, period_start, calls: 3, units: 3 });
            rows.touches.push(KeyTouch {
                key,
                last_used_at: Timestamp(1_760_000_000_000_001),
                calls: 3,
            });
        }
        rows
    }
}

/// In the order of their making, as a `UUIDv7`.
fn id(number: u32) -> [u8; 16] {
    let mut id = [0x71; 16];
    id[2..6].copy_from_slice(&number.to_be_bytes());
    id[8..12].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    id
}

async fn take(db: &Db, rows: &Rows, _round: u32) -> Result<[Duration; 4]> {
    let mut tx = db.write().await?;
    let mut at = tokio::time::Instant::now();
    let mut lap = || {
        let before = std::mem::replace(&mut at, tokio::time::Instant::now());
        at - before
    };
    ledger::usage_add(&mut tx, &rows.usage).await?;
    let usage = lap();
    ledger::periods_add(&mut tx, &rows.periods).await?;
    let periods = lap();
    ledger::touches_add(&mut tx, &rows.touches).await?;
    let touches = lap();
    tx.commit().await?;
    Ok([usage, periods, touches, lap()])
}

async fn make_keys(file: &std::path::Path, keys: u32) -> sqlx::Result<()> {
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await?;
    connection.execute("PRAGMA foreign_keys = OFF").await?;
    connection.execute("BEGIN").await?;
    for number in 0..keys {
        let key = KeyId::from_bytes(id(number));
        let sql = format!(
            "INSERT INTO keys (id, partner_id, subscription_id, name, hash, prefix, environment, scopes, allowed_ips, \
             created_at, imported) VALUES ('{key}', 'p', 's', 'n', randomblob(32), 'sk_live_00000000', 'live', '[]', '[]', 0, 0)"
        );
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    connection.execute("COMMIT").await?;
    connection.close().await
}

/// User and system time of this process so far.
fn cpu() -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|text| text.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
