//! Why state cannot be read or kept.

use std::io;
use std::path::PathBuf;

use sqlx::Error;
use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteError;

use super::database::DEADLINE;
use super::postgres::BadUrl;

/// Why state cannot be read or kept. `place` is a path, or a server and its database; never a password.
#[derive(Debug, thiserror::Error)]
pub enum StateFault {
    #[error("the state's URL cannot be used")]
    Url(#[from] BadUrl),
    #[error("there is no state in `{}`", .path.display())]
    Missing { path: PathBuf },
    #[error("cannot {doing} `{}`", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("the state in `{place}` cannot be reached")]
    Away { place: String, source: Said },
    #[error("the state in `{place}` did not answer within {} s", DEADLINE.as_secs())]
    Late { place: String },
    #[error("the state in `{place}` cannot be written; is its disk full?")]
    Unwritable { place: String, source: Said },
    #[error("the state in `{place}` is damaged; it is left as it is, put a backup in its place")]
    Damaged { place: String, source: Said },
    #[error("the state in `{place}` has format {found}, and this program knows {known}: use the newer program")]
    Newer { place: String, found: u64, known: u64 },
    #[error("the state in `{place}` has format {found}, and this program reads {known}: start a server on it once")]
    Older { place: String, found: u64, known: u64 },
    #[error("change {seq} in `{place}` is of kind `{kind}`, which this program does not know: use the newer program")]
    UnknownChange { place: String, seq: u64, kind: String },
    #[error("the state in `{place}` refuses")]
    Refused { place: String, source: Said },
}

/// What the database said, or the way to it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Said(String);

impl StateFault {
    pub(super) fn damaged(place: &str, said: String) -> Self {
        Self::Damaged { place: place.to_owned(), source: Said(said) }
    }

    /// What `error` means to those who asked `place`.
    pub(super) fn of(place: &str, error: &Error) -> Self {
        let (place, source) = (place.to_owned(), Said::by(error));
        match cause(error) {
            Cause::Away => Self::Away { place, source },
            Cause::Race | Cause::Late => Self::Late { place },
            Cause::Unwritable => Self::Unwritable { place, source },
            Cause::Damaged => Self::Damaged { place, source },
            Cause::Refused => Self::Refused { place, source },
        }
    }
}

impl Said {
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors, and more may come: each has words")]
    pub(super) fn by(error: &Error) -> Self {
        match error {
            Error::Database(error) => Self(error.message().to_owned()),
            Error::Io(error) => Self(error.to_string()),
            Error::Tls(error) | Error::Configuration(error) => Self(error.to_string()),
            Error::Decode(error) | Error::Encode(error) => Self(error.to_string()),
            error => Self(error.to_string()),
        }
    }
}

/// Whether somebody else was first, and the same may succeed when it is tried again.
pub(super) fn lost_race(error: &Error) -> bool {
    cause(error) == Cause::Race
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Away,
    Late,
    Race,
    Unwritable,
    Damaged,
    Refused,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "another crate's errors, and more may come: what is not known refuses"
)]
fn cause(error: &Error) -> Cause {
    match error {
        Error::Database(error) => database_cause(error.as_ref()),
        Error::PoolTimedOut => Cause::Late,
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolClosed | Error::WorkerCrashed => Cause::Away,
        Error::Decode(_) | Error::ColumnDecode { .. } => Cause::Damaged,
        _ => Cause::Refused,
    }
}

fn database_cause(error: &dyn DatabaseError) -> Cause {
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<SqliteError>().is_some() {
        // the low byte is the primary code: https://www.sqlite.org/rescode.html
        return code.parse::<i32>().map_or(Cause::Refused, |code| sqlite_cause(code & 0xff));
    }
    postgres_cause(&code)
}

const fn sqlite_cause(primary: i32) -> Cause {
    match primary {
        // BUSY, LOCKED
        5 | 6 => Cause::Race,
        // IOERR, FULL
        10 | 13 => Cause::Unwritable,
        // CORRUPT, NOTADB
        11 | 26 => Cause::Damaged,
        // CANTOPEN
        14 => Cause::Away,
        _ => Cause::Refused,
    }
}

/// SQLSTATE, Appendix A of PostgreSQL's manual.
fn postgres_cause(state: &str) -> Cause {
    match state {
        // serialization_failure and deadlock_detected; the others when two nodes make the first table at once
        "40001" | "40P01" | "23505" | "42P07" | "42710" => Cause::Race,
        // query_canceled, lock_not_available, idle_in_transaction_session_timeout
        "57014" | "55P03" | "25P03" => Cause::Late,
        // disk_full, read_only_sql_transaction
        "53100" | "25006" => Cause::Unwritable,
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => Cause::Damaged,
        // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now
        "53300" | "57P01" | "57P02" | "57P03" => Cause::Away,
        // connection_exception
        state if state.starts_with("08") => Cause::Away,
        _ => Cause::Refused,
    }
}
