//! An estate becomes what gates and gateway decide by; key sets that lie elsewhere are fetched here.

use std::sync::Arc;

use credential::{KeySet, Source, Sources};
use identity::Directory;
use model::{Digest, Epoch, Generation, PrincipalId};
use policy::{Engine, Vocabulary};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::catalog::{Catalog, Service};
use crate::causes::chain;
use crate::estate::{Estate, Jwks, local_operators};
use crate::live::{About, Live, Timeouts, Upstream};
use crate::net::fetch;

/// Fetches the key sets that lie elsewhere, and assembles. One that cannot be fetched fails nothing: its source answers
/// `keys_unavailable`.
pub async fn compile(mut estate: Estate, digest: Digest, generation: Generation, epoch: Epoch) -> Live {
    let mut fetching = JoinSet::new();
    for (index, (source, jwks)) in estate.sources.iter().enumerate() {
        if let Jwks::Url { url } = jwks {
            let (name, url) = (source.name.clone(), url.clone());
            fetching.spawn(async move { (index, fetched(name.as_str(), &url).await) });
        }
    }
    // all at once: an issuer that does not answer delays no other
    while let Some(fetched) = fetching.join_next().await {
        if let Ok((index, keys)) = fetched
            && let Some((source, _)) = estate.sources.get_mut(index)
        {
            source.keys = keys;
        }
    }
    assemble(estate, digest, generation, epoch)
}

/// Puts an estate together as it stands; sources whose keys lie elsewhere have none.
pub fn assemble(estate: Estate, digest: Digest, generation: Generation, epoch: Epoch) -> Live {
    let keys = |source: &Source| {
        source.keys.as_ref().map_or_else(|| "unavailable".to_owned(), |keys| keys.digest().to_string())
    };
    let listing = estate.sources.iter().map(|(source, _)| format!("{} {}\n", source.name, keys(source)));
    let keys = credential::digest_of(listing.collect::<String>().as_bytes());
    // the loader has found two sources with one issuer; here it would be a bug, and then none is trusted
    let sources = Sources::new(estate.sources.into_iter().map(|(source, _)| source)).unwrap_or_default();
    let snapshot = guard::Snapshot {
        generation,
        epoch,
        digest,
        keys,
        sources,
        directory: estate.directory,
        engine: estate.engine,
    };
    let pacing = Timeouts::pacing(estate.services.iter().map(|service| &service.timeouts));
    let services = estate.services.into_iter().map(|service| Service {
        name: service.name,
        hosts: service.hosts,
        routes: service.routes,
        door: Upstream {
            authority: service.authority,
            limits: service.limits,
            timeouts: service.timeouts,
            in_flight: Arc::new(Semaphore::new(service.limits.in_flight)),
        },
    });
    let about = About { documents: estate.documents, principals: estate.principals, binders: estate.binders };
    Live { snapshot, catalog: Catalog::new(services), pacing, about }
}

/// What is in force before anything was applied: no source, no service, and the operators' pack.
pub fn boot(operators: &[PrincipalId]) -> Live {
    let vocabulary = Vocabulary { operators: operators.to_vec(), ..Vocabulary::default() };
    #[expect(clippy::expect_used, reason = "the shipped class and packs alone: every test run loads them")]
    let (directory, engine) = {
        let directory = Directory::new([], vec![local_operators()]).expect("one class overlaps nothing");
        let engine = Engine::compile(&[], &vocabulary, &directory).expect("the shipped packs load");
        (directory, engine)
    };
    let snapshot = guard::Snapshot {
        generation: Generation(0),
        epoch: Epoch(0),
        digest: credential::digest_of(b""),
        keys: credential::digest_of(b""),
        sources: Sources::default(),
        directory,
        engine,
    };
    let pacing = Timeouts::pacing(std::iter::empty());
    Live { snapshot, catalog: Catalog::new([]), pacing, about: About::default() }
}

async fn fetched(source: &str, url: &str) -> Option<Arc<KeySet>> {
    let document = match fetch(url).await {
        Ok(document) => document,
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
