//! Every trust source of an environment, found by issuer, and what each remembers of credentials that held.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use model::{Digest, SourceName, Time};

use crate::memo::{Held, Memo};
use crate::{
    Authorities, Cause, CredentialCache, CredentialKind, Finding, KeySet, NodeSources, Operators, PeerCertificates,
    Picked, Revocations, Source, SourceKeys, digest_of,
};

/// Places of a [`Guide`].
const PLACES: usize = 1 << 14;

/// Two sources with one issuer: the untrusted `iss` could not pick between them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trust sources `{first}` and `{second}` have the same issuer `{issuer}`")]
pub struct SharedIssuer {
    pub first: SourceName,
    pub second: SourceName,
    pub issuer: String,
}

/// Every trust source of an environment: issuers of tokens, bundles of trust domains, and operators' certificates. A clone
/// shares them, and what they remember.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    anchors: Vec<Arc<Anchor>>,
    /// Places in `anchors`.
    by_issuer: Arc<HashMap<String, usize>>,
    guide: Arc<Guide>,
    authorities: Arc<Authorities>,
    operators: Arc<Operators>,
    nodes: Arc<NodeSources>,
    revocations: Arc<Revocations>,
}

/// How often a source's memo knew a credential, and how often it did not; since the estate was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoCounts {
    pub source: SourceName,
    pub hits: u64,
    pub misses: u64,
}

/// A source under the key set in force.
#[derive(Debug)]
pub(crate) struct Anchor {
    pub(crate) source: Source,
    place: usize,
    memo: Option<Memo>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Which source knows a credential, by a part of its digest, so that nothing of it has to be read. A hint: a wrong one costs
/// a reading, never an answer.
#[derive(Debug, Default)]
struct Guide(Box<[AtomicU16]>);

impl Sources {
    /// # Errors
    /// [`SharedIssuer`] if two sources have one issuer.
    pub fn new(sources: impl IntoIterator<Item = Source>) -> Result<Self, SharedIssuer> {
        let mut anchors: Vec<Arc<Anchor>> = Vec::new();
        let mut by_issuer: HashMap<String, usize> = HashMap::new();
        for (place, source) in sources.into_iter().enumerate() {
            let before = match source.picked {
                Picked::ByIssuer => by_issuer.insert(source.issuer.clone(), place),
                Picked::ByName => None,
            };
            if let Some(first) = before.and_then(|place| anchors.get(place)) {
                let issuer = source.issuer;
                return Err(SharedIssuer { first: first.source.name.clone(), second: source.name, issuer });
            }
            anchors.push(Arc::new(Anchor::new(source, place, Arc::default())));
        }
        let guide = Arc::new(Guide::new(anchors.iter().any(|anchor| anchor.memo.is_some())));
        let by_issuer = Arc::new(by_issuer);
        Ok(Self { anchors, by_issuer, guide, ..Self::default() })
    }

    /// These sources, and the bundles of the trust domains whose SVIDs are accepted beside them.
    #[must_use]
    pub fn with_authorities(self, authorities: Authorities) -> Self {
        Self { authorities: Arc::new(authorities), ..self }
    }

    /// These sources, and the operators who come with a certificate.
    #[must_use]
    pub fn with_operators(self, operators: Arc<Operators>) -> Self {
        Self { operators, ..self }
    }

    /// These sources, and those that vouch for nodes.
    #[must_use]
    pub fn with_nodes(self, nodes: NodeSources) -> Self {
        Self { nodes: Arc::new(nodes), ..self }
    }

    /// These sources, and what counts no more of theirs.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        Self { revocations, ..self }
    }

    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    pub fn shared_revocations(&self) -> Arc<Revocations> {
        Arc::clone(&self.revocations)
    }

    /// Those that vouch for nodes.
    pub fn nodes(&self) -> &NodeSources {
        &self.nodes
    }

    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// What the certificates of a TLS peer prove at `at`, whatever was revoked: an operator, if the leaf is one of the
    /// operators' own, and else a service, if the chain leads to an authority of its trust domain.
    ///
    /// # Errors
    /// [`Cause`].
    pub fn check(&self, peer: &PeerCertificates, at: Time) -> Result<Finding, Cause> {
        self.operators.check(peer.digest(), at).unwrap_or_else(|| peer.check(&self.authorities, at))
    }

    /// What a TLS peer's certificates are, by whether the leaf is an operator's.
    pub fn kind_of(&self, peer: &PeerCertificates) -> CredentialKind {
        if self.operators.has(peer.digest()) { CredentialKind::X509 } else { CredentialKind::X509Svid }
    }

