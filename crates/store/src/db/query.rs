//! One statement, its arguments and its rows, the same on either engine.
//!
//! A [`Statement`] is made by [`statements!`](crate::statements) only, which also lists it for the test that
//! prepares all of them on both engines. Arguments are bound in the order of `$1`, `$2`, …. The first column
//! of a SELECT identifies the record: it is what a [`StoreError::Corrupt`] names.

use std::fmt::Display;
use std::str::FromStr;

use keytoll_domain::key::KeyHash;
use keytoll_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Encode, Row as _, Type};

use crate::db::{Engine, Tx};
use crate::{Result, StoreError};

/// An SQL text and the table it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) table: &'static str,
    pub(crate) sql: &'static str,
}

/// `statements! { "table"; NAME = "SQL"; … }`: the SQL of a resource file.
macro_rules! statements {
    ($table:literal; $($name:ident = $sql:expr;)+) => {
        $(const $name: $crate::db::query::Statement =
            $crate::db::query::Statement { table: $table, sql: $sql };)+
        /// Every statement of this file.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[$crate::db::query::Statement] = &[$($name),+];
    };
}
pub(crate) use statements;

#[derive(Debug)]
enum Value {
    Text(Option<String>),
    Big(Option<i64>),
    Blob(Option<Vec<u8>>),
}

/// A statement on its way to a transaction.
#[derive(Debug)]
pub(crate) struct Query<'t> {
    tx: &'t mut Tx,
    statement: Statement,
    values: Vec<Value>,
}

impl Tx {
    pub(crate) fn query(&mut self, statement: Statement) -> Query<'_> {
        Query { tx: self, statement, values: Vec::new() }
    }
}

