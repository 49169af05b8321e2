//! The issuers of every trust domain that was ever in force here: from what the nodes of a control plane share, and from keys
//! of this node's own. A step in the life of an authority is kept by exactly one node; what nobody could begin without, the
//! first authority or one in place of one that has ended, is made where it is missed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use issuer::lifecycle::{KeyKind, KeyLife, KeyStep, NotTaken, Standing, check, due};
use issuer::{Assertions, Authority, Enrolments, Signer, Term, key_id};
use model::{Time, TrustDomain};
use net::serial;
use store::{AuthorityAct, KeptAuthorities, KeptAuthority, SealingKey, State, Step};
use tokio::sync::Mutex;

use super::custody::Custody;
use super::kept::{self, Fresh, OUTER, Opened};
use super::laid::{Laid, own_key, private_folder};
use super::outer::{Outer, OuterWord};
use super::upstream::{Certified, Upstream};
use super::{Issuer, IssuingFailed, Lives, Own, own_part};
use crate::estate::ENROLMENT_ISSUER;

/// The actor of what a node does because it could not begin without.
const FOUNDER: &str = "countersign";
/// Most steps that are taken, or lost to other nodes, before what is there is used.
const ROUNDS: usize = 32;
/// Most keys of JWT-SVIDs that one control plane below has published here, and that all of them have.
const MOST_SHARED: usize = 16;
const MOST_NESTED: usize = 64;
/// Longest that such a key is published after it was last heard of, if it is not withdrawn.
const LONGEST_SHARED: Duration = Duration::from_secs(366 * 24 * 3600);

/// The issuers of trust domains.
pub struct Issuers {
    /// Where keys of this node lie.
    directory: PathBuf,
    state: State,
    lives: Lives,
    custody: Custody,
    /// Who signs its X.509 authorities; none where they sign themselves.
    upstream: Option<Upstream>,
    seal: OnceLock<SealingKey>,
    open: Mutex<HashMap<TrustDomain, Arc<Issuer>>>,
}

/// Who takes a step, when, and under which record.
#[derive(Debug, Clone)]
pub struct By {
    pub actor: String,
    pub record: String,
    pub at: Time,
}

/// Why a step in the life of an authority was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotStepped {
    #[error("no {kind}-SVIDs are signed here: `incubating: [{kind}]` in the server's settings has them signed", kind = .kind.as_str())]
    NoneOfKind { kind: KeyKind },
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error("the authorities cannot be used")]
    Issuing(#[from] IssuingFailed),
}

/// Why keys of a control plane below are not published.
#[derive(Debug, thiserror::Error)]
pub enum NotShared {
    #[error(
        "a control plane below has at most {MOST_SHARED} keys of JWT-SVIDs published here, and all have at most {MOST_NESTED}"
    )]
    TooMany,
    #[error("`{id}` is the key of somebody else")]
    Others { id: String },
    #[error("the authorities cannot be used")]
    Issuing(#[from] IssuingFailed),
}

impl Issuers {
    /// Issuers with keys under `directory`, and what nodes share in `state`.
    pub fn new(
        directory: PathBuf,
        state: State,
        lives: Lives,
        (custody, upstream): (Custody, Option<Upstream>),
    ) -> Self {
        Self { directory, state, lives, custody, upstream, seal: OnceLock::new(), open: Mutex::default() }
    }

