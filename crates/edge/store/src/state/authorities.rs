//! Authorities: the keys that sign SVIDs of a trust domain, how far each is, and what was done with them. Of several nodes that
//! saw the same and would change it, exactly one does. What a step means, and what the sealed bytes hold, is for those who
//! keep them.

use sqlx::Error;

use super::changes::{self, Change, Changed};
use super::database::{Row, Value};
use super::{State, StateFault};

/// An authority as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAuthority {
    pub id: String,
    /// `x509` or `jwt`; or `outer`, of what an outer control plane says.
    pub kind: String,
    /// `prepared`, `active`, `retired`, `tainted`, `nested`; or [`GONE`], and then it is read no more.
    pub standing: String,
    /// An uncompressed point; empty of what is no key.
    pub public_key: Vec<u8>,
    /// In DER; empty where it has none. The document of what an outer control plane says.
    pub certificate: Vec<u8>,
    /// Where an outer authority signed that: it.
    pub upstream: Option<KeptUpstream>,
    /// When it was made, when its standing began, when it ends: RFC 3339.
    pub made: String,
    pub since: String,
    pub ends: String,
    /// The private key, sealed; or nothing, sealed, where it is needed no more.
    pub sealed: Vec<u8>,
}

/// Certificates in PEM: from an authority to the roots of the outer one that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptUpstream {
    /// What stands below the roots, the authority's own first.
    pub above: String,
    pub roots: String,
}

/// The standing of one that is published no more.
pub const GONE: &str = "gone";

/// One thing that was done, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityAct {
    pub authority: String,
    pub act: String,
    /// When, RFC 3339.
    pub time: String,
    pub actor: String,
    /// The record of it; empty where a node founds what it cannot begin without.
    pub record: String,
}

/// The authorities of a trust domain that are not gone, and the number of the last act: 0 before the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptAuthorities {
    pub seq: u64,
    pub authorities: Vec<KeptAuthority>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was kept under this number.
    Kept { seq: u64 },
    /// Somebody else was first; nothing was kept.
    Moved,
}

const ALL: &str = "SELECT a.id, kind, standing, public_key, certificate, made, since, ends, sealed, \
    (SELECT MAX(seq) FROM authority_acts WHERE domain = $1), COALESCE(above, ''), COALESCE(roots, '') FROM authorities a \
    LEFT JOIN authority_upstreams u ON u.domain = a.domain AND u.id = a.id \
    WHERE a.domain = $1 AND standing <> 'gone' ORDER BY made, a.id";
const LAST: &str = "SELECT seq FROM authority_acts WHERE domain = $1 ORDER BY seq DESC LIMIT 1";
const INSERT: &str = "INSERT INTO authorities \
    (domain, id, kind, standing, public_key, certificate, made, since, ends, sealed) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
    ON CONFLICT (domain, id) DO UPDATE SET standing = $4, since = $8, sealed = $10";
/// What is gone says nothing of another that has its id, nor what was said before of what is said now.
const MAKE_WAY: &str =
    "DELETE FROM authorities WHERE domain = $1 AND id = $2 AND (standing = 'gone' OR kind = 'outer')";
const UPSTREAM: &str =
    "INSERT INTO authority_upstreams (domain, id, above, roots) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const NO_UPSTREAM: &str = "DELETE FROM authority_upstreams WHERE domain = $1 AND id = $2 \
    AND NOT EXISTS (SELECT 1 FROM authorities WHERE domain = $1 AND id = $2)";
const ACT: &str = "INSERT INTO authority_acts (seq, domain, authority, act, time, actor, record) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
/// Those that are published were all done something with lately.
const ACTS: &str =
    "SELECT authority, act, time, actor, record FROM authority_acts WHERE domain = $1 ORDER BY seq DESC LIMIT 1000";

