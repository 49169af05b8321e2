//! The issuers of every trust domain that was ever in force here: from what the nodes of a control plane share, and from keys
//! of this node's own. A step in the life of an authority is kept by exactly one node; what nobody could begin without, the
//! first authority or one in place of one that has ended, is made where it is missed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use issuer::lifecycle::{KeyKind, KeyLife, KeyStep, NotTaken, Standing, check, due};
use issuer::{Assertions, Authority, Enrolments, Signer, Term};
use model::{Time, TrustDomain};
use net::serial;
use store::{AuthorityAct, KeptAuthorities, KeptAuthority, SealingKey, State, Step};
use tokio::sync::Mutex;

use super::custody::Custody;
use super::kept::{Fresh, Opened};
use super::laid::{Laid, own_key, private_folder};
use super::upstream::{Certified, Upstream};
use super::{Issuer, IssuingFailed, Lives, Own, own_part};
use crate::estate::ENROLMENT_ISSUER;

/// The actor of what a node does because it could not begin without.
const FOUNDER: &str = "countersign";
/// Most steps that are taken, or lost to other nodes, before what is there is used.
const ROUNDS: usize = 32;

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
            let opened = self.opened(domain, kept)?;
            let Some((kind, step)) = lacking(opened.iter().map(|one| (one.kind, &one.life)), &self.lives, at) else {
                let own = match known {
                    Some(known) => known.own.clone(),
                    None => self.own(domain, &opened)?,
                };
                let issuer = Arc::new(Issuer::of(domain, opened, seq, own, (self.lives, &self.custody))?);
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
            let opened = self.opened(domain, kept)?;
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
                let (fresh, secret) = self.make(domain, kind, by.at).await?;
                let kept = fresh.sealed(domain, made.insert(secret), self.seal()?)?;
                (step.as_str(), vec![kept])
            }
            KeyStep::Activate(_) | KeyStep::Taint(_) | KeyStep::Revoke(_) | KeyStep::Drop(_) => {
                (step.as_str(), self.become_of(domain, opened, (kind, step), by.at)?)
            }
        };
        let first = becomes.first().map(|one| one.id.clone()).unwrap_or_default();
        let id = step.id().map_or(first, str::to_owned);
        let act = AuthorityAct {
            authority: id.clone(),
            act: act.to_owned(),
            time: by.at.to_string(),
            actor: by.actor.clone(),
            record: by.record.clone(),
        };
        match self.state.step_authorities(domain.as_str(), seen, &act, &becomes).await? {
            Step::Kept { seq } => {
                tracing::info!(%domain, kind = kind.as_str(), act = act.act, authority = id, seq, "authorities changed");
                let signs = |one: &&KeptAuthority| one.standing == Standing::Active.as_str();
                let changed = becomes.iter().filter(|one| !signs(one));
                let of = |kept: &KeptAuthority| opened.iter().find(|one| one.life.id == kept.id);
                changed.filter_map(of).for_each(|one| self.custody.forget(&one.secret));
                Ok(Some(id))
            }
            Step::Moved => {
                if let Some(secret) = made {
                    self.custody.forget(&secret);
                }
                Ok(None)
            }
        }
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
    async fn make(&self, domain: &TrustDomain, kind: KeyKind, at: Time) -> Result<(Fresh, Vec<u8>), IssuingFailed> {
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
                Certified { certificate: Vec::new(), above: Vec::new(), roots: Vec::new(), ends }
            }
        };
        let Certified { certificate, above, roots, ends } = made;
        Ok((Fresh { kind, standing: Standing::Prepared, point, certificate, above, roots, made: at, ends }, secret))
    }

    /// The certificate of a new authority, by the outer one or by itself.
    async fn certified(
        &self,
        domain: &TrustDomain,
        signer: Box<dyn Signer>,
        at: Time,
    ) -> Result<Certified, IssuingFailed> {
        let life = self.lives.x509;
        if let Some(upstream) = &self.upstream {
            let signed = upstream.sign(domain, signer, Term { at, life }).await;
            return signed.map_err(|why| IssuingFailed::Upstream { domain: domain.clone(), source: Box::new(why) });
        }
        let founding = |source| IssuingFailed::Founding { domain: domain.clone(), source };
        let founded = Authority::found(domain.clone(), signer, serial(), at, life).map_err(founding)?;
        let (certificate, ends) = (founded.certificate().to_vec(), founded.not_after());
        Ok(Certified { certificate, above: Vec::new(), roots: Vec::new(), ends })
    }

    fn opened(&self, domain: &TrustDomain, kept: KeptAuthorities) -> Result<Vec<Opened>, IssuingFailed> {
        if !kept.authorities.is_empty() && self.seal.get().is_none() && !self.seal_path().exists() {
            return Err(IssuingFailed::NoSealingKey { domain: domain.clone(), path: self.seal_path() });
        }
        let seal = self.seal()?;
        let open = |kept: KeptAuthority| {
            let id = kept.id.clone();
            Opened::read(domain, kept, seal).map_err(|source| IssuingFailed::NotOurs {
                id,
                path: seal.path().to_owned(),
                source,
            })
        };
        let opened = kept.authorities.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        // INVARIANT: of a kind that does not sign here, nothing is published
        Ok(opened.into_iter().filter(|one| self.lives.of(one.kind).is_some()).collect())
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