impl Query<'_> {
    pub(crate) fn text(self, value: impl Display) -> Self {
        self.value(Value::Text(Some(value.to_string())))
    }

    pub(crate) fn text_or_null(self, value: Option<impl Display>) -> Self {
        self.value(Value::Text(value.map(|value| value.to_string())))
    }

    pub(crate) fn big(self, value: i64) -> Self {
        self.value(Value::Big(Some(value)))
    }

    pub(crate) fn big_or_null(self, value: Option<i64>) -> Self {
        self.value(Value::Big(value))
    }

    /// A counter or limit; more than the column holds is stored as the most it holds.
    pub(crate) fn count(self, value: u64) -> Self {
        self.big(i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(crate) fn count_or_null(self, value: Option<u64>) -> Self {
        self.big_or_null(value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)))
    }

    pub(crate) fn flag(self, value: bool) -> Self {
        self.big(i64::from(value))
    }

    pub(crate) fn time(self, value: Timestamp) -> Self {
        self.big(value.0)
    }

    pub(crate) fn time_or_null(self, value: Option<Timestamp>) -> Self {
        self.big_or_null(value.map(|value| value.0))
    }

    pub(crate) fn hash(self, value: KeyHash) -> Self {
        self.value(Value::Blob(Some(value.0.to_vec())))
    }

    pub(crate) fn json(self, value: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_string(value)
            .map_err(|error| StoreError::Internal(format!("{}: {error}", self.statement.table)))?;
        Ok(self.text(text))
    }

    pub(crate) fn json_or_null(self, value: Option<&impl Serialize>) -> Result<Self> {
        match value {
            Some(value) => self.json(value),
            None => Ok(self.value(Value::Text(None))),
        }
    }

    pub(crate) fn blob(self, value: Vec<u8>) -> Self {
        self.value(Value::Blob(Some(value)))
    }

    fn value(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }

    /// Runs the statement and returns the number of rows it changed.
    pub(crate) async fn execute(self) -> Result<u64> {
        let sql = self.statement.sql;
        Ok(match &mut self.tx.0 {
            Engine::Sqlite(tx) => {
                let query = sqlx::query_with(sql, arguments::<SqliteArguments>(self.values)?);
                query.execute(&mut **tx).await?.rows_affected()
            }
            Engine::Postgres(tx) => {
                let query = sqlx::query_with(sql, arguments::<PgArguments>(self.values)?);
                query.execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// The first row, if there is one.
    pub(crate) async fn one<T>(self, read: impl Fn(&Row) -> Result<T>) -> Result<Option<T>> {
        let Statement { table, sql } = self.statement;
        let row = match &mut self.tx.0 {
            Engine::Sqlite(tx) => {
                let query = sqlx::query_with(sql, arguments::<SqliteArguments>(self.values)?);
                query.fetch_optional(&mut **tx).await?.map(EngineRow::Sqlite)
            }
            Engine::Postgres(tx) => {
                let query = sqlx::query_with(sql, arguments::<PgArguments>(self.values)?);
                query.fetch_optional(&mut **tx).await?.map(EngineRow::Postgres)
            }
        };
        row.map(|inner| read(&Row { inner, table })).transpose()
    }

    /// All rows; the statement itself carries the limit.
    pub(crate) async fn all<T>(self, mut read: impl FnMut(&Row) -> Result<T>) -> Result<Vec<T>> {
        let Statement { table, sql } = self.statement;
        let rows: Vec<EngineRow> = match &mut self.tx.0 {
            Engine::Sqlite(tx) => {
                let query = sqlx::query_with(sql, arguments::<SqliteArguments>(self.values)?);
                query.fetch_all(&mut **tx).await?.into_iter().map(EngineRow::Sqlite).collect()
            }
            Engine::Postgres(tx) => {
                let query = sqlx::query_with(sql, arguments::<PgArguments>(self.values)?);
                query.fetch_all(&mut **tx).await?.into_iter().map(EngineRow::Postgres).collect()
            }
        };
        rows.into_iter().map(|inner| read(&Row { inner, table })).collect()
    }
}

/// The arguments in an engine's own form.
fn arguments<A: Arguments>(values: Vec<Value>) -> Result<A>
where
    Option<String>: for<'v> Encode<'v, A::Database> + Type<A::Database>,
    Option<i64>: for<'v> Encode<'v, A::Database> + Type<A::Database>,
    Option<Vec<u8>>: for<'v> Encode<'v, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        let added = match value {
            Value::Text(value) => arguments.add(value),
            Value::Big(value) => arguments.add(value),
            Value::Blob(value) => arguments.add(value),
        };
        added.map_err(|error| StoreError::Internal(error.to_string()))?;
    }
    Ok(arguments)
}

enum EngineRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A row, read by column name. What does not parse is a [`StoreError::Corrupt`].
pub(crate) struct Row {
    inner: EngineRow,
    table: &'static str,
}

impl Row {
    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        self.get(column)
    }

    pub(crate) fn text_or_null(&self, column: &'static str) -> Result<Option<String>> {
        self.get(column)
    }

    /// An id, slug or other type with a textual form.
    pub(crate) fn parse<T: FromStr>(&self, column: &'static str) -> Result<T> {
        self.text(column)?.parse().map_err(|_| self.corrupt(column))
    }

    pub(crate) fn parse_or_null<T: FromStr>(&self, column: &'static str) -> Result<Option<T>> {
        let text = self.text_or_null(column)?;
        text.map(|text| text.parse().map_err(|_| self.corrupt(column))).transpose()
    }

    /// A text by a function of the domain that knows it, as `Environment::parse`.
    pub(crate) fn word<T>(
        &self,
        column: &'static str,
        known: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        known(&self.text(column)?).ok_or_else(|| self.corrupt(column))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|_| self.corrupt(column))
    }

    pub(crate) fn json_or_null<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>> {
        let text = self.text_or_null(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| self.corrupt(column))).transpose()
    }

    pub(crate) fn big(&self, column: &'static str) -> Result<i64> {
        self.get(column)
    }

    pub(crate) fn big_or_null(&self, column: &'static str) -> Result<Option<i64>> {
        self.get(column)
    }

    pub(crate) fn count(&self, column: &'static str) -> Result<u64> {
        u64::try_from(self.big(column)?).map_err(|_| self.corrupt(column))
    }

    pub(crate) fn count_or_null(&self, column: &'static str) -> Result<Option<u64>> {
        let value = self.big_or_null(column)?;
        value.map(|value| u64::try_from(value).map_err(|_| self.corrupt(column))).transpose()
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool> {
        match self.big(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.big(column).map(Timestamp)
    }

    pub(crate) fn time_or_null(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.big_or_null(column)?.map(Timestamp))
    }

    pub(crate) fn blob(&self, column: &'static str) -> Result<Vec<u8>> {
        self.get(column)
    }

    pub(crate) fn hash(&self, column: &'static str) -> Result<KeyHash> {
        let bytes: Vec<u8> = self.get(column)?;
        bytes.try_into().map(KeyHash).map_err(|_| self.corrupt(column))
    }

    /// The error for a value that is there but means nothing.
    pub(crate) fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, id: self.id() }
    }

    fn get<T>(&self, column: &'static str) -> Result<T>
    where
        T: for<'r> Decode<'r, sqlx::Sqlite> + Type<sqlx::Sqlite>,
        T: for<'r> Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>,
    {
        let value = match &self.inner {
            EngineRow::Sqlite(row) => row.try_get(column),
            EngineRow::Postgres(row) => row.try_get(column),
        };
        value.map_err(|error| match error {
            sqlx::Error::ColumnNotFound(name) => {
                StoreError::Internal(format!("no column {}.{name} in the result", self.table))
            }
            _ => self.corrupt(column),
        })
    }

    /// The first column, as text or number; a digest is not shown.
    fn id(&self) -> String {
        let (text, number) = match &self.inner {
            EngineRow::Sqlite(row) => (row.try_get::<String, _>(0), row.try_get::<i64, _>(0)),
            EngineRow::Postgres(row) => (row.try_get::<String, _>(0), row.try_get::<i64, _>(0)),
        };
        text.or_else(|_| number.map(|number| number.to_string())).unwrap_or_else(|_| "?".into())
    }
}
