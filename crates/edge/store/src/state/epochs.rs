//! Epochs: which estates were in force, in the order of (generation, epoch). One is added only behind the one that its
//! author saw last.

use std::fmt;
use std::str::FromStr;

use model::{Digest, Epoch, Generation};
use sqlx::Error;

use super::changes::{self, Change, Changed};
use super::database::{Row, Value};
use super::{RevocationAct, State, StateFault, estates, revocations};

/// Place of an epoch in the order of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub generation: Generation,
    pub epoch: Epoch,
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a generation and an epoch, such as `1.7`")]
pub struct BadPosition;

/// An epoch as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEpoch {
    pub position: Position,
    /// Names the estate that came into force.
    pub estate: Digest,
    /// What was applied and by whom, as its author wrote it.
    pub applied: String,
}

/// What became of an epoch that was to be the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// It is the last one now; its change has this number.
    Kept { seq: u64 },
    /// Nothing was kept: the last one is not the one that was seen.
    Moved { current: Option<Position> },
}

const INSERT: &str = "INSERT INTO epochs (generation, epoch, estate, applied) VALUES ($1, $2, $3, $4)";
const LAST: &str = "SELECT generation, epoch, estate, applied FROM epochs ORDER BY generation DESC, epoch DESC LIMIT 1";
const THROUGH: &str = "SELECT generation, epoch, estate, applied FROM epochs \
    WHERE generation < $1 OR (generation = $1 AND epoch <= $2) ORDER BY generation, epoch";

impl State {
    /// Keeps `epoch` and its estate behind `last`, the one that its author saw last; all of it or nothing. Of several
    /// authors who saw the same, exactly one succeeds.
    ///
    /// A fault leaves open whether it was kept: ask for the last epoch before another try.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn append_epoch(
        &self,
        last: Option<Position>,
        epoch: &KeptEpoch,
        estate: &[u8],
    ) -> Result<Append, StateFault> {
        let estate = estates::compress(estate).map_err(|error| self.database.fault(&error))?;
        self.database.within(|| self.try_append(last, epoch, &estate, &[])).await
    }

    /// Keeps the first epoch of a new generation behind `last`, and `standing` revocations anew with numbers of that
    /// generation: all of it or nothing. For an operator who brought a backup back: planes may have seen what it does not
    /// know.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn begin_generation(
        &self,
        last: Option<Position>,
        epoch: &KeptEpoch,
        estate: &[u8],
        standing: &[RevocationAct],
    ) -> Result<Append, StateFault> {
        let estate = estates::compress(estate).map_err(|error| self.database.fault(&error))?;
        self.database.within(|| self.try_append(last, epoch, &estate, standing)).await
    }

    /// The epoch in force.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn last_epoch(&self) -> Result<Option<KeptEpoch>, StateFault> {
        let last = || async { self.database.rows(LAST, &[]).await?.first().map(kept).transpose() };
        self.database.within(last).await
    }

    /// Every epoch up to `position`, oldest first.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn epochs_through(&self, position: Position) -> Result<Vec<KeptEpoch>, StateFault> {
        let through = || async {
            let rows = self.database.rows(THROUGH, &numbers(position)?).await?;
            rows.iter().map(kept).collect()
        };
        self.database.within(through).await
    }

    async fn try_append(
        &self,
        last: Option<Position>,
        epoch: &KeptEpoch,
        estate: &[u8],
        standing: &[RevocationAct],
    ) -> Result<Append, Error> {
        let mut tx = self.database.begin().await?;
        let begins = last.is_some_and(|last| last.generation < epoch.position.generation);
        if begins {
            changes::begin_generation(&mut tx, epoch.position.generation).await?;
        }
        // first, so that nobody else is between the look and the insertion
        let seq = changes::next_seq(&mut tx).await?;
        let current = tx.rows(LAST, &[]).await?.first().map(position).transpose()?;
        if current != last || current >= Some(epoch.position) {
            tx.roll_back().await?;
            return Ok(Append::Moved { current });
        }
        estates::insert(&mut tx, epoch.estate, estate).await?;
        for act in standing {
            revocations::append(&mut tx, act).await?;
        }
        let [generation, number] = numbers(epoch.position)?;
        let values = [generation, number, Value::Text(&epoch.estate.to_string()), Value::Text(&epoch.applied)];
        tx.execute(INSERT, &values).await?;
        changes::insert(&mut tx, &Change { seq, what: Changed::Epoch(epoch.position) }).await?;
        tx.commit().await?;
        Ok(Append::Kept { seq })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.epoch)
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let (generation, epoch) = text.split_once('.').ok_or(BadPosition)?;
        let number = |text: &str| text.parse().or(Err(BadPosition));
        Ok(Self { generation: Generation(number(generation)?), epoch: Epoch(number(epoch)?) })
    }
}

fn numbers(position: Position) -> Result<[Value<'static>; 2], Error> {
    Ok([Value::number(position.generation.0)?, Value::number(position.epoch.0)?])
}

fn position(row: &Row) -> Result<Position, Error> {
    Ok(Position { generation: Generation(row.number(0)?), epoch: Epoch(row.number(1)?) })
}

fn kept(row: &Row) -> Result<KeptEpoch, Error> {
    let estate = row.text(2)?.parse().map_err(|error: model::BadHex| Error::Decode(error.into()))?;
    Ok(KeptEpoch { position: position(row)?, estate, applied: row.text(3)? })
}
