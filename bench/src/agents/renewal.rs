//! An authority is tainted: how soon every workload has an SVID of another, and what that costs.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;
use wire::workload::{X509svid, X509svidResponse};

use super::installation::Installation;

/// How long all of it may take.
const WITHIN: Duration = Duration::from_secs(120);

/// Watches a stream until it ends: for each SVID that is another one than before, the moment is a line of output, in microseconds
/// since 1970.
pub async fn watched(first: X509svidResponse, stream: &mut tonic::Streaming<X509svidResponse>) {
    let of = |svid: X509svid| (svid.spiffe_id, svid.x509_svid);
    let mut known: HashMap<String, Bytes> = first.svids.into_iter().map(of).collect();
    while let Ok(Some(said)) = stream.message().await {
        let at = micros();
        for svid in said.svids {
            let (id, chain) = of(svid);
            if known.insert(id, chain.clone()).is_some_and(|before| before != chain) {
                println!("{at}");
            }
        }
    }
}

pub fn table(installation: &Installation, holders: &mut [Child], svids: usize) {
    let (say, hear) = mpsc::sync_channel::<u64>(svids.max(1));
    for holder in holders {
        let (out, say) = (holder.stdout.take().expect("it is piped"), say.clone());
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if line.parse().is_ok_and(|at| say.send(at).is_err()) {
                    return;
                }
            }
        });
    }
    let shown = installation.cli(&["authority", "show", "--kind", "x509", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let items = shown["items"].as_array().expect("items");
    let active = items.iter().find(|item| item["standing"] == "active").expect("an active authority");
    let active = active["id"].as_str().expect("an id").to_owned();
    for step in ["prepare", "activate"] {
        installation.cli(&["authority", step, "--kind", "x509"]);
    }
    let cpu = || (installation.server.cpu(), installation.agent().cpu());
    let (before, begun) = (cpu(), micros());
    installation.cli(&["authority", "taint", &active, "--kind", "x509"]);
    let mut took: Vec<u64> = Vec::with_capacity(svids);
    while took.len() < svids {
        let at = hear.recv_timeout(WITHIN).unwrap_or_else(|_| panic!("{} of {svids} SVIDs are another", took.len()));
        took.push(at.saturating_sub(begun));
    }
    let after = cpu();
    took.sort_unstable();
    let second = |part: usize| took[(svids * part / 100).min(svids - 1)] as f64 / 1e6;
    println!("| authority tainted, until a workload has another SVID: p50 of {svids} | {:.1} s |", second(50));
    println!("| the same, p99 and worst | {:.1} s, {:.1} s |", second(99), second(100));
    println!(
        "| CPU of control, and of the agent, for all of them | {:.1} s, {:.1} s |",
        after.0 - before.0,
        after.1 - before.1
    );
}

fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_micros()).expect("a clock before the year 500,000")
}
