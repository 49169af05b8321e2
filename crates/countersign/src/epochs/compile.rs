//! An estate becomes what gates and gateway decide by.

use std::sync::Arc;

use credential::{Authorities, Operators, Source, SourceKeys, Sources};
use guard::Staleness;
use identity::Directory;
use issuer::Assertions;
use model::{Digest, Epoch, Generation, PrincipalId};
use net::Connections;
use policy::{Engine, Vocabulary};

use crate::catalog::{Catalog, Service};
use crate::estate::{Estate, Jwks, operators};
use crate::keys::FetchedKeys;
use crate::live::{About, Live, Room, Timeouts, Upstream};

/// What an estate does not say itself: whose SVIDs are accepted, who vouches for callers to services, whose enrolment tokens
/// are taken, who operates it by certificate, the connections that are open, and the key sets that were fetched for it. A set that could not be fetched
/// fails nothing: its source answers `keys_unavailable`.
pub struct Beside<'a> {
    pub authorities: Authorities,
    pub assertions: Arc<Assertions>,
    pub enrolment: Option<Source>,
    pub certified: Arc<Operators>,
    pub connections: &'a Connections,
    pub fetched: &'a FetchedKeys,
}

/// An estate that is in force nowhere: no SVID is accepted.
pub fn compile_alone(mut estate: Estate, fetched: &FetchedKeys, digest: Digest) -> (guard::Snapshot, About) {
    supply(&mut estate.sources, fetched);
    let about = about(&mut estate);
    (for_replay(estate, digest, Generation(0), Epoch(0)), about)
}

fn supply(sources: &mut [(Source, Jwks)], fetched: &FetchedKeys) {
    for (source, _) in sources {
        if let SourceKeys::Fetched(keys) = &mut source.keys {
            *keys = fetched.get(&source.name).cloned();
        }
    }
}

/// Puts an estate together.
pub fn compile(mut estate: Estate, digest: Digest, generation: Generation, epoch: Epoch, beside: Beside<'_>) -> Live {
    supply(&mut estate.sources, beside.fetched);
    let about = Arc::new(about(&mut estate));
    let remotes = estate.remote_keys().into();
    let federations = std::mem::take(&mut estate.federations).into();
    let named = Named { digest, generation, epoch, staleness: estate.environment.staleness };
    let sources = estate.sources.into_iter().map(|(source, _)| source).chain(beside.enrolment);
    // the loader has found two sources with one issuer; here it would be a bug, and then none is trusted
    let sources = Sources::new(sources).unwrap_or_default();
    let sources =
        sources.with_authorities(beside.authorities).with_operators(beside.certified).with_nodes(estate.nodes);
    let snapshot = snapshot(sources, estate.directory, estate.engine, named);
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
            room: Room::new(service.limits.in_flight, service.limits.in_flight_per_principal),
        },
    });
    let assertions = Some(beside.assertions);
    let domain = Some(estate.environment.trust_domain);
    let catalog = Arc::new(Catalog::new(services));
    Live { snapshot, catalog, pacing, federations, remotes, about, domain, hosts, assertions }
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

fn snapshot(sources: Sources, directory: Directory, engine: Engine, named: Named) -> guard::Snapshot {
    let Named { digest, generation, epoch, staleness } = named;
    let (directory, engine) = (Arc::new(directory), Arc::new(engine));
    guard::Snapshot { generation, epoch, digest, keys: sources.keys_digest(), sources, directory, engine, staleness }
}

/// The snapshot of an estate alone: what verification found stands in the records that it is for.
pub(super) fn for_replay(estate: Estate, digest: Digest, generation: Generation, epoch: Epoch) -> guard::Snapshot {
    let named = Named { digest, generation, epoch, staleness: estate.environment.staleness };
    let sources = Sources::new(estate.sources.into_iter().map(|(source, _)| source)).unwrap_or_default();
    let sources = sources.with_nodes(estate.nodes);
    snapshot(sources, estate.directory, estate.engine, named)
}

/// What is in force before anything was applied: no service, the operators' pack, and of sources those operators alone who
/// come with a certificate.
pub fn boot(local: &[PrincipalId], certified: Arc<Operators>) -> Live {
    let vocabulary = Vocabulary { operators: local.to_vec(), ..Vocabulary::default() };
    let sources = Sources::default().with_operators(certified);
    #[expect(clippy::expect_used, reason = "the shipped classes and packs alone: every test run loads them")]
    let (directory, engine) = {
        let directory = Directory::new([], operators().to_vec()).expect("their ids overlap nowhere");
        let engine = Engine::compile(&[], &vocabulary, &directory).expect("the shipped packs load");
        (directory, engine)
    };
    let snapshot = guard::Snapshot {
        generation: Generation(0),
        epoch: Epoch(0),
        digest: credential::digest_of(b""),
        keys: sources.keys_digest(),
        sources,
        directory: Arc::new(directory),
        engine: Arc::new(engine),
        staleness: Staleness::default(),
    };
    let pacing = Timeouts::pacing(std::iter::empty());
    Live {
        snapshot,
        catalog: Arc::new(Catalog::new([])),
        pacing,
        federations: Arc::from([]),
        remotes: Arc::from([]),
        about: Arc::default(),
        domain: None,
        hosts: Arc::from([]),
        assertions: None,
    }
}
