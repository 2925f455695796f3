//! Reading the sums of calls: per partner and per key, by UTC day and operation.

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, PartnerId, ProductId};
use keytoll_domain::key::Environment;
use keytoll_domain::time::Day;

use crate::db::query::{Row, statements};
use crate::{Result, Tx};

statements! { "key_usage";
    OF_PARTNER = "SELECT u.day AS day, n.product_id AS product_id, CAST(SUM(u.calls) AS BIGINT) AS calls, \
        CAST(SUM(u.successes) AS BIGINT) AS successes, CAST(SUM(u.latency_micros) AS BIGINT) AS latency_micros \
        FROM keys k JOIN key_usage u ON u.key_id = k.id LEFT JOIN operation_names n ON n.operation = u.operation \
        WHERE k.partner_id = $1 AND u.environment = $2 AND u.day >= $3 AND u.day <= $4 \
        GROUP BY u.day, n.product_id ORDER BY u.day, n.product_id";
    OF_ALL = "SELECT u.day AS day, n.product_id AS product_id, CAST(SUM(u.calls) AS BIGINT) AS calls, \
        CAST(SUM(u.successes) AS BIGINT) AS successes, CAST(SUM(u.latency_micros) AS BIGINT) AS latency_micros \
        FROM key_usage u LEFT JOIN operation_names n ON n.operation = u.operation \
        WHERE u.environment = $1 AND u.day >= $2 AND u.day <= $3 \
        GROUP BY u.day, n.product_id ORDER BY u.day, n.product_id";
    OF_KEY_BY_DAY = "SELECT day, CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(successes) AS BIGINT) AS successes, \
        CAST(SUM(latency_micros) AS BIGINT) AS latency_micros \
        FROM key_usage WHERE key_id = $1 AND day >= $2 AND day <= $3 GROUP BY day ORDER BY day";
    OF_KEY_BY_OPERATION = "SELECT u.operation AS operation, n.product_id AS product_id, n.method AS method, n.path AS path, \
        CAST(SUM(u.calls) AS BIGINT) AS calls, CAST(SUM(u.successes) AS BIGINT) AS successes, \
        CAST(SUM(u.latency_micros) AS BIGINT) AS latency_micros \
        FROM key_usage u LEFT JOIN operation_names n ON n.operation = u.operation \
        WHERE u.key_id = $1 AND u.day >= $2 AND u.day <= $3 \
        GROUP BY u.operation, n.product_id, n.method, n.path \
        ORDER BY SUM(u.successes) DESC, SUM(u.calls) DESC, u.operation LIMIT $4";
}

/// Calls of a partner to one product on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerUsage {
    pub day: Day,
    /// Absent for calls that named no known product.
    pub product: Option<ProductId>,
    pub calls: u64,
    pub successes: u64,
    pub latency_micros: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDay {
    pub day: Day,
    pub calls: u64,
    pub successes: u64,
    pub latency_micros: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOperation {
    pub operation: OperationKey,
    /// Product, method and path; absent for calls of no known product.
    pub name: Option<(ProductId, String, String)>,
    pub calls: u64,
    pub successes: u64,
    pub latency_micros: u64,
}

/// Both days are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    pub first: Day,
    pub last: Day,
}

/// By day, then product; of one partner, or of all.
pub async fn usage_by_product(
    tx: &mut Tx,
    partner: Option<PartnerId>,
    environment: Environment,
    days: Days,
) -> Result<Vec<PartnerUsage>> {
    let read = |row: &Row| {
        Ok(PartnerUsage {
            day: day(row)?,
            product: row.parse_or_null("product_id")?,
            calls: row.count("calls")?,
            successes: row.count("successes")?,
            latency_micros: row.count("latency_micros")?,
        })
    };
    let query = match partner {
        Some(partner) => tx.query(OF_PARTNER).text(partner),
        None => tx.query(OF_ALL),
    };
    let query = query.text(environment.as_str());
    query.big(days.first.0.into()).big(days.last.0.into()).all(read).await
}

/// Days on which the key was used, oldest first.
pub async fn usage_of_key_by_day(tx: &mut Tx, key: KeyId, days: Days) -> Result<Vec<KeyDay>> {
    let read = |row: &Row| {
        Ok(KeyDay {
            day: day(row)?,
            calls: row.count("calls")?,
            successes: row.count("successes")?,
            latency_micros: row.count("latency_micros")?,
        })
    };
    let query = tx.query(OF_KEY_BY_DAY).text(key);
    query.big(days.first.0.into()).big(days.last.0.into()).all(read).await
}

/// The operations with most successes first.
pub async fn usage_of_key_by_operation(
    tx: &mut Tx,
    key: KeyId,
    days: Days,
    limit: u32,
) -> Result<Vec<KeyOperation>> {
    let read = |row: &Row| {
        Ok(KeyOperation {
            operation: OperationKey(row.big("operation")?),
            name: name(row)?,
            calls: row.count("calls")?,
            successes: row.count("successes")?,
            latency_micros: row.count("latency_micros")?,
        })
    };
    let query = tx.query(OF_KEY_BY_OPERATION).text(key);
    let query = query.big(days.first.0.into()).big(days.last.0.into());
    query.big(limit.into()).all(read).await
}

fn name(row: &Row) -> Result<Option<(ProductId, String, String)>> {
    Ok(match row.parse_or_null("product_id")? {
        Some(product) => Some((product, row.text("method")?, row.text("path")?)),
        None => None,
    })
}

fn day(row: &Row) -> Result<Day> {
    i32::try_from(row.big("day")?).map(Day).map_err(|_| row.corrupt("day"))
}
