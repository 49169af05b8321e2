//! The tables and how they came to be: numbered migrations, each applied once, by one node at a time.

use sqlx::Error;

use super::database::{Database, Value};
use super::fault::StateFault;

/// Every migration, in order; its number is its place, from 1. One that was released is never changed. Each could run
/// twice: where an engine commits tables one by one, a crash leaves half of them.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_epochs.sql"),
    include_str!("migrations/0002_revocations.sql"),
    include_str!("migrations/0003_planes.sql"),
    include_str!("migrations/0004_agents.sql"),
    include_str!("migrations/0005_registrations.sql"),
    include_str!("migrations/0006_authorities.sql"),
    include_str!("migrations/0007_agent_keys.sql"),
    include_str!("migrations/0008_federated.sql"),
    include_str!("migrations/0009_authority_upstreams.sql"),
];
/// The format that they end in.
const LATEST: u64 = MIGRATIONS.len() as u64;

const MAKE_VERSION: &str = "CREATE TABLE IF NOT EXISTS schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)";
const BEGIN_VERSION: &str = "INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING";
/// Changes nothing, and holds the row until the end of the transaction: who comes second waits here.
const LOCK_VERSION: &str = "UPDATE schema_version SET version = version WHERE id = 1";
const READ_VERSION: &str = "SELECT version FROM schema_version WHERE id = 1";
const SET_VERSION: &str = "UPDATE schema_version SET version = $1 WHERE id = 1";

/// Brings a database up to date.
///
/// # Errors
/// [`StateFault::Newer`] if it was already beyond what this program knows; it is left as it is.
pub(super) async fn migrate(database: &Database) -> Result<(), StateFault> {
    let found = database.within(|| upgrade(database)).await?;
    refuse_newer(database, found)
}

/// Makes sure that a database is in the format that is read here.
pub(super) async fn check(database: &Database) -> Result<(), StateFault> {
    let rows = database.within(|| database.rows(READ_VERSION, &[])).await?;
    let found = match rows.first().map(|row| row.number(0)).transpose() {
        Ok(found) => found.unwrap_or(0),
        Err(error) => return Err(database.fault(&error)),
    };
    refuse_newer(database, found)?;
    if found < LATEST {
        return Err(StateFault::Older { place: database.place().to_owned(), found, known: LATEST });
    }
    Ok(())
}

/// Applies what is missing, and gives the format that was there before.
async fn upgrade(database: &Database) -> Result<u64, Error> {
    let mut tx = database.begin().await?;
    tx.execute(MAKE_VERSION, &[]).await?;
    tx.execute(BEGIN_VERSION, &[]).await?;
    tx.execute(LOCK_VERSION, &[]).await?;
    let rows = tx.rows(READ_VERSION, &[]).await?;
    let found = rows.first().ok_or(Error::RowNotFound)?.number(0)?;
    if found < LATEST {
        for (_, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
            tx.script(migration).await?;
        }
        tx.execute(SET_VERSION, &[Value::number(LATEST)?]).await?;
    }
    tx.commit().await?;
    Ok(found)
}

fn refuse_newer(database: &Database, found: u64) -> Result<(), StateFault> {
    if found > LATEST {
        return Err(StateFault::Newer { place: database.place().to_owned(), found, known: LATEST });
    }
    Ok(())
}