    /// The issuer of `domain` as it is kept now. What it lacks to sign is made.
    ///
    /// # Errors
    /// [`IssuingFailed`].
    pub async fn of(&self, domain: &TrustDomain, at: Time) -> Result<Arc<Issuer>, IssuingFailed> {
        let mut open = self.open.lock().await;
        let known = open.get(domain);
        for _ in 0..ROUNDS {
            let kept = self.state.authorities(domain.as_str()).await?;
            if let Some(known) =
                known.filter(|known| known.seq() == kept.seq && lacking(known.lives(), &self.lives, at).is_none())
            {
                return Ok(Arc::clone(known));
            }
            let seq = kept.seq;
            let (opened, outer) = self.opened(domain, kept)?;
            let Some((kind, step)) = lacking(opened.iter().map(|one| (one.kind, &one.life)), &self.lives, at) else {
                let own = match known {
                    Some(known) => known.own.clone(),
                    None => self.own(domain, &opened)?,
                };
                let issuer = Arc::new(Issuer::of(domain, (opened, outer), seq, own, (self.lives, &self.custody))?);
                open.insert(domain.clone(), Arc::clone(&issuer));
                return Ok(issuer);
            };
            let by = By { actor: FOUNDER.to_owned(), record: String::new(), at };
            self.keep(domain, seq, &opened, (kind, &step), &by).await?;
        }
        Err(IssuingFailed::Crowded { domain: domain.clone() })
    }

    /// Takes a step with the authorities of `domain`, unless what other nodes did forbids it; gives the id of the authority.
    ///
    /// # Errors
    /// [`NotStepped`].
    pub async fn step(
        &self,
        domain: &TrustDomain,
        kind: KeyKind,
        step: &KeyStep,
        by: &By,
    ) -> Result<String, NotStepped> {
        for _ in 0..ROUNDS {
            let kept = self.state.authorities(domain.as_str()).await.map_err(IssuingFailed::from)?;
            let seq = kept.seq;
            let (opened, _) = self.opened(domain, kept)?;
            let lives: Vec<KeyLife> =
                opened.iter().filter(|one| one.kind == kind).map(|one| one.life.clone()).collect();
            let life = self.lives.of(kind).ok_or(NotStepped::NoneOfKind { kind })?;
            check(&lives, step, life, by.at)?;
            if let Some(id) = self.keep(domain, seq, &opened, (kind, step), by).await? {
                return Ok(id);
            }
        }
        Err(IssuingFailed::Crowded { domain: domain.clone() }.into())
    }

    /// Keeps what a step makes of authorities; none where another node was first.
    async fn keep(
        &self,
        domain: &TrustDomain,
        seen: u64,
        opened: &[Opened],
        (kind, step): (KeyKind, &KeyStep),
        by: &By,
    ) -> Result<Option<String>, IssuingFailed> {
        let first = !opened.iter().any(|one| one.kind == kind);
        let mut made = None;
        let (act, becomes) = match step {
            KeyStep::Prepare if first && let Some(laid) = self.laid(domain).read(kind, by.at, &self.lives)? => {
                ("import", vec![laid.0.sealed(domain, &laid.1, self.seal()?)?])
            }
            KeyStep::Prepare => {
                let (fresh, secret, outer) = self.make(domain, kind, by.at).await?;
                let kept = fresh.sealed(domain, made.insert(secret), self.seal()?)?;
                let mut becomes = vec![kept];
                if let Some(word) = outer {
                    becomes.push(kept::outer_sealed(domain, &word, by.at, self.seal()?)?);
                }
                (step.as_str(), becomes)
            }
            KeyStep::Activate(_) | KeyStep::Taint(_) | KeyStep::Revoke(_) | KeyStep::Drop(_) => {
                (step.as_str(), self.become_of(domain, opened, (kind, step), by.at)?)
            }
        };
        let first = becomes.first().map(|one| one.id.clone()).unwrap_or_default();
        let id = step.id().map_or(first, str::to_owned);
        if !self.act(domain, seen, (kind.as_str(), act), (&id, by), &becomes).await? {
            if let Some(secret) = made {
                self.custody.forget(&secret);
            }
            return Ok(None);
        }
        let signs = |one: &&KeptAuthority| one.standing == Standing::Active.as_str();
        let changed = becomes.iter().filter(|one| !signs(one));
        let of = |kept: &KeptAuthority| opened.iter().find(|one| one.life.id == kept.id);
        changed.filter_map(of).for_each(|one| self.custody.forget(&one.secret));
        Ok(Some(id))
    }