impl State {
    /// The authorities of `domain` that are not gone, oldest first.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn authorities(&self, domain: &str) -> Result<KeptAuthorities, StateFault> {
        // one statement: what is read is of one moment
        let all = || async {
            let rows = self.database.rows(ALL, &[Value::Text(domain)]).await?;
            let seq = rows.first().map(|row| row.number(9)).transpose()?.unwrap_or(0);
            let authorities = rows.iter().map(authority).collect::<Result<_, Error>>()?;
            Ok(KeptAuthorities { seq, authorities })
        };
        self.database.within(all).await
    }

    /// What was done with authorities of `domain`, the last first: the last thousand.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn authority_acts(&self, domain: &str) -> Result<Vec<AuthorityAct>, StateFault> {
        let acts = || async { self.database.rows(ACTS, &[Value::Text(domain)]).await?.iter().map(act).collect() };
        self.database.within(acts).await
    }

    /// Keeps what `act` makes of authorities, new ones or those that are kept, if `seen` is still the last act: all of it or
    /// nothing. Of those that are kept, only standing, time of it and sealed key change; what an outer control plane says replaces
    /// what it said.
    ///
    /// # Errors
    /// [`StateFault`]; it leaves open whether it was kept.
    pub async fn step_authorities(
        &self,
        domain: &str,
        seen: u64,
        act: &AuthorityAct,
        becomes: &[KeptAuthority],
    ) -> Result<Step, StateFault> {
        self.database.within(|| self.try_step(domain, seen, act, becomes)).await
    }

    async fn try_step(
        &self,
        domain: &str,
        seen: u64,
        act: &AuthorityAct,
        becomes: &[KeptAuthority],
    ) -> Result<Step, Error> {
        let mut tx = self.database.begin().await?;
        // first, so that nobody else is between the look and the insertion
        let seq = changes::next_seq(&mut tx).await?;
        let last = tx.rows(LAST, &[Value::Text(domain)]).await?.first().map(|row| row.number(0)).transpose()?;
        if last.unwrap_or(0) != seen {
            tx.roll_back().await?;
            return Ok(Step::Moved);
        }
        for one in becomes {
            for make_way in [MAKE_WAY, NO_UPSTREAM] {
                tx.execute(make_way, &[domain, &one.id].map(Value::Text)).await?;
            }
            let texts = [domain, &one.id, &one.kind, &one.standing].map(Value::Text);
            let (bytes, times) = ([&one.public_key, &one.certificate], [&one.made, &one.since, &one.ends]);
            let bytes = bytes.map(|bytes| Value::Bytes(bytes));
            let times = times.map(|time| Value::Text(time));
            let values = [&texts[..], &bytes, &times, &[Value::Bytes(&one.sealed)]].concat();
            tx.execute(INSERT, &values).await?;
            if let Some(KeptUpstream { above, roots }) = &one.upstream {
                tx.execute(UPSTREAM, &[domain, &one.id, above, roots].map(Value::Text)).await?;
            }
        }
        let texts = [domain, &act.authority, &act.act, &act.time, &act.actor, &act.record].map(Value::Text);
        tx.execute(ACT, &[&[Value::number(seq)?][..], &texts].concat()).await?;
        changes::insert(&mut tx, &Change { seq, what: Changed::Authorities(domain.to_owned()) }).await?;
        tx.commit().await?;
        Ok(Step::Kept { seq })
    }
}

fn authority(row: &Row) -> Result<KeptAuthority, Error> {
    let (above, roots) = (row.text(10)?, row.text(11)?);
    Ok(KeptAuthority {
        id: row.text(0)?,
        kind: row.text(1)?,
        standing: row.text(2)?,
        public_key: row.bytes(3)?,
        certificate: row.bytes(4)?,
        upstream: (!above.is_empty()).then_some(KeptUpstream { above, roots }),
        made: row.text(5)?,
        since: row.text(6)?,
        ends: row.text(7)?,
        sealed: row.bytes(8)?,
    })
}

fn act(row: &Row) -> Result<AuthorityAct, Error> {
    Ok(AuthorityAct {
        authority: row.text(0)?,
        act: row.text(1)?,
        time: row.text(2)?,
        actor: row.text(3)?,
        record: row.text(4)?,
    })
}
