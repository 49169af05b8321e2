//! Registrations that were put one by one: the last document of each name. Nothing is ever taken out; what was deleted has an
//! empty document.

use sqlx::Error;

use super::changes::{self, Change, Changed};
use super::database::{Row, Value};
use super::{State, StateFault};

/// A registration as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRegistration {
    pub name: String,
    /// The change that it was last put or deleted by.
    pub seq: u64,
    /// None once it was deleted.
    pub document: Option<String>,
}

const PUT: &str = "INSERT INTO registrations (name, seq, document, record) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (name) DO UPDATE SET seq = $2, document = $3, record = $4";
const SINCE: &str = "SELECT name, seq, document FROM registrations \
    WHERE seq > $1 OR (seq = $1 AND name > $2) ORDER BY seq, name LIMIT $3";

impl State {
    /// Keeps these documents under their names, or that there is none any more, all in one change; gives its number.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn put_registrations(&self, put: &[(String, Option<String>)], record: &str) -> Result<u64, StateFault> {
        let keep = || async {
            let mut tx = self.database.begin().await?;
            let seq = changes::next_seq(&mut tx).await?;
            for (name, document) in put {
                let document = document.as_deref().unwrap_or_default();
                let values = [Value::Text(name), Value::number(seq)?, Value::Text(document), Value::Text(record)];
                tx.execute(PUT, &values).await?;
            }
            changes::insert(&mut tx, &Change { seq, what: Changed::Registrations }).await?;
            tx.commit().await?;
            Ok(seq)
        };
        self.database.within(keep).await
    }

    /// What was put or deleted after change `seq`, or in it and behind `name`, in their order; at most `limit`.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn registrations_since(
        &self,
        (seq, name): (u64, &str),
        limit: u64,
    ) -> Result<Vec<KeptRegistration>, StateFault> {
        let since = || async {
            let values = [Value::number(seq)?, Value::Text(name), Value::number(limit)?];
            self.database.rows(SINCE, &values).await?.iter().map(kept).collect()
        };
        self.database.within(since).await
    }
}

fn kept(row: &Row) -> Result<KeptRegistration, Error> {
    let document = Some(row.text(2)?).filter(|document| !document.is_empty());
    Ok(KeptRegistration { name: row.text(0)?, seq: row.number(1)?, document })
}