    /// What becomes of authorities that are kept.
    fn become_of(
        &self,
        domain: &TrustDomain,
        opened: &[Opened],
        (kind, step): (KeyKind, &KeyStep),
        at: Time,
    ) -> Result<Vec<KeptAuthority>, IssuingFailed> {
        let standing = |one: &Opened| match step {
            KeyStep::Activate(id) if one.life.id == *id => Some(Some(Standing::Active)),
            // who signed before retires in the same moment
            KeyStep::Activate(_) => (one.life.standing == Standing::Active).then_some(Some(Standing::Retired)),
            KeyStep::Taint(id) => (one.life.id == *id).then_some(Some(Standing::Tainted)),
            KeyStep::Revoke(id) | KeyStep::Drop(id) => (one.life.id == *id).then_some(None),
            KeyStep::Prepare => None,
        };
        let of_kind = opened.iter().filter(|one| one.kind == kind);
        let changed = of_kind.filter_map(|one| Some((one, standing(one)?)));
        changed.map(|(one, standing)| Ok(one.becomes(domain, standing, at, self.seal()?)?)).collect()
    }

    /// A new authority, prepared, and what is to be sealed of its key.
    /// And what the outer control plane says that signed it.
    async fn make(
        &self,
        domain: &TrustDomain,
        kind: KeyKind,
        at: Time,
    ) -> Result<(Fresh, Vec<u8>, Option<OuterWord>), IssuingFailed> {
        let (signer, secret) = self.custody.make()?;
        let point = signer.public_point().to_vec();
        let made = match kind {
            KeyKind::X509 => {
                let certified = self.certified(domain, signer, at).await;
                certified.inspect_err(|_none| self.custody.forget(&secret))?
            }
            KeyKind::Jwt | KeyKind::Wit => {
                // of a kind that does not sign, no step is taken
                let ends = at.plus(self.lives.of(kind).unwrap_or_default());
                Certified { certificate: Vec::new(), above: Vec::new(), roots: Vec::new(), ends, outer: None }
            }
        };
        let Certified { certificate, above, roots, ends, outer } = made;
        let standing = Standing::Prepared;
        Ok((Fresh { kind, standing, point, certificate, above, roots, made: at, ends }, secret, outer))
    }

    /// The certificate of a new authority, by the outer one or by itself.
    async fn certified(
        &self,
        domain: &TrustDomain,
        signer: Box<dyn Signer>,
        at: Time,
    ) -> Result<Certified, IssuingFailed> {
        let term = Term { at, life: self.lives.x509, below: self.lives.below };
        if let Some(upstream) = &self.upstream {
            let signed = upstream.sign(domain, signer, term).await;
            return signed.map_err(|why| IssuingFailed::Upstream { domain: domain.clone(), source: Box::new(why) });
        }
        let founding = |source| IssuingFailed::Founding { domain: domain.clone(), source };
        let founded = Authority::found(domain.clone(), signer, serial(), term).map_err(founding)?;
        let (certificate, ends) = (founded.certificate().to_vec(), founded.not_after());
        Ok(Certified { certificate, above: Vec::new(), roots: Vec::new(), ends, outer: None })
    }

    fn opened(
        &self,
        domain: &TrustDomain,
        kept: KeptAuthorities,
    ) -> Result<(Vec<Opened>, Option<Outer>), IssuingFailed> {
        if !kept.authorities.is_empty() && self.seal.get().is_none() && !self.seal_path().exists() {
            return Err(IssuingFailed::NoSealingKey { domain: domain.clone(), path: self.seal_path() });
        }
        let seal = self.seal()?;
        let not_ours = |id, source| IssuingFailed::NotOurs { id, path: seal.path().to_owned(), source };
        let (outer, authorities): (Vec<_>, Vec<_>) = kept.authorities.into_iter().partition(|one| one.kind == OUTER);
        let read = |kept: &KeptAuthority| kept::outer(domain, kept, seal);
        let outer = outer.first().map(read).transpose().map_err(|why| not_ours(OUTER.to_owned(), why))?;
        let open = |kept: KeptAuthority| {
            let id = kept.id.clone();
            Opened::read(domain, kept, seal).map_err(|source| not_ours(id, source))
        };
        let opened = authorities.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        // INVARIANT: of a kind that does not sign here, nothing is published
        Ok((opened.into_iter().filter(|one| self.lives.of(one.kind).is_some()).collect(), outer))
    }

