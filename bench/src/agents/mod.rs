//! What identities cost: SVIDs a second at the control plane, how soon a registration is in a workload's hands, and what an
//! agent holds. Server and agent are the built binaries; both cores are everybody's.

mod fleet;
mod herd;
mod installation;
mod mint;
mod reach;
mod renewal;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use tokio::runtime::Builder;

use self::installation::Installation;
use crate::machine::raise_descriptors;

/// How much is measured.
pub struct Extent {
    /// How long SVIDs are minted.
    seconds: u64,
    trials: usize,
    /// SVIDs at which the memory of an agent is looked at, in ascending order.
    svids: &'static [usize],
    fleet: &'static fleet::Fleet,
}

pub const FULL: Extent = Extent { seconds: 6, trials: 200, svids: &[0, 1_000, 10_000], fleet: &fleet::FULL };
pub const QUICK: Extent = Extent { seconds: 1, trials: 5, svids: &[0, 100], fleet: &fleet::QUICK };

/// SVIDs of one user: an agent gives one workload no more than 128.
const OF_ONE: usize = 100;
/// The first of the users whose SVIDs are held.
const FIRST_USER: u32 = 20_000;

pub fn run(extent: &Extent) -> ExitCode {
    for binary in ["countersign", "countersign-agent"] {
        if !installation::binary(binary).exists() {
            eprintln!("`{binary}` is not there: cargo build --release -p countersign -p agent");
            return ExitCode::FAILURE;
        }
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut installation = Installation::serving();
    runtime.block_on(mint::table(&installation, Duration::from_secs(extent.seconds)));
    installation.join();
    runtime.block_on(reach::table(&installation, extent.trials));
    memory(&runtime, &mut installation, extent);
    drop(installation);
    raise_descriptors();
    runtime.block_on(fleet::table(extent.fleet));
    ExitCode::SUCCESS
}

/// Holds every SVID of this user open, until it is ended, and says when one of them is another.
pub fn hold(socket: &str) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (first, mut stream) = reach::svids(socket).await;
        renewal::watched(first, &mut stream).await;
    });
}

fn memory(runtime: &tokio::runtime::Runtime, installation: &mut Installation, extent: &Extent) {
    let size = installation::binary("countersign-agent").metadata().expect("a binary").len();
    println!("\n| agent | |\n|---|---:|\n| binary | {:.1} MiB |", size as f64 / f64::from(1 << 20));
    let mut holders: Vec<Child> = Vec::new();
    for svids in extent.svids.iter().copied() {
        let users = svids.div_ceil(OF_ONE);
        for user in holders.len()..users {
            runtime.block_on(installation.register_user(FIRST_USER + user as u32, OF_ONE));
        }
        while holders.len() < users {
            let user = FIRST_USER + holders.len() as u32;
            let mut holder = Command::new(std::env::current_exe().expect("this program has a path"));
            holder
                .args(["hold", installation.socket()])
                .uid(user)
                .gid(user)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            holders.push(holder.spawn().expect("root starts processes of others"));
        }
        installation.until_svids(svids);
        // what was needed to get there is given back
        std::thread::sleep(Duration::from_secs(3));
        println!(
            "| memory with {svids} SVIDs open, in {users} processes | {:.0} MiB |",
            installation.agent().resident()
        );
    }
    renewal::table(installation, &mut holders, extent.svids.last().copied().unwrap_or_default());
    for mut holder in holders {
        let _ = holder.kill();
        let _ = holder.wait();
    }
}
