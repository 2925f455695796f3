//! The two engines behind one type, and everything in which they differ.
//!
//! SQLite runs in WAL mode with one writing connection (`BEGIN IMMEDIATE`, so that a transaction never fails
//! half-way for want of the lock) and several readers. `synchronous` is FULL: a revocation that was answered
//! with a receipt, and a ledger batch whose journal segment may then be deleted, must survive a power cut;
//! NORMAL would lose the last commits. The price is one sync per commit, and the busy writer batches.
//!
//! PostgreSQL writes at READ COMMITTED and takes row locks by updating the row that guards the invariant; it
//! reads at REPEATABLE READ, so that one read transaction sees one moment, as SQLite's does.

pub mod query;

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool,
    Transaction,
};

use crate::{Result, StoreError, migrate};

/// How long a statement waits for SQLite's lock (held by another process) or for a free connection.
const WAIT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

/// A database with the current schema. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A transaction, read-only or writing. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx(pub(crate) Engine);

#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Db {
    /// Opens `sqlite:PATH` (created when absent, with its folder) or `postgres://…` and migrates it.
    pub async fn connect(url: &str) -> Result<Self> {
        let db = if let Some(path) = url.strip_prefix("sqlite:") {
            sqlite(Path::new(path.strip_prefix("//").unwrap_or(path))).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)?;
            // The pool would retry a refused connection until its time is up and then say only that.
            let connected = tokio::time::timeout(WAIT, PgConnection::connect_with(&options)).await;
            connected
                .map_err(|_| StoreError::Unavailable("PostgreSQL does not answer".into()))?
                .map_err(|error| unavailable(&error))?
                .close()
                .await?;
            postgres(options)
        } else {
            return Err(StoreError::Internal(
                "the storage url must begin with `sqlite:` or `postgres://`".into(),
            ));
        };
        migrate::run(&db).await?;
        Ok(db)
    }

    /// A view of one moment. Writing through it is refused.
    pub async fn read(&self) -> Result<Tx> {
        Ok(Tx(match self {
            Self::Sqlite { readers, .. } => Engine::Sqlite(readers.begin().await?),
            Self::Postgres(pool) => Engine::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            ),
        }))
    }

    /// A writing transaction. On SQLite there is one at a time: never hold it while waiting for another.
    pub async fn write(&self) -> Result<Tx> {
        Ok(Tx(match self {
            Self::Sqlite { writer, .. } => {
                Engine::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres(pool) => Engine::Postgres(pool.begin().await?),
        }))
    }

    /// Closes the connections; SQLite then folds its WAL into the database file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// For the few texts that the engines want differently.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.0, Engine::Sqlite(_))
    }

    pub async fn commit(self) -> Result<()> {
        match self.0 {
            Engine::Sqlite(tx) => tx.commit().await?,
            Engine::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

async fn sqlite(path: &Path) -> Result<Db> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            StoreError::Unavailable(format!("cannot create {}: {error}", folder.display()))
        })?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(WAIT);
    let pool = |size| {
        PoolOptions::<Sqlite>::new()
            .max_connections(size)
            .acquire_timeout(WAIT)
            .before_acquire(|connection, _| Box::pin(async { Ok(is_idle(connection)) }))
    };
    let readers = options.clone().pragma("query_only", "ON");
    let named = |error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    SqliteConnection::connect_with(&options).await.map_err(named)?.close().await?;
    Ok(Db::Sqlite {
        writer: pool(1).connect_lazy_with(options),
        readers: pool(SQLITE_READERS).connect_lazy_with(readers),
    })
}

/// Whether a connection of the pool can begin a transaction. On a full disk SQLite ends the transaction by
/// itself, the driver's rollback then fails, and its connection refuses every further transaction: such a one
/// is replaced, or the only writer would stay unusable when there is space again.
fn is_idle(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

fn unavailable(error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot connect to PostgreSQL: {error}"))
}

pub(crate) fn postgres(options: PgConnectOptions) -> Db {
    let pool = PoolOptions::<Postgres>::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(WAIT)
        .connect_lazy_with(options);
    Db::Postgres(pool)
}
