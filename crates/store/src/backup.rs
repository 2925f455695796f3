//! Copies of a SQLite database, and whether one is sound. PostgreSQL has its own tools for both.

use std::path::Path;

use crate::{Db, Result, StoreError};

impl Db {
    /// Writes a consistent copy while the database is in use; `false` on PostgreSQL. The file must not exist.
    pub async fn backup_to(&self, file: &Path) -> Result<bool> {
        let Self::Sqlite { writer, .. } = self else { return Ok(false) };
        let Some(path) = file.to_str() else {
            return Err(StoreError::Internal("the backup's path must be UTF-8 text".into()));
        };
        sqlx::query("VACUUM INTO $1").bind(path).execute(writer).await?;
        Ok(true)
    }

    /// SQLite's integrity check; `true` on PostgreSQL, which has checksums of its own.
    pub async fn is_sound(&self) -> Result<bool> {
        let Self::Sqlite { readers, .. } = self else { return Ok(true) };
        let verdict: String =
            sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(readers).await?;
        Ok(verdict == "ok")
    }
}
