//! A herd: control comes back after a partition, and every agent wants all of its SVIDs at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agent::ControlPlane;
use bytes::Bytes;
use net::spread;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Code;
use wire::agent::{MintX509Request, Order, Workload, x509_answer};

use super::installation::{Installation, Node};
use super::mint::{registered, workload};

/// SVIDs of each agent.
const EACH: usize = 10;
/// As agents do: how long control may take, and how long they wait after a failure, at first and at most.
const WITHIN: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(1);
const LONGEST_AGAIN: Duration = Duration::from_secs(8);

pub async fn table(installation: &mut Installation, nodes: &[Node], streams: usize) {
    let took = installation.restart_server();
    let requests: Arc<Vec<Bytes>> =
        Arc::new((0..EACH).map(|_| net::svid::new_key().expect("a key").request.into()).collect());
    let mut agents = Vec::new();
    for node in nodes {
        let control = Arc::new(node.reach(installation));
        let workloads: Vec<Workload> = registered(&control).await.into_iter().map(workload).collect();
        for stream in 0..streams {
            let orders = requests.iter().enumerate().map(|(n, csr)| Order {
                workload: Some(workloads[(stream * EACH + n) % workloads.len()].clone()),
                csr: csr.clone(),
            });
            agents.push((Arc::clone(&control), orders.collect::<Vec<_>>()));
        }
    }
    let (count, turned_away, late) = (agents.len(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (cpu, begun, mut tasks) = (installation.server.cpu(), Instant::now(), JoinSet::new());
    for (control, orders) in agents {
        tasks.spawn(served(control, orders, Arc::clone(&turned_away), Arc::clone(&late), begun));
    }
    let mut waited = tasks.join_all().await;
    waited.sort_unstable();
    let (all, svids) = (begun.elapsed().as_secs_f64(), count * EACH);
    let part = |hundredth: usize| waited[(count * hundredth / 100).min(count - 1)].as_secs_f64();
    println!("\n| {count} agents come at once for {EACH} SVIDs each | |\n|---|---:|");
    println!("| control restarted, until it is ready | {:.1} s |", took.as_secs_f64());
    println!("| all have theirs after | {all:.1} s |");
    println!("| an agent has its own after: p50, p99 | {:.1} s, {:.1} s |", part(50), part(99));
    println!("| minted a second | {:.0} |", svids as f64 / all);
    println!("| turned away, and come again | {} |", turned_away.load(Ordering::Relaxed));
    println!("| given up by the agent | {} |", late.load(Ordering::Relaxed));
    println!("| CPU of control | {:.0} µs a SVID |", (installation.server.cpu() - cpu) / svids as f64 * 1e6);
    println!("| most memory of control | {:.0} MiB |", installation.server.most_resident());
}

/// Asks as an agent does, until all is minted; gives how long after `begun` that is.
async fn served(
    control: Arc<ControlPlane>,
    orders: Vec<Order>,
    turned_away: Arc<AtomicUsize>,
    late: Arc<AtomicUsize>,
    begun: Instant,
) -> Duration {
    let mut again = AGAIN;
    loop {
        let mut client = control.client().await.expect("control answers");
        match timeout(WITHIN, client.mint_x509(MintX509Request { orders: orders.clone() })).await {
            Ok(Ok(said)) => {
                let minted =
                    |answer: &wire::agent::X509Answer| matches!(answer.answer, Some(x509_answer::Answer::Svid(_)));
                let said = said.into_inner();
                assert!(said.answers.iter().all(minted), "{said:?}");
                return begun.elapsed();
            }
            Ok(Err(status)) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                turned_away.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                late.fetch_add(1, Ordering::Relaxed);
            }
        }
        sleep(again / 2 + spread(again / 2)).await;
        again = (again * 2).min(LONGEST_AGAIN);
    }
}
