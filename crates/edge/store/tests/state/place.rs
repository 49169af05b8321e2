//! Where the state of a test is: a file of its own, or a database of its own on a private PostgreSQL server.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use store::State;
use tempfile::TempDir;
use testkit::postgres::Postgres as Server;

/// Where state is; gone when dropped.
pub(crate) enum Place {
    Sqlite(TempDir),
    Postgres(Arc<Server>, String),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    /// A fresh database. `None` on a machine without PostgreSQL, which is said.
    pub(crate) fn postgres() -> Option<Self> {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let server = Server::shared()?;
        let name = format!("state_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        server.make_database(&name);
        Some(Self::Postgres(server, name))
    }

    /// The path or URL.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Sqlite(dir) => dir.path().join("state.db").to_str().unwrap().to_owned(),
            Self::Postgres(server, database) => server.url(database),
        }
    }

    /// A node of its own: connections are shared with no other.
    pub(crate) async fn node(&self) -> State {
        open(&self.address()).await.unwrap()
    }

    /// How faults name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(_) => self.address(),
            Self::Postgres(server, database) => format!("127.0.0.1:{}/{database}", server.port()),
        }
    }

    /// Changes the database behind the state's back.
    pub(crate) async fn tamper(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&self.address()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(..) => {
                let mut connection = PgConnection::connect(&self.address()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}

/// Opens state by its path or URL.
pub(crate) async fn open(address: &str) -> Result<State, store::StateFault> {
    if address.starts_with("postgres://") {
        State::connect(address).await
    } else {
        State::open(&PathBuf::from(address)).await
    }
}

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}
