//! How soon a change holds: a revocation, a new key, an old one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;

use crate::load::{Clients, Credentials, Protocol, Target, tls};
use crate::machine::Cores;
use crate::parties::{Issuer, serve};
use crate::product::{Estate, Product};

/// Longest that a change is waited for.
const WITHIN: Duration = Duration::from_secs(10);
const HEAD: &str = "| change | trials | median | worst |\n|---|---:|---:|---:|";

/// An issuer for each trial: who asks too often for new keys of one issuer is not heard.
struct Rotating {
    before: Issuer,
    after: Issuer,
}

pub async fn table(service: SocketAddr, cores: Cores, folder: &Path, trials: usize) {
    let issuers: Vec<Rotating> = (0..trials)
        .map(|n| {
            let name = format!("issuer-{n}");
            Rotating { before: Issuer::es256(&name, "before"), after: Issuer::es256(&name, "after") }
        })
        .collect();
    let sets = issuers.iter().map(|issuer| (format!("/{}", issuer.before.name), published(&issuer.before))).collect();
    let published_sets: Arc<Mutex<std::collections::HashMap<String, Bytes>>> = Arc::new(Mutex::new(sets));
    let shared = Arc::clone(&published_sets);
    let keys = serve(move |path| shared.lock().expect("no panic").get(path).cloned().unwrap_or_default());
    let remote: Vec<(String, String)> = issuers
        .iter()
        .map(|issuer| (issuer.before.name.clone(), format!("http://{keys}/{}", issuer.before.name)))
        .collect();
    let fixed = Issuer::es256("fixed", "fixed-1");
    let (product, _) =
        Product::start(&Estate { service, issuers: &[&fixed], remote: &remote }, cores.measured, cores, folder);

    let (mut credential, mut key, mut accepted, mut refused) = (vec![], vec![], vec![], vec![]);
    for (trial, issuer) in issuers.iter().enumerate() {
        let (id, revoked) = (format!("trial-{trial}"), format!("revoked-{trial}"));
        let mut caller = caller(&product, fixed.token(&revoked)).await;
        assert_eq!(caller.ask().await, StatusCode::OK);
        credential.push(until_refused(&mut caller, product.revoke("credential", &revoked)).await);

        let mut old = self::caller(&product, issuer.before.token(&id)).await;
        let mut new = self::caller(&product, issuer.after.token(&id)).await;
        assert_eq!(old.ask().await, StatusCode::OK);
        let path = format!("/{}", issuer.before.name);
        published_sets.lock().expect("no panic").insert(path, published(&issuer.after));
        let begun = Instant::now();
        until(&mut new, StatusCode::OK).await;
        accepted.push(begun.elapsed());
        until(&mut old, StatusCode::UNAUTHORIZED).await;
        refused.push(begun.elapsed());

        key.push(until_refused(&mut new, product.revoke("key", &format!("{}/after", issuer.before.name))).await);
    }
    println!("\n{HEAD}");
    println!("{}", row("a credential is revoked, until it is refused", credential));
    println!("{}", row("a key is revoked, until its token is refused", key));
    println!("{}", row("an issuer has a new key, until its first token is let through", accepted));
    println!("{}", row("and until a token of the old key is refused, once one of the new was seen", refused));
}

fn published(issuer: &Issuer) -> Bytes {
    Bytes::from(issuer.key_set().to_string())
}

async fn caller(product: &Product, token: String) -> Clients {
    let target = Target {
        address: product.secure(),
        tls: Some(tls(&product.caller(), Protocol::Http1, false)),
        protocol: Protocol::Http1,
        credentials: Credentials::bearer([token]),
    };
    Clients::open(&target, 1, 1).await.expect("a connection")
}

/// From the moment at which an operator asks; the connection is one that is open.
async fn until_refused(caller: &mut Clients, change: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    let refused = async {
        until(caller, StatusCode::UNAUTHORIZED).await;
        begun.elapsed()
    };
    tokio::join!(refused, change).0
}

async fn until(caller: &mut Clients, status: StatusCode) {
    let begun = Instant::now();
    while caller.ask().await != status {
        assert!(begun.elapsed() < WITHIN, "no {status} within {WITHIN:?}");
    }
}

fn row(change: &str, mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let (half, worst) = (times[times.len() / 2], times[times.len() - 1]);
    format!("| {change} | {} | {} | {} |", times.len(), millis(half), millis(worst))
}
