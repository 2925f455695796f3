//! Seals and the sums of the calls they cover.
//!
//! Rows of a batch are written in statements of [`SIZES`] rows: ten thousand rows are some fifty round trips. The rows of
//! one statement name different records, and they are sorted, so that two nodes that write at the same time wait for each
//! other and never in a circle.
//!
//! SQLite looks for a `$1` by its name, through all names before it, so that binding took longer than all the rest; its
//! texts have a bare `?`, which it does not name. `examples/take_usage.rs` measures what a row costs.

use std::sync::LazyLock;

use keytoll_domain::ids::{KeyId, SubscriptionId};
use keytoll_domain::ledger::{KeyTouch, PeriodRow, RefusedRow, Seal, UsageRow};
use keytoll_domain::time::Timestamp;

use crate::db::query::{Query, Row, Statement, statements};
use crate::{Result, Tx};

/// Rows of a statement, largest first: 8 arguments each stay far below the engines' limits (32 766 and 65 535), and what
/// is left over takes at most 17 more statements.
const SIZES: [usize; 4] = [256, 32, 4, 1];

statements! { "seals";
    SEAL_INSERT = "INSERT INTO seals (node, sequence, segment, first_slot, slot_count, previous, sha256, sealed_at, taken_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (node, sequence) DO NOTHING";
    SEAL_BY_SEQUENCE = "SELECT node, sequence, segment, first_slot, slot_count, previous, sha256, sealed_at \
        FROM seals WHERE node = $1 AND sequence = $2";
    SEAL_LAST = "SELECT node, sequence, segment, first_slot, slot_count, previous, sha256, sealed_at \
        FROM seals WHERE node = $1 ORDER BY sequence DESC LIMIT 1";
    SEAL_PAGE = "SELECT node, sequence, segment, first_slot, slot_count, previous, sha256, sealed_at \
        FROM seals WHERE node = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    LIVE_TOTALS = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS calls, \
        CAST(COALESCE(SUM(units), 0) AS BIGINT) AS units FROM key_usage WHERE environment = 'live'";
    PERIOD_TOTALS = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS calls, \
        CAST(COALESCE(SUM(units), 0) AS BIGINT) AS units FROM usage_periods";
    SEAL_NODES = "SELECT DISTINCT node FROM seals ORDER BY node LIMIT 10000";
    PERIOD_UNITS = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS calls, \
        CAST(COALESCE(SUM(units), 0) AS BIGINT) AS units FROM usage_periods \
        WHERE subscription_id = $1 AND period_start >= $2 AND period_start < $3";
    PERIODS_SINCE = "SELECT subscription_id, period_start, calls, units FROM usage_periods \
        WHERE period_start >= $1 ORDER BY subscription_id, period_start";
}

/// `INSERT … VALUES (…), (…) …` for each of [`SIZES`], as each engine wants its arguments named.
struct Upsert {
    table: &'static str,
    sqlite: [String; SIZES.len()],
    postgres: [String; SIZES.len()],
}

impl Upsert {
    /// `pattern` is one row's values, with `?` for each argument.
    fn new(table: &'static str, head: &str, pattern: &str, tail: &str) -> Self {
        let sqlite = SIZES.map(|rows| format!("{head} {} {tail}", vec![pattern; rows].join(", ")));
        let postgres = sqlite.each_ref().map(|sql| numbered(sql));
        Self { table, sqlite, postgres }
    }

    async fn run<T>(
        &'static self,
        tx: &mut Tx,
        rows: &[T],
        bind: impl for<'q> Fn(Query<'q>, &T) -> Query<'q>,
    ) -> Result<()> {
        let texts = if tx.is_sqlite() { &self.sqlite } else { &self.postgres };
        let mut rest = rows;
        for (sql, size) in texts.iter().zip(SIZES) {
            while let Some((chunk, after)) = rest.split_at_checked(size) {
                let mut query = tx.query(Statement { table: self.table, sql });
                for row in chunk {
                    query = bind(query, row);
                }
                query.execute().await?;
                rest = after;
            }
        }
        Ok(())
    }
}

