//! Node agents: who was attested, how, and what was attested of its node.

use model::Selectors;
use sqlx::Error;

use super::database::{Row, Transaction, Value};
use super::planes::SPEND;
use super::{State, StateFault};

/// A node agent as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAgent {
    /// Its SPIFFE ID.
    pub id: String,
    /// When its node was last attested, RFC 3339.
    pub attested: String,
    /// The record of that.
    pub record: String,
    /// How the node proved itself.
    pub method: String,
    /// What was attested of it.
    pub selectors: Selectors,
}

/// What became of an attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attest {
    Attested,
    /// The token was used before, by another key; nothing was kept.
    Spent,
    /// The agent was attested before, by another key, and may not be by this one; nothing was kept.
    Taken,
}

/// Whose attestation may replace an agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Whoever has proved to be on the node.
    Anyone,
    /// Whoever has the key that was attested first: anybody on the node could prove it.
    SameKey,
}

const WAS_BY_KEY: &str = "SELECT k.id FROM enrolments e JOIN agent_keys k ON k.id = e.plane \
    WHERE e.credential = $1 AND e.plane = $2 AND k.key = $3";
const KEY: &str =
    "INSERT INTO agent_keys (id, key) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET key = $2 RETURNING id";
const SAME_KEY: &str = "INSERT INTO agent_keys (id, key) VALUES ($1, $2) \
    ON CONFLICT (id) DO UPDATE SET key = $2 WHERE agent_keys.key = $2 RETURNING id";
const FORGET_KEY: &str = "DELETE FROM agent_keys WHERE id = $1";
const ATTEST: &str = "INSERT INTO agents (id, attested, record, method, selectors) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (id) DO UPDATE SET attested = $2, record = $3, method = $4, selectors = $5";
const ONE: &str = "SELECT id, attested, record, method, selectors FROM agents WHERE id = $1";
const EVICT: &str = "DELETE FROM agents WHERE id = $1 RETURNING id";
const ALL: &str = "SELECT id, attested, record, method, selectors FROM agents ORDER BY id";

impl State {
    /// Keeps that a node was attested, and that `credential` is spent, if it was by one of one use; both or neither. Of several
    /// that use one at once, exactly one succeeds; that one may again, by the same key: its answer may have been lost.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn attest(
        &self,
        credential: Option<&str>,
        agent: &KeptAgent,
        key: &str,
        again: Again,
    ) -> Result<Attest, StateFault> {
        let attest = || async {
            let mut tx = self.database.begin().await?;
            if !spend(&mut tx, credential, &agent.id, key).await? {
                tx.roll_back().await?;
                return Ok(Attest::Spent);
            }
            let keep = match again {
                Again::Anyone => KEY,
                Again::SameKey => SAME_KEY,
            };
            if tx.rows(keep, &[Value::Text(&agent.id), Value::Text(key)]).await?.is_empty() {
                tx.roll_back().await?;
                return Ok(Attest::Taken);
            }
            let selectors = lines(&agent.selectors);
            let values = [&agent.id, &agent.attested, &agent.record, &agent.method, &selectors];
            tx.execute(ATTEST, &values.map(|text| Value::Text(text))).await?;
            tx.commit().await?;
            Ok(Attest::Attested)
        };
        self.database.within(attest).await
    }

    /// The agent of this SPIFFE ID; none that was never attested.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn agent(&self, id: &str) -> Result<Option<KeptAgent>, StateFault> {
        let one = || async { self.database.rows(ONE, &[Value::Text(id)]).await?.first().map(agent).transpose() };
        self.database.within(one).await
    }

    /// Forgets an agent; gives whether it was known.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn evict(&self, id: &str) -> Result<bool, StateFault> {
        let evict = || async {
            let mut tx = self.database.begin().await?;
            let known = !tx.rows(EVICT, &[Value::Text(id)]).await?.is_empty();
            tx.execute(FORGET_KEY, &[Value::Text(id)]).await?;
            tx.commit().await?;
            Ok(known)
        };
        self.database.within(evict).await
    }

    /// Every agent, in the order of their ids.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn agents(&self) -> Result<Vec<KeptAgent>, StateFault> {
        let all = || async { self.database.rows(ALL, &[]).await?.iter().map(agent).collect() };
        self.database.within(all).await
    }
}

/// Whether a credential of one use was there to be spent, or was spent by this agent and key.
async fn spend(tx: &mut Transaction, credential: Option<&str>, by: &str, key: &str) -> Result<bool, Error> {
    let Some(credential) = credential else { return Ok(true) };
    let (credential, by) = (Value::Text(credential), Value::Text(by));
    Ok(!tx.rows(SPEND, &[credential, by]).await?.is_empty()
        || !tx.rows(WAS_BY_KEY, &[credential, by, Value::Text(key)]).await?.is_empty())
}

/// A selector has no line feed of its own.
fn lines(selectors: &Selectors) -> String {
    selectors.iter().map(|selector| format!("{selector}\n")).collect()
}

fn agent(row: &Row) -> Result<KeptAgent, Error> {
    Ok(KeptAgent {
        id: row.text(0)?,
        attested: row.text(1)?,
        record: row.text(2)?,
        method: row.text(3)?,
        // one that cannot be read holds of nobody
        selectors: row.text(4)?.lines().filter_map(|line| line.parse().ok()).collect(),
    })
}
