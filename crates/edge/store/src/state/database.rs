//! One face of both engines: statements with values go in, rows come out, and nobody waits longer than the deadline.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Error, PgConnection, Row as _, SqliteConnection};

use super::connections::{Connections, Lent};
use super::fault::{StateFault, lost_race};

/// Longest that anything asked of the state takes, whatever becomes of the database meanwhile.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(super) struct Database {
    engine: Engine,
    /// How faults name it.
    place: Arc<str>,
}

#[derive(Clone)]
pub(super) enum Engine {
    Sqlite(Arc<Connections<SqliteConnection>>),
    Postgres(Arc<Connections<PgConnection>>),
}

/// Undone when dropped without a commit.
pub(super) enum Transaction {
    Sqlite(Lent<SqliteConnection>),
    Postgres(Lent<PgConnection>),
}

/// A value of a statement, which names them `$1`, `$2` and so on.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A statement with its values, for either engine.
macro_rules! statement {
    ($sql:expr, $values:expr) => {
        $values.iter().fold(sqlx::query($sql), |query, value| match *value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    };
}

impl Database {
    pub(super) fn new(engine: Engine, place: &str) -> Self {
        Self { engine, place: place.into() }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// What an error means here.
    pub(super) fn fault(&self, error: &Error) -> StateFault {
        StateFault::of(&self.place, error)
    }

    /// Does what `attempt` does, again if it lost a race against another node, until the deadline.
    pub(super) async fn within<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, StateFault>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let attempts = async {
            loop {
                match attempt().await {
                    Err(error) if lost_race(&error) => tokio::time::sleep(BETWEEN_TRIES).await,
                    done => return done,
                }
            }
        };
        match tokio::time::timeout(DEADLINE, attempts).await {
            Ok(done) => done.map_err(|error| self.fault(&error)),
            Err(_elapsed) => Err(StateFault::Late { place: self.place().to_owned() }),
        }
    }

    /// Begins to write: in SQLite, nobody else writes until this ends.
    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        match &self.engine {
            Engine::Sqlite(connections) => {
                let mut lent = connections.lend().await?;
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *lent).await?;
                Ok(Transaction::Sqlite(lent))
            }
            Engine::Postgres(connections) => {
                let mut lent = connections.lend().await?;
                sqlx::raw_sql("BEGIN").execute(&mut *lent).await?;
                Ok(Transaction::Postgres(lent))
            }
        }
    }

    /// What one statement finds.
    pub(super) async fn rows(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        match &self.engine {
            Engine::Sqlite(connections) => {
                let mut lent = connections.lend().await?;
                let rows = statement!(sql, values).fetch_all(&mut *lent).await?;
                lent.give_back();
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Engine::Postgres(connections) => {
                let mut lent = connections.lend().await?;
                let rows = statement!(sql, values).fetch_all(&mut *lent).await?;
                lent.give_back();
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    pub(super) async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(connections) => connections.close().await,
            Engine::Postgres(connections) => connections.close().await,
        }
    }
}

impl Transaction {
    pub(super) async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Error> {
        match self {
            Self::Sqlite(lent) => statement!(sql, values).execute(&mut **lent).await.map(drop),
            Self::Postgres(lent) => statement!(sql, values).execute(&mut **lent).await.map(drop),
        }
    }

    /// Executes several statements without values.
    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), Error> {
        match self {
            Self::Sqlite(lent) => sqlx::raw_sql(sql).execute(&mut **lent).await.map(drop),
            Self::Postgres(lent) => sqlx::raw_sql(sql).execute(&mut **lent).await.map(drop),
        }
    }

    pub(super) async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        match self {
            Self::Sqlite(lent) => {
                let rows = statement!(sql, values).fetch_all(&mut **lent).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(lent) => {
                let rows = statement!(sql, values).fetch_all(&mut **lent).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// INVARIANT: only after every statement succeeded. PostgreSQL takes the COMMIT of a failed transaction, and undoes it.
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.end("COMMIT").await
    }

    pub(super) async fn roll_back(self) -> Result<(), Error> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, how: &'static str) -> Result<(), Error> {
        self.script(how).await?;
        match self {
            Self::Sqlite(lent) => lent.give_back(),
            Self::Postgres(lent) => lent.give_back(),
        }
        Ok(())
    }
}

impl Value<'_> {
    /// A number of ours as SQL has it: up to 2^63 - 1.
    pub(super) fn number(number: u64) -> Result<Self, Error> {
        i64::try_from(number).map(Self::Number).map_err(|error| Error::Encode(error.into()))
    }
}

impl Row {
    pub(super) fn number(&self, column: usize) -> Result<u64, Error> {
        let number: i64 = match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        };
        u64::try_from(number).map_err(|error| Error::Decode(error.into()))
    }

    pub(super) fn text(&self, column: usize) -> Result<String, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(super) fn bytes(&self, column: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}
