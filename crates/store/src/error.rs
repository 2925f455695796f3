//! What can go wrong in the store, as callers can act on it.
//!
//! The texts name tables, columns and record ids, never values: they may be logged.

use sqlx::error::{DatabaseError, ErrorKind};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique index (`table_column`) or `foreign_key` refused the write.
    #[error("the record conflicts with another: {0}")]
    Conflict(String),
    /// A stored value does not parse: somebody else wrote it, or the disk did.
    #[error("corrupt record: {table}.{column} of `{id}` cannot be read")]
    Corrupt { table: &'static str, column: &'static str, id: String },
    /// The database cannot answer now; the same request may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    #[error("the database refused a statement: {0}")]
    Internal(String),
}

impl StoreError {
    /// Whether the unique index of this name refused the write.
    pub fn is_conflict(&self, constraint: &str) -> bool {
        matches!(self, Self::Conflict(name) if name == constraint)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => from_database(error.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

fn from_database(error: &dyn DatabaseError) -> StoreError {
    match error.kind() {
        ErrorKind::UniqueViolation => StoreError::Conflict(constraint_name(error)),
        ErrorKind::ForeignKeyViolation => StoreError::Conflict("foreign_key".into()),
        _ if is_passing(error.code().as_deref().unwrap_or_default()) => {
            StoreError::Unavailable(error.message().into())
        }
        _ => StoreError::Internal(error.message().into()),
    }
}

/// PostgreSQL names the index; SQLite lists `table.column, table.column`, which is brought to the same form.
fn constraint_name(error: &dyn DatabaseError) -> String {
    if let Some(name) = error.constraint() {
        return name.into();
    }
    let columns = error.message().rsplit(": ").next().unwrap_or_default();
    let mut name = String::new();
    for (index, column) in columns.split(", ").enumerate() {
        let (table, column) = column.split_once('.').unwrap_or(("", column));
        if index == 0 {
            name.push_str(table);
        }
        name.push('_');
        name.push_str(column);
    }
    name
}

/// SQLite: busy, locked, read-only disk, I/O error, full, cannot open (with extended codes).
/// PostgreSQL: connection, resources, shutdown, and a transaction that lost against another.
fn is_passing(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(sqlite) if code.len() < 5 => matches!(sqlite & 0xff, 5 | 6 | 8 | 10 | 13 | 14),
        _ => {
            matches!(code, "40001" | "40P01")
                || ["08", "53", "57"].iter().any(|class| code.starts_with(class))
        }
    }
}
