//! What the agent knows: the registrations of its node and the bundles of trust domains, as control said last.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use credential::{Authorities, KeySet};
use model::{IdTemplate, SelectorIndex, Selectors, SpiffeId, Time, TrustDomain};
use wire::agent;

use crate::trust;

/// Longest set of registrations of one workload, so that no answer grows without bound.
pub(crate) const MOST_IDENTITIES: usize = 128;

/// A registration of this node.
#[derive(Debug)]
pub(crate) struct Registration {
    pub name: String,
    pub digest: Bytes,
    pub id: IdTemplate,
    pub selectors: Selectors,
    pub x509_ttl: u32,
    pub dns_names: Vec<String>,
    pub hint: String,
    pub federates_with: Vec<TrustDomain>,
    pub expires: Option<Time>,
}

/// What is trusted of one trust domain.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// DER authorities, one after the other: as the Workload API hands them out.
    pub x509: Bytes,
    /// The keys of JWT-SVIDs, a JWK Set.
    pub jwt: Bytes,
    /// The same, read; none where there is no key.
    pub jwt_keys: Option<KeySet>,
    /// The keys of WIT-SVIDs, a JWK Set; empty where there are none, or none that can be used.
    pub wit: Bytes,
    /// The authorities, read, with what of them is tainted.
    pub authorities: Arc<Authorities>,
    /// The same in PEM, as the agent keeps them.
    pub pem: String,
    /// Digests of keys that are tainted.
    pub tainted: Vec<[u8; 32]>,
}

/// Everything that control said.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Whether control has said anything yet.
    pub synced: bool,
    by_name: BTreeMap<String, Arc<Registration>>,
    index: SelectorIndex<Arc<Registration>>,
    pub bundles: BTreeMap<TrustDomain, Bundle>,
}

/// An identity of a workload: a registration, and the SPIFFE ID that follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Identified {
    pub registration: Arc<Registration>,
    pub id: SpiffeId,
}

/// What control said makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Nonsense {
    #[error("the registration `{name}` has no sound id")]
    Id { name: String, source: model::BadIdTemplate },
    #[error("the registration `{name}` has a selector that is none")]
    Selector { name: String, source: model::BadSelector },
    #[error("a trust domain has no sound name")]
    Domain(#[from] model::BadSpiffeId),
    #[error("the bundle of trust domain `{domain}` cannot be used")]
    Bundle { domain: TrustDomain, source: credential::BadBundle },
}

impl Known {
    /// What is known after these updates, the parts of one.
    ///
    /// # Errors
    /// [`Nonsense`]; what was known stays.
    pub(crate) fn with(&self, updates: Vec<agent::Update>) -> Result<Self, Nonsense> {
        let anew = updates.iter().any(|update| update.anew);
        let mut by_name = if anew { BTreeMap::new() } else { self.by_name.clone() };
        let mut bundles = self.bundles.clone();
        for update in updates {
            for registration in update.registrations {
                let registration = Registration::read(registration)?;
                by_name.insert(registration.name.clone(), Arc::new(registration));
            }
            for name in &update.withdrawn {
                by_name.remove(name);
            }
            if !update.bundles.is_empty() {
                bundles = update.bundles.into_iter().map(Bundle::read).collect::<Result<_, _>>()?;
            }
        }
        let asks = |registration: &Arc<Registration>| (registration.selectors.clone(), Arc::clone(registration));
        let index = SelectorIndex::new(by_name.values().map(asks).collect());
        Ok(Self { synced: true, by_name, index, bundles })
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Registration>> {
        self.by_name.get(name)
    }

    /// Who a workload of these selectors is, in the order of the registrations' names. Where its values make no id, it has none
    /// by that registration.
    pub(crate) fn identities(&self, selectors: &Selectors, at: Time) -> Vec<Identified> {
        let matching = self.index.matching(selectors).filter(|of| of.expires.is_none_or(|end| at < end));
        let identified = |registration: &Arc<Registration>| {
            let id = registration.id.expand(selectors).ok()?;
            Some(Identified { registration: Arc::clone(registration), id })
        };
        let mut identities: Vec<Identified> = matching.filter_map(identified).collect();
        identities.sort_by(|one, other| one.registration.name.cmp(&other.registration.name));
        identities.truncate(MOST_IDENTITIES);
        identities
    }
}

impl Registration {
    fn read(said: agent::Registration) -> Result<Self, Nonsense> {
        let name = said.name;
        let id = said.id.parse().map_err(|source| Nonsense::Id { name: name.clone(), source })?;
        let selectors = said.selectors.iter().map(|selector| selector.parse()).collect::<Result<_, _>>();
        let selectors = selectors.map_err(|source| Nonsense::Selector { name: name.clone(), source })?;
        let federates_with = said.federates_with.iter().map(|domain| domain.parse()).collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            digest: said.digest,
            id,
            selectors,
            x509_ttl: said.x509_ttl,
            dns_names: said.dns_names,
            hint: said.hint,
            federates_with,
            expires: Some(said.expires).filter(|end| *end > 0).map(Time::from_unix_seconds),
        })
    }
}

impl Bundle {
    fn read(said: agent::Bundle) -> Result<(TrustDomain, Self), Nonsense> {
        let mut x509 = BytesMut::new();
        for authority in &said.x509_authorities {
            x509.extend_from_slice(authority);
        }
        let domain: TrustDomain = said.trust_domain.parse()?;
        let jwt_keys = KeySet::parse(&said.jwt_keys).ok();
        // a digest of another length taints nothing
        let tainted: Vec<[u8; 32]> = said.tainted.iter().filter_map(|digest| digest.as_ref().try_into().ok()).collect();
        let certificates: Vec<Vec<u8>> = said.x509_authorities.iter().map(|der| der.to_vec()).collect();
        let pem = certificates.iter().map(|der| issuer::pem::encode("CERTIFICATE", der)).collect();
        let authorities = trust::bundle(&domain, &certificates);
        let authorities = authorities.map_err(|source| Nonsense::Bundle { domain: domain.clone(), source })?;
        let wit = if KeySet::parse(&said.wit_keys).is_ok() { said.wit_keys } else { Bytes::new() };
        let authorities = Arc::new(Authorities::new([authorities.tainting(&tainted)]));
        let (x509, jwt) = (x509.freeze(), said.jwt_keys);
        Ok((domain, Self { x509, jwt, jwt_keys, wit, authorities, pem, tainted }))
    }
}
