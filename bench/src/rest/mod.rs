//! What else it costs to run: memory, start-up, size, the ledger, and how soon a change holds.

mod changes;
mod ledger;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::load::{Clients, Credentials, Protocol, Target, tls};
use crate::machine::{Cores, cores, raise_descriptors, stay_on};
use crate::parties::{Issuer, service};
use crate::product::{Estate, Product, binary};

/// How much is measured.
pub struct Extent {
    /// Open connections at which memory is looked at, in ascending order.
    connections: &'static [usize],
    starts: usize,
    /// Judgements of each caller of the ledger: routine, and durable.
    records: (u64, u64),
    trials: usize,
}

pub const FULL: Extent = Extent { connections: &[0, 1_000, 10_000], starts: 5, records: (3_000, 200), trials: 50 };
pub const QUICK: Extent = Extent { connections: &[0, 100], starts: 1, records: (50, 5), trials: 2 };

/// Descriptors beside those of connections.
const BESIDE: u64 = 200;

pub fn run(extent: &Extent) -> ExitCode {
    if !binary().exists() {
        eprintln!("`countersign` is not there: cargo build --release -p countersign");
        return ExitCode::FAILURE;
    }
    let most = extent.connections.iter().max().copied().unwrap_or_default() as u64;
    let allowed = raise_descriptors();
    if allowed < most + BESIDE {
        eprintln!(
            "{most} connections need {} descriptors and {allowed} are allowed: raise `ulimit -Hn`",
            most + BESIDE
        );
        return ExitCode::FAILURE;
    }
    let cores = cores();
    // the ledger alone, with all cores
    let folder = tempfile::tempdir().expect("a temporary folder");
    let both = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    both.block_on(ledger::table(folder.path(), extent.records.0, extent.records.1));
    stay_on(cores.load);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let service = service();
    process(&runtime, service, cores, extent);
    runtime.block_on(changes::table(service, cores, folder.path(), extent.trials));
    ExitCode::SUCCESS
}

fn process(runtime: &Runtime, service: SocketAddr, cores: Cores, extent: &Extent) {
    println!("\n| process | |\n|---|---:|");
    let size = binary().metadata().expect("a binary").len();
    println!("| binary | {:.1} MiB |", size as f64 / f64::from(1 << 20));
    let issuer = Issuer::es256("es256", "es-1");
    let estate = Estate { service, issuers: &[&issuer], remote: &[] };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (fresh, again) = starts(&estate, cores, folder.path(), extent.starts);
    println!("| start with nothing there, until it accepts | {:.0} ms |", fresh.as_secs_f64() * 1e3);
    println!("| start again | {:.0} ms |", again.as_secs_f64() * 1e3);
    let (product, _) = Product::again(cores.measured, cores, folder.path());
    let target = Target {
        address: product.secure(),
        tls: Some(tls(&product.caller(), Protocol::Http1, false)),
        protocol: Protocol::Http1,
        credentials: Credentials::bearer([issuer.token("known")]),
    };
    // held open to the end
    let mut held = Vec::new();
    let mut open = 0;
    for wanted in extent.connections {
        let mut more = runtime.block_on(Clients::open(&target, wanted - open, 1)).expect("connections");
        runtime.block_on(more.each_once());
        held.push(more);
        open = *wanted;
        println!("| memory with {wanted} open connections (TLS, HTTP/1.1) | {:.0} MiB |", product.process.resident());
    }
}

/// The quickest start on an empty directory, and the quickest on one that is there.
fn starts(estate: &Estate<'_>, cores: Cores, folder: &Path, times: usize) -> (Duration, Duration) {
    let fresh = (0..times).map(|n| Product::start(estate, cores.measured, cores, &folder.join(n.to_string())).1);
    let fresh = fresh.min().expect("a start");
    drop(Product::start(estate, cores.measured, cores, folder));
    let again = (0..times).map(|_| Product::again(cores.measured, cores, folder).1).min().expect("a start");
    (fresh, again)
}