/// The text with `$1`, `$2`, … in place of each `?`.
fn numbered(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() * 2);
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            text.push('$');
            text.push_str(&number.to_string());
        }
        text.push_str(part);
    }
    text
}

static USAGE: LazyLock<Upsert> = LazyLock::new(|| {
    Upsert::new(
        "key_usage",
        "INSERT INTO key_usage (key_id, day, operation, environment, calls, successes, units, latency_micros) VALUES",
        "(?, ?, ?, ?, ?, ?, ?, ?)",
        "ON CONFLICT (key_id, day, operation, environment) DO UPDATE SET calls = key_usage.calls + excluded.calls, \
         successes = key_usage.successes + excluded.successes, units = key_usage.units + excluded.units, \
         latency_micros = key_usage.latency_micros + excluded.latency_micros",
    )
});

static PERIODS: LazyLock<Upsert> = LazyLock::new(|| {
    Upsert::new(
        "usage_periods",
        "INSERT INTO usage_periods (subscription_id, period_start, calls, units) VALUES",
        "(?, ?, ?, ?)",
        "ON CONFLICT (subscription_id, period_start) DO UPDATE SET calls = usage_periods.calls + excluded.calls, \
         units = usage_periods.units + excluded.units",
    )
});

/// A key that is gone is left out: its calls stay in the other sums.
static TOUCHES: LazyLock<Upsert> = LazyLock::new(|| {
    Upsert::new(
        "key_totals",
        "WITH touched (key_id, calls, at) AS (VALUES",
        "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
        ") INSERT INTO key_totals (key_id, total_requests, last_used_at) SELECT key_id, calls, at FROM touched \
         WHERE EXISTS (SELECT 1 FROM keys WHERE keys.id = touched.key_id) \
         ON CONFLICT (key_id) DO UPDATE SET total_requests = key_totals.total_requests + excluded.total_requests, \
         last_used_at = CASE WHEN key_totals.last_used_at > excluded.last_used_at THEN key_totals.last_used_at \
         ELSE excluded.last_used_at END",
    )
});

static REFUSED: LazyLock<Upsert> = LazyLock::new(|| {
    Upsert::new(
        "refused",
        "INSERT INTO refused (day, key_id, code, count) VALUES",
        "(?, ?, ?, ?)",
        "ON CONFLICT (day, key_id, code) DO UPDATE SET count = refused.count + excluded.count",
    )
});

/// Texts built at run time, for the test that prepares every statement: SQLite's, then PostgreSQL's.
#[cfg(test)]
pub(crate) fn built_statements() -> [Vec<&'static str>; 2] {
    let all = [&*USAGE, &*PERIODS, &*TOUCHES, &*REFUSED];
    let sqlite = all.iter().flat_map(|upsert| &upsert.sqlite).map(String::as_str).collect();
    let postgres = all.iter().flat_map(|upsert| &upsert.postgres).map(String::as_str).collect();
    [sqlite, postgres]
}

/// Writes the seal; false if there is one of this node and sequence, which may have another hash.
pub async fn seal_insert(tx: &mut Tx, seal: &Seal, taken_at: Timestamp) -> Result<bool> {
    let written = tx
        .query(SEAL_INSERT)
        .text(&seal.node)
        .count(seal.sequence)
        .text(&seal.segment)
        .count(seal.first)
        .count(seal.count)
        .text(&seal.previous)
        .text(&seal.sha256)
        .time(seal.sealed_at)
        .time(taken_at)
        .execute()
        .await?;
    Ok(written > 0)
}

pub async fn seal_by_sequence(tx: &mut Tx, node: &str, sequence: u64) -> Result<Option<Seal>> {
    tx.query(SEAL_BY_SEQUENCE).text(node).count(sequence).one(seal).await
}

/// The last seal taken of a node.
pub async fn seal_last(tx: &mut Tx, node: &str) -> Result<Option<Seal>> {
    tx.query(SEAL_LAST).text(node).one(seal).await
}

