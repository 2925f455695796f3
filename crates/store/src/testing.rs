//! Runs a test on both engines: SQLite in a temporary file, PostgreSQL in a schema of its own.
//!
//! PostgreSQL is named by `KEYTOLL_TEST_POSTGRES` (`postgres://…`). Without it a test fails, unless
//! `KEYTOLL_TEST_ENGINES=sqlite` says that the other engine is left out on purpose.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{Db, db, migrate};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Calls `test` once per engine with an empty, migrated database.
pub async fn on_each_engine<F: AsyncFn(Db)>(test: F) {
    let file = TempFile::new();
    let db = Db::connect(&format!("sqlite:{}", file.0.display())).await.expect("SQLite opens");
    test(db.clone()).await;
    db.close().await;

    if std::env::var("KEYTOLL_TEST_ENGINES").is_ok_and(|engines| engines == "sqlite") {
        return;
    }
    let url = std::env::var("KEYTOLL_TEST_POSTGRES").expect(
        "KEYTOLL_TEST_POSTGRES=postgres://… must name a server (or KEYTOLL_TEST_ENGINES=sqlite)",
    );
    on_postgres(&url, test).await;
}

async fn on_postgres<F: AsyncFn(Db)>(url: &str, test: F) {
    let schema = format!("test_{}_{}", std::process::id(), unique());
    let options = PgConnectOptions::from_str(url).expect("KEYTOLL_TEST_POSTGRES is a URL");
    let mut admin = PgConnection::connect_with(&options).await.expect("PostgreSQL answers");
    let drop_schema = || AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"));
    let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    admin.execute(drop_schema()).await.expect("an old schema is dropped");
    admin.execute(create).await.expect("a schema is created");
    let db = db::postgres(options.options([("search_path", &schema)]));
    migrate::run(&db).await.expect("PostgreSQL migrates");
    test(db.clone()).await;
    db.close().await;
    admin.execute(drop_schema()).await.expect("the schema is dropped");
}

fn unique() -> u32 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

struct TempFile(PathBuf);

impl TempFile {
    fn new() -> Self {
        let name = format!("keytoll-test-{}-{}", std::process::id(), unique());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        Self(folder.join("keytoll.db"))
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            let _gone = std::fs::remove_dir_all(folder);
        }
    }
}
