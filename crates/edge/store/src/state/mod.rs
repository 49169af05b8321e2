//! State that all control nodes share, in SQL: one text of every statement for SQLite, which is built in, and for
//! PostgreSQL, by URL. `api/state.md` describes the tables.
//!
//! A kind of state is a file here (its queries), a migration (its tables) and a word of [`Changed`]. What the documents
//! mean is for those who keep them: nothing is decided here.

mod agents;
mod authorities;
mod changes;
mod connections;
mod database;
mod epochs;
mod estates;
mod fault;
mod federated;
mod planes;
mod postgres;
mod registrations;
mod revocations;
mod schema;
mod sqlite;

use std::path::Path;

use self::database::Database;

pub use agents::{Again, Attest, KeptAgent};
pub use authorities::{AuthorityAct, GONE, KeptAuthorities, KeptAuthority, KeptUpstream, Step};
pub use changes::{Change, Changed, first_change};
pub use epochs::{Append, BadPosition, KeptEpoch, Position};
pub use fault::{Said, StateFault};
pub use federated::KeptBundle;
pub use planes::{Enrol, KeptPlane, NewPlane};
pub use postgres::BadUrl;
pub use registrations::KeptRegistration;
pub use revocations::RevocationAct;

/// The state of an installation. Clones share their connections.
#[derive(Clone)]
pub struct State {
    database: Database,
}

impl State {
    /// Opens the SQLite file at `path`, or makes it, for its owner alone; brings its tables up to date.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn open(path: &Path) -> Result<Self, StateFault> {
        let database = sqlite::open(path).await?;
        schema::migrate(&database).await?;
        Ok(Self { database })
    }

    /// Opens the SQLite file at `path` to read what is there, whether or not a server has it open.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn read(path: &Path) -> Result<Self, StateFault> {
        let database = sqlite::read(path)?;
        schema::check(&database).await?;
        Ok(Self { database })
    }

    /// Connects to the PostgreSQL database that a `postgres://` URL names; brings its tables up to date.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn connect(url: &str) -> Result<Self, StateFault> {
        let database = postgres::connect(url)?;
        schema::migrate(&database).await?;
        Ok(Self { database })
    }

    /// Lets go of all connections; what is asked after that fails.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[cfg(test)]
mod tests;
