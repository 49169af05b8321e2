//! SVIDs a second over gRPC, each judged, recorded durably and signed, beside the signatures alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use tokio::task::JoinSet;
use wire::agent::{
    FollowRequest, MintJwtRequest, MintX509Request, Order, Registration, Workload, mint_jwt_response, x509_answer,
};

use super::installation::{Installation, document};

/// Registrations of the node.
const REGISTRATIONS: usize = 500;
/// Requests at a time, and orders in each.
const AT_ONCE: usize = 4;
const ORDERS: usize = 250;
const TOKENS_AT_ONCE: usize = 64;

pub async fn table(installation: &Installation, time: Duration) {
    let documents = (0..REGISTRATIONS).map(|n| document(&format!("m{n}"), &format!("bench:number:{n}"), "bench"));
    installation.register(documents.collect::<Vec<_>>().join("---\n")).await;
    let control = Arc::new(installation.node().await);
    let workloads: Arc<Vec<Workload>> = Arc::new(registered(&control).await.into_iter().map(workload).collect());
    let limit = signatures(time / 6);
    println!(
        "| minted, recorded durably | a second | CPU of control | a core of control | of sign + verify | \n|---|---:|---:|---:|---:|"
    );
    println!("| P-256 sign + verify alone, one core | {limit:.0} | – | {limit:.0} | 100 % |");
    let cpu = installation.server.cpu();
    let (minted, took) = x509(&control, &workloads, time).await;
    row("X.509-SVIDs", minted, took, installation.server.cpu() - cpu, limit);
    let cpu = installation.server.cpu();
    let (minted, took) = jwt(&control, &workloads, time).await;
    row("JWT-SVIDs", minted, took, installation.server.cpu() - cpu, limit);
}

fn row(what: &str, minted: u64, took: Duration, cpu: f64, limit: f64) {
    let (second, core) = (minted as f64 / took.as_secs_f64(), minted as f64 / cpu);
    println!(
        "| {what} | {second:.0} | {:.0} µs each | {core:.0} | {:.0} % |",
        cpu / minted as f64 * 1e6,
        core / limit * 100.0
    );
}

pub async fn registered(control: &agent::ControlPlane) -> Vec<Registration> {
    let mut client = control.client().await.expect("control answers");
    let mut updates = client.follow(FollowRequest {}).await.expect("it may follow").into_inner();
    let mut all = Vec::new();
    loop {
        let update = updates.message().await.expect("an update").expect("an update");
        all.extend(update.registrations);
        if !update.more {
            return all;
        }
    }
}

pub fn workload(registration: Registration) -> Workload {
    let Registration { name, digest, id, selectors, .. } = registration;
    Workload { registration: name, digest, id, selectors }
}

async fn x509(control: &Arc<agent::ControlPlane>, workloads: &Arc<Vec<Workload>>, time: Duration) -> (u64, Duration) {
    // keys are made by agents, each for itself
    let requests: Vec<Bytes> = (0..ORDERS).map(|_| net::svid::new_key().expect("a key").request.into()).collect();
    let requests = Arc::new(requests);
    let (minted, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut tasks = JoinSet::new();
    for task in 0..AT_ONCE {
        let (control, workloads, requests) = (Arc::clone(control), Arc::clone(workloads), Arc::clone(&requests));
        let minted = Arc::clone(&minted);
        tasks.spawn(async move {
            let mut client = control.client().await.expect("control answers");
            let mut next = task * ORDERS;
            while begun.elapsed() < time {
                let orders = requests.iter().map(|csr| {
                    next += 1;
                    Order { workload: Some(workloads[next % workloads.len()].clone()), csr: csr.clone() }
                });
                let orders = orders.collect();
                let answers = client.mint_x509(MintX509Request { orders }).await.expect("minted").into_inner().answers;
                for answer in &answers {
                    assert!(matches!(answer.answer, Some(x509_answer::Answer::Svid(_))), "{answer:?}");
                }
                minted.fetch_add(answers.len() as u64, Ordering::Relaxed);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a task that ends");
    }
    (minted.load(Ordering::Relaxed), begun.elapsed())
}

async fn jwt(control: &Arc<agent::ControlPlane>, workloads: &Arc<Vec<Workload>>, time: Duration) -> (u64, Duration) {
    let (minted, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut tasks = JoinSet::new();
    for task in 0..TOKENS_AT_ONCE {
        let (control, workloads, minted) = (Arc::clone(control), Arc::clone(workloads), Arc::clone(&minted));
        tasks.spawn(async move {
            let mut client = control.client().await.expect("control answers");
            let mut next = task;
            while begun.elapsed() < time {
                next += 1;
                let workload = Some(workloads[next % workloads.len()].clone());
                let asked = MintJwtRequest { workload, audience: vec!["bench".to_owned()] };
                let answer = client.mint_jwt(asked).await.expect("minted").into_inner().answer;
                assert!(matches!(answer, Some(mint_jwt_response::Answer::Svid(_))), "{answer:?}");
                minted.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a task that ends");
    }
    (minted.load(Ordering::Relaxed), begun.elapsed())
}

/// How often one core signs and verifies in a second.
fn signatures(time: Duration) -> f64 {
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.as_ref()).expect("a key");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref());
    let message = BASE64_URL_SAFE_NO_PAD.encode([7; 300]);
    let (mut done, begun) = (0_u64, Instant::now());
    while begun.elapsed() < time {
        let signature = key.sign(&random, message.as_bytes()).expect("a signature");
        public.verify(message.as_bytes(), signature.as_ref()).expect("it verifies");
        done += 1;
    }
    done as f64 / begun.elapsed().as_secs_f64()
}
