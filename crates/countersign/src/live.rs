//! What is in force: one snapshot for the gates and the catalog made from the same estate, swapped together.

mod ending;
mod room;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use credential::{Authorities, KeySet, Revocations};
use issuer::Assertions;
use model::TrustDomain;
use net::{Pacing, Pool};

use crate::catalog::Catalog;
use crate::estate::{Federation, RemoteKeys};

pub use ending::{End, ends};
pub use room::{Place, Room};

/// An estate in force. Whoever holds one decides by it to the end, whatever is applied meanwhile. A clone shares what it is
/// made of.
#[derive(Clone)]
pub struct Live {
    pub snapshot: guard::Snapshot,
    pub catalog: Arc<Catalog<Upstream>>,
    /// Deadlines of a connection, before it is known which service it asks for: the longest of any.
    pub pacing: Pacing,
    /// The trust domains whose bundles workloads may be given.
    pub federations: Arc<[Federation]>,
    /// The key sets that lie elsewhere, and are kept while this is in force.
    pub remotes: Arc<[RemoteKeys]>,
    pub about: Arc<About>,
    /// None before there is an environment.
    pub domain: Option<TrustDomain>,
    /// Under which names this server is reached.
    pub hosts: Arc<[String]>,
    /// Signs what services hear of their callers; none before there is an environment.
    pub assertions: Option<Arc<Assertions>>,
}

impl Live {
    /// The same estate under other revocations.
    pub fn with_revocations(&self, revocations: Arc<Revocations>) -> Self {
        let sources = self.snapshot.sources.clone().with_revocations(revocations);
        let snapshot = guard::Snapshot { sources, ..self.snapshot.clone() };
        Self { snapshot, ..self.clone() }
    }

    /// The same estate, where these authorities' SVIDs are accepted.
    pub fn with_authorities(&self, authorities: Authorities) -> Self {
        let sources = self.snapshot.sources.clone().with_authorities(authorities);
        let snapshot = guard::Snapshot { keys: sources.keys_digest(), sources, ..self.snapshot.clone() };
        Self { snapshot, ..self.clone() }
    }

    /// The same estate under other keys of a source; `None` if that changes nothing, or its keys come from elsewhere by now.
    pub fn with_keys(&self, of: &RemoteKeys, keys: Option<Arc<KeySet>>) -> Option<Self> {
        self.remotes.iter().find(|remote| remote.are_where(of))?;
        let sources = self.snapshot.sources.with_keys(&of.source, keys)?;
        let snapshot = guard::Snapshot { keys: sources.keys_digest(), sources, ..self.snapshot.clone() };
        Some(Self { snapshot, ..self.clone() })
    }
}

/// The snapshot in force, behind one atomic pointer. Parts of it change on their own (keys, revocations): whoever changes one
/// does it by `rcu`, so that nobody's change is lost under another's.
pub type Current = Arc<ArcSwap<Live>>;

/// How the gateway reaches a service, and what it takes from callers on its way.
pub struct Upstream {
    /// Connections to it.
    pub pool: Arc<Pool>,
    pub limits: Limits,
    pub timeouts: Timeouts,
    /// A place for each request in flight.
    pub room: Arc<Room>,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub request_line: usize,
    pub headers: usize,
    pub header_count: usize,
    pub body: Option<u64>,
    pub in_flight: usize,
    /// Of those, how many may be one principal's.
    pub in_flight_per_principal: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub header: Duration,
    pub idle: Duration,
    pub body_idle: Duration,
    /// From the last byte of the request to the first of the answer.
    pub upstream: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            headers: 32 * 1024,
            header_count: 100,
            body: None,
            in_flight: 1024,
            in_flight_per_principal: 256,
        }
    }
}

impl Timeouts {
    /// The pacing that every one of these services can live with.
    pub fn pacing<'a>(services: impl Iterator<Item = &'a Self> + Clone) -> Pacing {
        let most = |of: fn(&Self) -> Duration| services.clone().map(of).max().unwrap_or(of(&Self::default()));
        let (header, idle) = (most(|timeouts| timeouts.header), most(|timeouts| timeouts.idle));
        Pacing { header, idle, stall: most(|timeouts| timeouts.body_idle) }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { header: seconds(10), idle: seconds(60), body_idle: seconds(30), upstream: seconds(30) }
    }
}

/// What is known of an estate beside what decisions read.
#[derive(Debug, Default)]
pub struct About {
    /// Digest of every document, by kind and name: what a plan compares.
    pub documents: std::collections::BTreeMap<(String, String), model::Digest>,
    /// Names of principals, for `decide --principal NAME`.
    pub principals: std::collections::HashMap<String, model::PrincipalId>,
    /// What binds credentials to principals: an id or `source:NAME`, and kind and name of the document that says so.
    pub binders: std::collections::BTreeMap<String, (String, String)>,
}
