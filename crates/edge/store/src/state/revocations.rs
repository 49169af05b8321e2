//! Revocations: what was revoked or restored, by whom, in the order of commits. Nothing is ever taken out.

use serde::{Deserialize, Serialize};
use sqlx::Error;

use super::changes::{self, Change, Changed};
use super::database::{Row, Transaction, Value};
use super::{State, StateFault};

/// One revocation or restoration. What its words mean is for those who keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationAct {
    /// `principal`, `credential`, `key`, `source`.
    pub kind: String,
    pub subject: String,
    /// `revoke` or `restore`.
    pub act: String,
    /// When, RFC 3339.
    pub time: String,
    /// Who did it.
    pub actor: String,
    /// The record of it.
    pub record: String,
}

const INSERT: &str =
    "INSERT INTO revocations (seq, kind, subject, act, time, actor, record) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const MIRROR: &str = "INSERT INTO revocations (seq, kind, subject, act, time, actor, record) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
const ALL: &str = "SELECT seq, kind, subject, act, time, actor, record FROM revocations ORDER BY seq";

impl State {
    /// Keeps one more, and gives the number of its change.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn append_revocation(&self, act: &RevocationAct) -> Result<u64, StateFault> {
        self.database.within(|| self.try_append_revocation(act)).await
    }

    /// Keeps acts of the control plane that this state follows, by the numbers that they have there. Those that are there
    /// already stay as they are.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn mirror_revocations(&self, acts: &[(u64, RevocationAct)]) -> Result<(), StateFault> {
        let mirror = || async {
            let mut tx = self.database.begin().await?;
            for (seq, act) in acts {
                tx.execute(MIRROR, &values(*seq, act)?).await?;
            }
            tx.commit().await
        };
        self.database.within(mirror).await
    }

    /// Every one, oldest first, each with the number of its change.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn revocations(&self) -> Result<Vec<(u64, RevocationAct)>, StateFault> {
        let all = || async { self.database.rows(ALL, &[]).await?.iter().map(act).collect() };
        self.database.within(all).await
    }

    async fn try_append_revocation(&self, act: &RevocationAct) -> Result<u64, Error> {
        let mut tx = self.database.begin().await?;
        let seq = append(&mut tx, act).await?;
        tx.commit().await?;
        Ok(seq)
    }
}

/// Keeps one more in a transaction that is open.
pub(super) async fn append(tx: &mut Transaction, act: &RevocationAct) -> Result<u64, Error> {
    let seq = changes::next_seq(tx).await?;
    tx.execute(INSERT, &values(seq, act)?).await?;
    changes::insert(tx, &Change { seq, what: Changed::Revocation }).await?;
    Ok(seq)
}

fn values(seq: u64, act: &RevocationAct) -> Result<Vec<Value<'_>>, Error> {
    let texts = [&act.kind, &act.subject, &act.act, &act.time, &act.actor, &act.record];
    std::iter::once(Value::number(seq)).chain(texts.map(|text| Ok(Value::Text(text)))).collect()
}

fn act(row: &Row) -> Result<(u64, RevocationAct), Error> {
    let act = RevocationAct {
        kind: row.text(1)?,
        subject: row.text(2)?,
        act: row.text(3)?,
        time: row.text(4)?,
        actor: row.text(5)?,
        record: row.text(6)?,
    };
    Ok((row.number(0)?, act))
}
