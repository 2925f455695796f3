//! The schema's history, embedded in the binary. A migration that has been released is never edited.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use crate::Result;
use crate::db::Db;

/// Number, name, text; in ascending order.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "identity", include_str!("../migrations/0001_identity.sql")),
    (10, "catalogue", include_str!("../migrations/0010_catalogue.sql")),
    (11, "ledger", include_str!("../migrations/0011_ledger.sql")),
    (12, "invoices", include_str!("../migrations/0012_invoices.sql")),
    (13, "product_versions", include_str!("../migrations/0013_product_versions.sql")),
    (14, "terms", include_str!("../migrations/0014_terms.sql")),
    (15, "bcrypt", include_str!("../migrations/0015_bcrypt.sql")),
];

/// Brings the schema to the newest version; a no-op when it is there.
pub(crate) async fn run(db: &Db) -> Result<()> {
    match db {
        Db::Sqlite { writer, .. } => migrator(for_sqlite).run(writer).await?,
        Db::Postgres(pool) => migrator(str::to_owned).run(pool).await?,
    }
    Ok(())
}

/// SQLite would give the unknown type name `BYTEA` a numeric affinity.
fn for_sqlite(sql: &str) -> String {
    sql.replace(" BYTEA", " BLOB")
}

fn migrator(dialect: fn(&str) -> String) -> Migrator {
    let one = |&(number, name, sql): &(i64, &'static str, &str)| {
        let text = AssertSqlSafe(dialect(sql)).into_sql_str();
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, text, false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(one).collect())
}
