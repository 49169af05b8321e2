//! An estate becomes what gates and gateway decide by; key sets that lie elsewhere are fetched here.

use std::sync::Arc;

use credential::{Authorities, KeySet, Source, SourceKeys, Sources};
use guard::Staleness;
use identity::Directory;
use model::{Digest, Epoch, Generation, PrincipalId};
use policy::{Engine, Vocabulary};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::catalog::{Catalog, Service};
use crate::causes::chain;
use crate::estate::{Estate, Jwks, local_operators};
use crate::issuing::Issuer;
use crate::live::{About, Live, Timeouts, Upstream};
use crate::net::{Connections, Remote, fetch};

/// What an estate does not say itself: who issues for its trust domain, and the connections that are open.
pub struct Beside<'a> {
    pub issuer: &'a Issuer,
    pub connections: &'a Connections,
}

/// Fetches the key sets that lie elsewhere, and assembles. One that cannot be fetched fails nothing: its source answers
/// `keys_unavailable`.
pub async fn compile(
    mut estate: Estate,
    digest: Digest,
    generation: Generation,
    epoch: Epoch,
    beside: &Beside<'_>,
) -> Live {
    fetch_keys(&mut estate.sources).await;
    assemble(estate, digest, generation, epoch, beside)
}

/// An estate that is in force nowhere: its sources' keys are fetched, and no SVID is accepted.
pub async fn compile_alone(mut estate: Estate, digest: Digest) -> (guard::Snapshot, About) {
    fetch_keys(&mut estate.sources).await;
    let about = about(&mut estate);
    (for_replay(estate, digest, Generation(0), Epoch(0)), about)
}

async fn fetch_keys(sources: &mut [(Source, Jwks)]) {
    let mut fetching = JoinSet::new();
    for (index, (source, jwks)) in sources.iter().enumerate() {
        if let Jwks::Url(keys) = jwks {
            let (name, remote) = (source.name.clone(), keys.remote.clone());
            fetching.spawn(async move { (index, fetched(name.as_str(), &remote).await) });
        }
    }
    // all at once: an issuer that does not answer delays no other
    while let Some(fetched) = fetching.join_next().await {
        if let Ok((index, keys)) = fetched
            && let Some((source, _)) = sources.get_mut(index)
        {
            source.keys = SourceKeys::Fetched(keys);
        }
    }
}

/// Puts an estate together as it stands; sources whose keys lie elsewhere have none.
fn assemble(mut estate: Estate, digest: Digest, generation: Generation, epoch: Epoch, beside: &Beside<'_>) -> Live {
    let about = about(&mut estate);
    let authorities = beside.issuer.authorities();
    let named = Named { digest, generation, epoch, staleness: estate.environment.staleness };
    let snapshot = snapshot(estate.sources, estate.directory, estate.engine, authorities, named);
    let pacing = Timeouts::pacing(estate.services.iter().map(|service| &service.timeouts));
    let hosts = estate.services.iter().flat_map(|service| service.hosts.iter().cloned()).collect();
    let services = estate.services.into_iter().map(|service| Service {
        name: service.name,
        hosts: service.hosts,
        routes: service.routes,
        door: Upstream {
            pool: beside.connections.to(&service.destination),
            limits: service.limits,
            timeouts: service.timeouts,
            in_flight: Arc::new(Semaphore::new(service.limits.in_flight)),
        },
    });
    let assertions = Some(Arc::clone(&beside.issuer.assertions));
    let domain = Some(estate.environment.trust_domain);
    Live { snapshot, catalog: Catalog::new(services), pacing, about, domain, hosts, assertions }
}

fn about(estate: &mut Estate) -> About {
    About {
        documents: std::mem::take(&mut estate.documents),
        principals: std::mem::take(&mut estate.principals),
        binders: std::mem::take(&mut estate.binders),
    }
}

/// What a snapshot is called.
struct Named {
    digest: Digest,
    generation: Generation,
    epoch: Epoch,
    staleness: Staleness,
}

fn snapshot(
    sources: Vec<(Source, Jwks)>,
    directory: Directory,
    engine: Engine,
    authorities: Authorities,
    named: Named,
) -> guard::Snapshot {
    // the loader has found two sources with one issuer; here it would be a bug, and then none is trusted
    let sources = Sources::new(sources.into_iter().map(|(source, _)| source)).unwrap_or_default();
    let Named { digest, generation, epoch, staleness } = named;
    let sources = sources.with_authorities(authorities);
    let (directory, engine) = (Arc::new(directory), Arc::new(engine));
    guard::Snapshot { generation, epoch, digest, keys: sources.keys_digest(), sources, directory, engine, staleness }
}

/// The snapshot of an estate alone: what verification found stands in the records that it is for.
pub(super) fn for_replay(estate: Estate, digest: Digest, generation: Generation, epoch: Epoch) -> guard::Snapshot {
    let named = Named { digest, generation, epoch, staleness: estate.environment.staleness };
    snapshot(estate.sources, estate.directory, estate.engine, Authorities::default(), named)
}

/// What is in force before anything was applied: no source, no service, and the operators' pack.
pub fn boot(operators: &[PrincipalId]) -> Live {
    let vocabulary = Vocabulary { operators: operators.to_vec(), ..Vocabulary::default() };
    #[expect(clippy::expect_used, reason = "the shipped class and packs alone: every test run loads them")]
    let (directory, engine) = (
        Directory::new([], vec![local_operators()]).expect("one class overlaps nothing"),
        Engine::compile(&[], &vocabulary, &|_, _| false).expect("the shipped packs load"),
    );
    let snapshot = guard::Snapshot {
        generation: Generation(0),
        epoch: Epoch(0),
        digest: credential::digest_of(b""),
        keys: credential::digest_of(b""),
        sources: Sources::default(),
        directory: Arc::new(directory),
        engine: Arc::new(engine),
        staleness: Staleness::default(),
    };
    let pacing = Timeouts::pacing(std::iter::empty());
    Live {
        snapshot,
        catalog: Catalog::new([]),
        pacing,
        about: About::default(),
        domain: None,
        hosts: Vec::new(),
        assertions: None,
    }
}

async fn fetched(source: &str, remote: &Remote) -> Option<Arc<KeySet>> {
    let url = remote.url();
    let document = match fetch(remote).await {
        Ok(fetched) => fetched.document,
        Err(error) => {
            tracing::warn!(source, url, error = chain(&error), "the key set cannot be fetched");
            return None;
        }
    };
    match KeySet::parse(&document) {
        Ok(keys) => Some(Arc::new(keys)),
        Err(error) => {
            tracing::warn!(source, url, %error, "what was fetched is not a key set");
            None
        }
    }
}
