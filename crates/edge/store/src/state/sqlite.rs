//! State in a SQLite file: how it is made, opened and checked.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::connections::Connections;
use super::database::{Database, Engine};
use super::fault::StateFault;
use crate::files::{PRIVATE, make_dir, sync_parent};

/// Longest that one statement waits for another process.
const BUSY: Duration = Duration::from_secs(1);

/// Opens the file, or makes it, and makes sure that it is whole.
pub(super) async fn open(path: &Path) -> Result<Database, StateFault> {
    let io = |doing| move |source| StateFault::Io { doing, path: path.to_owned(), source };
    make_private(path).map_err(io("make"))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // a commit that was acknowledged survives a power cut
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY);
    let database = database(options, path);
    check(&database).await?;
    Ok(database)
}

/// Opens the file for reading.
pub(super) fn read(path: &Path) -> Result<Database, StateFault> {
    if !path.is_file() {
        return Err(StateFault::Missing { path: path.to_owned() });
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    // Whoever has it open keeps a log of writes beside it. Without one the file is all there is, and it is read without
    // a lock: a copy that cannot be written is read too, and nothing is left beside evidence.
    let at_rest = !beside(path, "-wal").exists();
    Ok(database(options.immutable(at_rest), path))
}

fn database(options: SqliteConnectOptions, path: &Path) -> Database {
    Database::new(Engine::Sqlite(Connections::new(options)), &path.display().to_string())
}

/// What belongs to the file takes over its mode.
///
/// INVARIANT: a file that is there is never opened here. Closing it would end every lock that SQLite holds on it in
/// this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
fn make_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_dir(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
        Ok(_) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(PRIVATE))
        }
        Err(error) => Err(error),
    }
}

/// Reads every page: damage is found when a server starts, not when the page is needed. What is too large to be read
/// within the deadline is checked as it is used: pages by SQLite, documents by their own checksums.
async fn check(database: &Database) -> Result<(), StateFault> {
    let said = || async {
        let rows = database.rows("PRAGMA quick_check(1)", &[]).await?;
        rows.first().map(|row| row.text(0)).transpose()
    };
    match database.within(said).await {
        Ok(said) if said.as_deref() == Some("ok") => Ok(()),
        Ok(said) => Err(StateFault::damaged(database.place(), said.unwrap_or_default())),
        Err(StateFault::Late { .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
