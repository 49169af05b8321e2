//! Bundles of other trust domains, as they were last had: one of each. Which of two is newer is for those who read them.

use sqlx::Error;

use super::authorities::Step;
use super::changes::{self, Change, Changed};
use super::database::{Row, Value};
use super::{State, StateFault};

/// The bundle of a trust domain, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBundle {
    pub domain: String,
    /// The change that it was kept by.
    pub seq: u64,
    /// Digest of what an estate said of how it is had.
    pub terms: String,
    /// When it was had, RFC 3339.
    pub fetched: String,
    pub document: Vec<u8>,
}

const ALL: &str = "SELECT domain, seq, terms, fetched, document FROM federated ORDER BY domain";
const SEQ: &str = "SELECT seq FROM federated WHERE domain = $1";
const PUT: &str = "INSERT INTO federated (domain, seq, terms, fetched, document) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (domain) DO UPDATE SET seq = $2, terms = $3, fetched = $4, document = $5";
const FORGET: &str = "DELETE FROM federated WHERE domain = $1";

impl State {
    /// Every bundle of another trust domain.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn federated(&self) -> Result<Vec<KeptBundle>, StateFault> {
        let all = || async { self.database.rows(ALL, &[]).await?.iter().map(kept).collect() };
        self.database.within(all).await
    }

    /// Keeps a bundle instead of the one whose `seq` it names, 0 where there was none; unless another was kept meanwhile.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn keep_federated(&self, bundle: &KeptBundle) -> Result<Step, StateFault> {
        self.database.within(|| self.exchange(&bundle.domain, bundle.seq, Some(bundle))).await
    }

    /// Forgets the bundle of a trust domain, if it is still the one of `seq`.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn forget_federated(&self, domain: &str, seq: u64) -> Result<Step, StateFault> {
        self.database.within(|| self.exchange(domain, seq, None)).await
    }

    async fn exchange(&self, domain: &str, seen: u64, becomes: Option<&KeptBundle>) -> Result<Step, Error> {
        let mut tx = self.database.begin().await?;
        // first, so that nobody else is between the look and the exchange
        let seq = changes::next_seq(&mut tx).await?;
        let last = tx.rows(SEQ, &[Value::Text(domain)]).await?.first().map(|row| row.number(0)).transpose()?;
        if last.unwrap_or(0) != seen {
            tx.roll_back().await?;
            return Ok(Step::Moved);
        }
        match becomes {
            Some(KeptBundle { terms, fetched, document, .. }) => {
                let texts = [Value::Text(terms), Value::Text(fetched)];
                let key = [Value::Text(domain), Value::number(seq)?];
                tx.execute(PUT, &[&key[..], &texts, &[Value::Bytes(document)]].concat()).await?;
            }
            None => tx.execute(FORGET, &[Value::Text(domain)]).await?,
        }
        changes::insert(&mut tx, &Change { seq, what: Changed::Federated(domain.to_owned()) }).await?;
        tx.commit().await?;
        Ok(Step::Kept { seq })
    }
}

fn kept(row: &Row) -> Result<KeptBundle, Error> {
    Ok(KeptBundle {
        domain: row.text(0)?,
        seq: row.number(1)?,
        terms: row.text(2)?,
        fetched: row.text(3)?,
        document: row.bytes(4)?,
    })
}