    /// These sources, one of them under other fetched keys and with nothing remembered; the others are shared. `None` if
    /// that would change nothing, or keys of that source are not fetched.
    pub fn with_keys(&self, name: &SourceName, keys: Option<Arc<KeySet>>) -> Option<Self> {
        let (place, anchor) = self.anchors.iter().enumerate().find(|(_, anchor)| anchor.source.name == *name)?;
        let SourceKeys::Fetched(now) = &anchor.source.keys else { return None };
        if now.as_ref().map(|keys| keys.digest()) == keys.as_ref().map(|keys| keys.digest()) {
            return None;
        }
        let source = Source { keys: SourceKeys::Fetched(keys), ..anchor.source.clone() };
        let mut changed = self.clone();
        *changed.anchors.get_mut(place)? = Arc::new(Anchor::new(source, place, Arc::clone(&anchor.counters)));
        Some(changed)
    }

    /// Names the key sets, bundles, authorities of nodes and operators' certificates in force, by content.
    pub fn keys_digest(&self) -> Digest {
        let line = |anchor: &Arc<Anchor>| {
            let keys = anchor.source.keys.in_force();
            let digest = keys.map_or_else(|| "unavailable".to_owned(), |keys| keys.digest().to_string());
            format!("{} {digest}\n", anchor.source.name)
        };
        let bundles = self.authorities.digests();
        let bundles = bundles.iter().map(|(domain, digest)| format!("spiffe://{domain} {digest}\n"));
        let operators = self.operators.digests().map(|(name, digest)| format!("operators/{name} {digest}\n"));
        let digests = self.nodes.iter().filter_map(|(name, trust)| Some((name, trust.digest()?)));
        let nodes = digests.map(|(name, digest)| format!("nodes/{name} {digest}\n"));
        digest_of(
            self.anchors.iter().map(line).chain(bundles).chain(operators).chain(nodes).collect::<String>().as_bytes(),
        )
    }

    /// What became of the memo of each source.
    pub fn memo_counts(&self) -> Vec<MemoCounts> {
        let counts = |anchor: &Arc<Anchor>| MemoCounts {
            source: anchor.source.name.clone(),
            hits: anchor.counters.hits.load(Ordering::Relaxed),
            misses: anchor.counters.misses.load(Ordering::Relaxed),
        };
        self.anchors.iter().map(counts).collect()
    }

    pub(crate) fn are_fetched(&self) -> bool {
        self.anchors.iter().any(|anchor| matches!(anchor.source.keys, SourceKeys::Fetched(_)))
    }

    /// The source that a token's (untrusted) `iss` picks.
    pub(crate) fn with_issuer(&self, issuer: &str) -> Option<&Anchor> {
        self.anchors.get(*self.by_issuer.get(issuer)?).map(Arc::as_ref)
    }

    /// The source of this name, if its credentials come with its name.
    pub(crate) fn with_name(&self, name: &SourceName) -> Option<&Source> {
        let mut named = self.anchors.iter().map(|anchor| &anchor.source);
        named.find(|source| source.picked == Picked::ByName && source.name == *name)
    }

    /// A credential that held before, found without a look at it: the guide says who may know.
    pub(crate) fn recall(&self, digest: Digest) -> Option<(&Anchor, Held)> {
        let anchor = self.anchors.get(self.guide.who_knows(digest)?)?;
        Some((anchor, anchor.recall(digest)?))
    }

    /// Says where to look for a credential the next time.
    pub(crate) fn point(&self, digest: Digest, anchor: &Anchor) {
        self.guide.point(digest, anchor.place);
    }
}

impl Anchor {
    fn new(source: Source, place: usize, counters: Arc<Counters>) -> Self {
        let memo = match source.cache {
            CredentialCache::On => Some(Memo::new()),
            CredentialCache::Off => None,
        };
        Self { source, place, memo, counters }
    }

    pub(crate) fn recall(&self, digest: Digest) -> Option<Held> {
        self.memo.as_ref()?.recall(digest)
    }

    pub(crate) fn remember(&self, digest: Digest, held: Held) {
        if let Some(memo) = &self.memo {
            memo.remember(digest, held);
        }
    }

    pub(crate) fn count_hit(&self) {
        self.counters.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_miss(&self) {
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
    }
}

impl Guide {
    /// One with places, if anybody remembers anything.
    fn new(remembers: bool) -> Self {
        let places = if remembers { PLACES } else { 0 };
        Self((0..places).map(|_| AtomicU16::new(0)).collect())
    }

    fn who_knows(&self, digest: Digest) -> Option<usize> {
        usize::from(self.at(digest)?.load(Ordering::Relaxed)).checked_sub(1)
    }

    fn point(&self, digest: Digest, place: usize) {
        // sources beyond what fits have no hints, and are read
        if let (Some(at), Ok(place)) = (self.at(digest), u16::try_from(place + 1)) {
            at.store(place, Ordering::Relaxed);
        }
    }

    fn at(&self, digest: Digest) -> Option<&AtomicU16> {
        let [first, second, ..] = *digest.as_bytes();
        self.0.get(usize::from(u16::from_be_bytes([first, second])) % PLACES)
    }
}