/// A node's seals in their order, after the cursor.
pub async fn seal_page(tx: &mut Tx, node: &str, after: u64, limit: u32) -> Result<Vec<Seal>> {
    tx.query(SEAL_PAGE).text(node).count(after).big(limit.into()).all(seal).await
}

/// The nodes that ever sealed.
pub async fn seal_nodes(tx: &mut Tx) -> Result<Vec<String>> {
    tx.query(SEAL_NODES).all(|row| row.text("node")).await
}

/// Calls and units of all live usage by day, and of all periods: the same numbers, unless a sum is wrong.
pub async fn ledger_totals(tx: &mut Tx) -> Result<[(u64, u64); 2]> {
    let read = |row: &Row| Ok((row.count("calls")?, row.count("units")?));
    let days = tx.query(LIVE_TOTALS).one(read).await?.unwrap_or_default();
    let periods = tx.query(PERIOD_TOTALS).one(read).await?.unwrap_or_default();
    Ok([days, periods])
}

/// Adds calls to the sums; each (key, day, operation, environment) at most once in `rows`.
pub async fn usage_add(tx: &mut Tx, rows: &[UsageRow]) -> Result<()> {
    USAGE
        .run(tx, rows, |query, row: &UsageRow| {
            let query = query.text(row.key).big(row.day.0.into()).big(row.operation.0);
            let query = query.text(row.environment.as_str()).count(row.calls).count(row.successes);
            query.count(row.units).count(row.latency_micros)
        })
        .await
}

/// Adds to the sums of periods; each (subscription, start) at most once in `rows`.
pub async fn periods_add(tx: &mut Tx, rows: &[PeriodRow]) -> Result<()> {
    PERIODS
        .run(tx, rows, |query, row: &PeriodRow| {
            query.text(row.subscription).time(row.period_start).count(row.calls).count(row.units)
        })
        .await
}

/// Adds to what keys have served; each key at most once in `rows`.
pub async fn touches_add(tx: &mut Tx, rows: &[KeyTouch]) -> Result<()> {
    TOUCHES
        .run(tx, rows, |query, row: &KeyTouch| {
            query.text(row.key).count(row.calls).time(row.last_used_at)
        })
        .await
}

/// Adds refusals; each (day, key, code) at most once in `rows`.
pub async fn refused_add(tx: &mut Tx, rows: &[RefusedRow]) -> Result<()> {
    REFUSED
        .run(tx, rows, |query, row: &RefusedRow| {
            let key = row.key.map_or_else(String::new, |key: KeyId| key.to_string());
            query.big(row.day.0.into()).text(key).text(&row.code).count(row.count)
        })
        .await
}

/// What a subscription used in the periods that begin in [from, to).
pub async fn period_units(
    tx: &mut Tx,
    subscription: SubscriptionId,
    from: Timestamp,
    to: Timestamp,
) -> Result<PeriodRow> {
    let read = |row: &Row| {
        let (calls, units) = (row.count("calls")?, row.count("units")?);
        Ok(PeriodRow { subscription, period_start: from, calls, units })
    };
    let found = tx.query(PERIOD_UNITS).text(subscription).time(from).time(to).one(read).await?;
    Ok(found.unwrap_or(PeriodRow { subscription, period_start: from, calls: 0, units: 0 }))
}

/// All periods that began at `from` or later, for the gateway's quota counters.
pub async fn periods_since(tx: &mut Tx, from: Timestamp) -> Result<Vec<PeriodRow>> {
    let read = |row: &Row| {
        Ok(PeriodRow {
            subscription: row.parse("subscription_id")?,
            period_start: row.time("period_start")?,
            calls: row.count("calls")?,
            units: row.count("units")?,
        })
    };
    tx.query(PERIODS_SINCE).time(from).all(read).await
}

fn seal(row: &Row) -> Result<Seal> {
    Ok(Seal {
        node: row.text("node")?,
        sequence: row.count("sequence")?,
        segment: row.text("segment")?,
        first: row.count("first_slot")?,
        count: row.count("slot_count")?,
        previous: row.text("previous")?,
        sha256: row.text("sha256")?,
        sealed_at: row.time("sealed_at")?,
    })
}
