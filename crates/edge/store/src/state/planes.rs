//! Planes: who was enrolled, by a token of one use, and how far each says that it is.

use model::{Epoch, Generation};
use sqlx::Error;

use super::database::{Row, Value};
use super::{Position, State, StateFault};

/// A plane as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPlane {
    /// Its SPIFFE ID.
    pub id: String,
    /// When it was last enrolled, RFC 3339.
    pub enrolled: String,
    /// The record of its enrolment.
    pub record: String,
    /// The public key that signs what it tells services, as its owner writes it.
    pub assertion_key: String,
    /// When it last said how far it is, RFC 3339; empty before it did.
    pub heard: String,
    /// What it decides by.
    pub position: Position,
    pub revocation_seq: u64,
}

/// A plane that is enrolled: what of [`KeptPlane`] is known then.
#[derive(Debug, Clone, Copy)]
pub struct NewPlane<'a> {
    pub id: &'a str,
    pub time: &'a str,
    pub record: &'a str,
    pub assertion_key: &'a str,
}

/// What became of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrol {
    Enrolled,
    /// The token was used before; nothing was kept.
    Spent,
}

pub(super) const SPEND: &str =
    "INSERT INTO enrolments (credential, plane) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING credential";
const ENROL: &str = "INSERT INTO planes \
    (id, enrolled, record, assertion_key, heard, generation, epoch, revocation_seq) VALUES ($1, $2, $3, $4, '', 0, 0, 0) \
    ON CONFLICT (id) DO UPDATE SET enrolled = $2, record = $3, assertion_key = $4, heard = '', generation = 0, epoch = 0, \
    revocation_seq = 0";
const REKEY: &str = "UPDATE planes SET assertion_key = $2 WHERE id = $1";
const REPORT: &str = "UPDATE planes SET heard = $2, generation = $3, epoch = $4, revocation_seq = $5 WHERE id = $1";
const ALL: &str =
    "SELECT id, enrolled, record, assertion_key, heard, generation, epoch, revocation_seq FROM planes ORDER BY id";

impl State {
    /// Keeps that `plane` was enrolled, and that `credential` is spent; both or neither. Of several that use one token at once, exactly one succeeds.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn enrol(&self, credential: &str, plane: &NewPlane<'_>) -> Result<Enrol, StateFault> {
        let enrol = || async {
            let mut tx = self.database.begin().await?;
            if tx.rows(SPEND, &[Value::Text(credential), Value::Text(plane.id)]).await?.is_empty() {
                tx.roll_back().await?;
                return Ok(Enrol::Spent);
            }
            tx.execute(ENROL, &[plane.id, plane.time, plane.record, plane.assertion_key].map(Value::Text)).await?;
            tx.commit().await?;
            Ok(Enrol::Enrolled)
        };
        self.database.within(enrol).await
    }

    /// Keeps another key of a plane, one that was enrolled.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn rekey(&self, plane: &str, assertion_key: &str) -> Result<(), StateFault> {
        let rekey = || async {
            let mut tx = self.database.begin().await?;
            tx.execute(REKEY, &[Value::Text(plane), Value::Text(assertion_key)]).await?;
            tx.commit().await
        };
        self.database.within(rekey).await
    }

    /// Keeps what a plane says of itself. One that was never enrolled is not kept.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn report(
        &self,
        plane: &str,
        position: Position,
        revocation_seq: u64,
        time: &str,
    ) -> Result<(), StateFault> {
        let report = || async {
            let mut tx = self.database.begin().await?;
            let [generation, epoch] = [Value::number(position.generation.0)?, Value::number(position.epoch.0)?];
            let values = [Value::Text(plane), Value::Text(time), generation, epoch, Value::number(revocation_seq)?];
            tx.execute(REPORT, &values).await?;
            tx.commit().await
        };
        self.database.within(report).await
    }

    /// Every plane, in the order of their ids.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn planes(&self) -> Result<Vec<KeptPlane>, StateFault> {
        let all = || async { self.database.rows(ALL, &[]).await?.iter().map(plane).collect() };
        self.database.within(all).await
    }
}

fn plane(row: &Row) -> Result<KeptPlane, Error> {
    let position = Position { generation: Generation(row.number(5)?), epoch: Epoch(row.number(6)?) };
    Ok(KeptPlane {
        id: row.text(0)?,
        enrolled: row.text(1)?,
        record: row.text(2)?,
        assertion_key: row.text(3)?,
        heard: row.text(4)?,
        position,
        revocation_seq: row.number(7)?,
    })
}
