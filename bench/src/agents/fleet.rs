//! A fleet: very many registrations in PostgreSQL, and very many agents that follow one control node.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agent::ControlPlane;
use testkit::postgres::Postgres;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::agent::FollowRequest;

use super::herd;
use super::installation::{Installation, document};

/// How much is measured.
pub struct Fleet {
    registrations: usize,
    /// Identities, each on a connection of its own.
    nodes: usize,
    /// Agents that each of them stands for: streams on its connection.
    streams: usize,
}

pub const FULL: Fleet = Fleet { registrations: 1_000_000, nodes: 125, streams: 80 };
pub const QUICK: Fleet = Fleet { registrations: 2_000, nodes: 2, streams: 5 };

/// Registrations of one request.
const BATCH: usize = 1_000;
const IDLE: Duration = Duration::from_secs(10);
const CHANGES: usize = 5;

pub async fn table(fleet: &Fleet) {
    let Some(postgres) = Postgres::alone() else { return };
    postgres.make_database("fleet");
    let mut installation = Installation::serving_on(Some(&postgres.url("fleet")));
    println!("\n| {} registrations, {} agents | |\n|---|---:|", fleet.registrations, fleet.nodes * fleet.streams);
    println!("| memory of control, empty | {:.0} MiB |", installation.server.resident());
    let begun = Instant::now();
    for batch in 0..fleet.registrations.div_ceil(BATCH) {
        let one = |n: usize| {
            let n = batch * BATCH + n;
            document(
                &format!("w{n}"),
                &format!("k8s:pod-name:w{n}"),
                &format!("node-{}", n % (fleet.nodes * fleet.streams)),
            )
        };
        installation.register((0..BATCH).map(one).collect::<Vec<_>>().join("---\n")).await;
    }
    println!("| registering them, {BATCH} at a time | {:.0} s |", begun.elapsed().as_secs_f64());
    println!("| memory of control | {:.0} MiB |", installation.server.resident());
    let took = installation.restart_server();
    println!("| control restarted, until it is ready | {:.1} s |", took.as_secs_f64());
    println!("| memory of control, restarted | {:.0} MiB |", installation.server.resident());

    let (heard, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    let begun = Instant::now();
    let mut nodes = Vec::new();
    for node in 0..fleet.nodes {
        let node = installation.node_called(&format!("node-{node}")).await;
        let control = Arc::new(node.reach(&installation));
        for _ in 0..fleet.streams {
            tasks.spawn(follow(Arc::clone(&control), Arc::clone(&heard)));
        }
        nodes.push(node);
    }
    let agents = fleet.nodes * fleet.streams;
    until(&heard, agents).await;
    println!("| all agents attested and told everything | {:.1} s |", begun.elapsed().as_secs_f64());
    println!("| memory of control, followed | {:.0} MiB |", installation.server.resident());
    let cpu = installation.server.cpu();
    sleep(IDLE).await;
    println!(
        "| CPU of control, idle | {:.1} % of a core |",
        (installation.server.cpu() - cpu) / IDLE.as_secs_f64() * 100.0
    );
    let mut pushed = Vec::new();
    for change in 0..CHANGES {
        let before = heard.load(Ordering::Acquire);
        let begun = Instant::now();
        let text = document("everywhere", &format!("unix:uid:{change}"), "x").replace("node:name:x", "node:any");
        installation.register(text).await;
        until(&heard, before + agents).await;
        pushed.push(begun.elapsed());
    }
    pushed.sort_unstable();
    println!("| one change, until all agents have it: median | {:.2} s |", pushed[CHANGES / 2].as_secs_f64());
    println!("| the same, worst of {CHANGES} | {:.2} s |", pushed[CHANGES - 1].as_secs_f64());
    tasks.shutdown().await;
    herd::table(&mut installation, &nodes, fleet.streams).await;
}

/// Counts whole updates.
async fn follow(control: Arc<ControlPlane>, heard: Arc<AtomicUsize>) {
    let mut client = control.client().await.expect("control answers");
    let mut updates = client.follow(FollowRequest {}).await.expect("it may follow").into_inner();
    while let Ok(Some(update)) = updates.message().await {
        if !update.more {
            heard.fetch_add(1, Ordering::AcqRel);
        }
    }
}

async fn until(heard: &AtomicUsize, wanted: usize) {
    let reached = async {
        while heard.load(Ordering::Acquire) < wanted {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(300), reached).await.unwrap_or_else(|_| panic!("{heard:?} of {wanted}"));
}
