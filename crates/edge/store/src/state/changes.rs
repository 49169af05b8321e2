//! The change log: what changed, numbered in the order of commits, so that whoever has read up to a number misses
//! nothing by asking for what came after it.

use model::Generation;
use sqlx::Error;

use super::database::{Row, Transaction, Value};
use super::{Position, State, StateFault};

/// One change. `seq` is 1 for the first, and has no gaps but where a generation begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub seq: u64,
    pub what: Changed,
}

/// What a change is about; its content is asked for by this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// An epoch came into force.
    Epoch(Position),
    /// Something was revoked or restored.
    Revocation,
    /// Registrations were put or deleted.
    Registrations,
    /// Something was done with the authorities of this trust domain.
    Authorities(String),
    /// The bundle of this trust domain, with which this one federates, is another, or forgotten.
    Federated(String),
}

/// INVARIANT: the counter's row is held until the transaction ends, so that a number is given only once every one below
/// it is committed. An automatic number would be given early and committed late, and a reader would pass it by.
const NEXT: &str = "UPDATE change_counter SET seq = seq + 1 WHERE id = 1 RETURNING seq";
/// A generation's numbers begin here: after a backup came back, none is given twice that planes may have seen.
const BEGIN: &str = "UPDATE change_counter SET seq = $1 WHERE id = 1 AND seq < $1";
const INSERT: &str = "INSERT INTO changes (seq, kind, subject) VALUES ($1, $2, $3)";
const SINCE: &str = "SELECT seq, kind, subject FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2";
const LAST: &str = "SELECT seq FROM change_counter WHERE id = 1";

const EPOCH: &str = "epoch";
const REVOCATION: &str = "revocation";
const REGISTRATIONS: &str = "registrations";
const AUTHORITIES: &str = "authorities";
const FEDERATED: &str = "federated";

impl State {
    /// What changed after change `seq`, at most `limit` changes.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn changes_since(&self, seq: u64, limit: u64) -> Result<Vec<Change>, StateFault> {
        let rows = || async { self.database.rows(SINCE, &[Value::number(seq)?, Value::number(limit)?]).await };
        let rows = self.database.within(rows).await?;
        rows.iter().map(|row| self.change(row)).collect()
    }

    /// Number of the last change; 0 before the first.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn last_change(&self) -> Result<u64, StateFault> {
        let last = || async { only(&self.database.rows(LAST, &[]).await?) };
        self.database.within(last).await
    }

    fn change(&self, row: &Row) -> Result<Change, StateFault> {
        let fault = |error: &Error| self.database.fault(error);
        let seq = row.number(0).map_err(|error| fault(&error))?;
        let kind = row.text(1).map_err(|error| fault(&error))?;
        let subject = row.text(2).map_err(|error| fault(&error))?;
        match kind.as_str() {
            EPOCH => {
                let position = subject.parse::<Position>().map_err(|error| fault(&Error::Decode(error.into())))?;
                Ok(Change { seq, what: Changed::Epoch(position) })
            }
            REVOCATION => Ok(Change { seq, what: Changed::Revocation }),
            REGISTRATIONS => Ok(Change { seq, what: Changed::Registrations }),
            AUTHORITIES => Ok(Change { seq, what: Changed::Authorities(subject) }),
            FEDERATED => Ok(Change { seq, what: Changed::Federated(subject) }),
            _ => Err(StateFault::UnknownChange { place: self.database.place().to_owned(), seq, kind }),
        }
    }
}

/// Takes the next number; whoever else writes a change waits for this transaction to end.
pub(super) async fn next_seq(tx: &mut Transaction) -> Result<u64, Error> {
    only(&tx.rows(NEXT, &[]).await?)
}

/// Below every number of a generation's changes, and above every one of those before it.
pub const fn first_change(generation: Generation) -> u64 {
    // the first generation's begin at 1; beyond 2^30 generations there are no numbers left
    if generation.0 <= 1 || generation.0 >= 1 << 30 { 0 } else { generation.0 << 32 }
}

/// Numbers of a generation that is not the first start where no other's can be.
pub(super) async fn begin_generation(tx: &mut Transaction, generation: Generation) -> Result<(), Error> {
    tx.execute(BEGIN, &[Value::number(first_change(generation))?]).await
}

pub(super) async fn insert(tx: &mut Transaction, change: &Change) -> Result<(), Error> {
    let (kind, subject) = match &change.what {
        Changed::Epoch(position) => (EPOCH, position.to_string()),
        Changed::Revocation => (REVOCATION, String::new()),
        Changed::Registrations => (REGISTRATIONS, String::new()),
        Changed::Authorities(domain) => (AUTHORITIES, domain.clone()),
        Changed::Federated(domain) => (FEDERATED, domain.clone()),
    };
    tx.execute(INSERT, &[Value::number(change.seq)?, Value::Text(kind), Value::Text(&subject)]).await
}

fn only(rows: &[Row]) -> Result<u64, Error> {
    rows.first().ok_or(Error::RowNotFound)?.number(0)
}