    /// Has an outer control plane publish our keys of JWT-SVIDs, and keeps what it says, if it says anything else than before;
    /// nothing where none signs ours. Gives whether anything was kept.
    ///
    /// # Errors
    /// [`IssuingFailed`]; what it said before counts on.
    pub async fn exchange(&self, domain: &TrustDomain, at: Time) -> Result<bool, IssuingFailed> {
        let (Some(upstream), Some(issuer)) = (&self.upstream, self.open.lock().await.get(domain).cloned()) else {
            return Ok(false);
        };
        let Some(known) = issuer.outer() else { return Ok(false) };
        let failed = |why| IssuingFailed::Upstream { domain: domain.clone(), source: Box::new(why) };
        let Some(word) = upstream.exchange(domain, &issuer.jwt_shared()).await.map_err(failed)? else {
            return Ok(false);
        };
        if word == *known {
            return Ok(false);
        }
        let becomes = kept::outer_sealed(domain, &word, at, self.seal()?)?;
        let by = By { actor: FOUNDER.to_owned(), record: String::new(), at };
        let mut seen = issuer.seq();
        for _ in 0..ROUNDS {
            if self.act(domain, seen, (OUTER, OUTER), (OUTER, &by), std::slice::from_ref(&becomes)).await? {
                return Ok(true);
            }
            let kept = self.state.authorities(domain.as_str()).await?;
            seen = kept.seq;
            // another node was told since, perhaps later than this one: the next exchange says what counts
            if self.opened(domain, kept)?.1.is_none_or(|outer| outer.word != *known) {
                return Ok(false);
            }
        }
        Err(IssuingFailed::Crowded { domain: domain.clone() })
    }

    /// Publishes the keys of JWT-SVIDs of a control plane below, and those alone of it.
    ///
    /// # Errors
    /// [`NotShared`].
    pub async fn share(
        &self,
        domain: &TrustDomain,
        owner: &str,
        keys: &[(Vec<u8>, Time)],
        by: &By,
    ) -> Result<(), NotShared> {
        if keys.len() > MOST_SHARED {
            return Err(NotShared::TooMany);
        }
        for _ in 0..ROUNDS {
            let kept = self.state.authorities(domain.as_str()).await.map_err(IssuingFailed::from)?;
            let seen = kept.seq;
            let (opened, _) = self.opened(domain, kept)?;
            let becomes = self.shared(domain, (owner, keys), &opened, by.at)?;
            let Some(first) = becomes.first().map(|one| one.id.clone()) else { return Ok(()) };
            if self.act(domain, seen, (KeyKind::Jwt.as_str(), "share"), (&first, by), &becomes).await? {
                return Ok(());
            }
        }
        Err(IssuingFailed::Crowded { domain: domain.clone() }.into())
    }

    /// What becomes of authorities where `owner` has these keys published, and no other ones.
    fn shared(
        &self,
        domain: &TrustDomain,
        (owner, keys): (&str, &[(Vec<u8>, Time)]),
        opened: &[Opened],
        at: Time,
    ) -> Result<Vec<KeptAuthority>, NotShared> {
        let nested = || opened.iter().filter(|one| one.life.standing == Standing::Nested);
        let is_owners = |one: &&Opened| one.secret == owner.as_bytes();
        let ids: Vec<String> = keys.iter().map(|(point, _)| key_id(point)).collect();
        let mut becomes = Vec::new();
        for (id, (point, ends)) in ids.iter().zip(keys) {
            match opened.iter().find(|one| one.life.id == *id) {
                Some(one) if one.life.standing == Standing::Nested && is_owners(&one) => continue,
                // INVARIANT: a key that is here is nobody else's, and nobody's word changes how far it is
                Some(_) => return Err(NotShared::Others { id: id.clone() }),
                None if becomes.iter().any(|one: &KeptAuthority| one.id == *id) => continue,
                None => {}
            }
            let fresh = Fresh {
                kind: KeyKind::Jwt,
                standing: Standing::Nested,
                point: point.clone(),
                certificate: Vec::new(),
                above: Vec::new(),
                roots: Vec::new(),
                made: at,
                ends: (*ends).min(at.plus(LONGEST_SHARED)),
            };
            becomes.push(fresh.sealed(domain, owner.as_bytes(), self.seal()?).map_err(IssuingFailed::from)?);
        }
        if nested().filter(|one| !is_owners(one)).count() + ids.len() > MOST_NESTED {
            return Err(NotShared::TooMany);
        }
        for one in nested().filter(is_owners).filter(|one| !ids.contains(&one.life.id)) {
            becomes.push(one.becomes(domain, None, at, self.seal()?).map_err(IssuingFailed::from)?);
        }
        Ok(becomes)
    }

    /// Keeps what an act makes of authorities, unless another node was first.
    async fn act(
        &self,
        domain: &TrustDomain,
        seen: u64,
        (kind, act): (&str, &str),
        (authority, by): (&str, &By),
        becomes: &[KeptAuthority],
    ) -> Result<bool, IssuingFailed> {
        let act = AuthorityAct {
            authority: authority.to_owned(),
            act: act.to_owned(),
            time: by.at.to_string(),
            actor: by.actor.clone(),
            record: by.record.clone(),
        };
        let Step::Kept { seq } = self.state.step_authorities(domain.as_str(), seen, &act, becomes).await? else {
            return Ok(false);
        };
        tracing::info!(%domain, kind, act = act.act, authority, by = act.actor, seq, "authorities changed");
        Ok(true)
    }

    /// The sealing key; made where there is none.
    fn seal(&self) -> Result<&SealingKey, IssuingFailed> {
        if let Some(seal) = self.seal.get() {
            return Ok(seal);
        }
        let path = self.seal_path();
        let key = match SealingKey::open(&path)? {
            Some(key) => key,
            None => {
                private_folder(&self.directory)?;
                SealingKey::make(&path)?
            }
        };
        Ok(self.seal.get_or_init(|| key))
    }

    fn seal_path(&self) -> PathBuf {
        self.directory.join("seal.key")
    }

    /// What is this node's own; and what was taken over into the state need not lie here any more.
    fn own(&self, domain: &TrustDomain, opened: &[Opened]) -> Result<Own, IssuingFailed> {
        let laid = self.laid(domain);
        laid.remove(opened)?;
        let key = |name: &str| own_key(laid.directory(), name).map(Box::new);
        let enrolments = Enrolments::new(ENROLMENT_ISSUER, own_part(domain, "server"), key("enrolment.key")?);
        Ok(Own {
            assertions: Arc::new(Assertions::new(domain, key("assertions.key")?)),
            enrolments: Arc::new(enrolments),
            plane_keys: Arc::default(),
        })
    }

    fn laid(&self, domain: &TrustDomain) -> Laid {
        Laid::new(&self.directory, domain)
    }
}

/// What keeps a kind of keys from signing, and the step that mends it.
fn lacking<'a>(
    keys: impl Iterator<Item = (KeyKind, &'a KeyLife)> + Clone,
    lives: &Lives,
    at: Time,
) -> Option<(KeyKind, KeyStep)> {
    lives.each().find_map(|(kind, life)| {
        let keys: Vec<KeyLife> = keys.clone().filter(|(of, _)| *of == kind).map(|(_, life)| life.clone()).collect();
        let signs = keys.iter().any(|key| key.standing == Standing::Active && key.ends > at);
        if signs { None } else { Some((kind, due(&keys, life, at)?)) }
    })
}
