//! What a request costs at the gateway, beside a proxy that checks nothing and one that checks the same.
//!
//! The proxy under test has one core for itself; the load and the service behind it share the other. Cases are taken in
//! turn, and that three times over, so that what else the machine does falls on all of them alike; of each case the round
//! that took least of the core is shown.

mod envoy;
mod nginx;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::load::{Clients, Credentials, Protocol, Seen, Target, tls};
use crate::machine::{Cores, Process, cores, stay_on};
use crate::parties::{Identity, Issuer, certificates, service};
use crate::product::{Estate, Product, binary};
use envoy::{Checks, TokenCache};

/// How much is measured.
pub struct Extent {
    rounds: usize,
    warm: Duration,
    loaded: Duration,
    alone: Duration,
    /// More than any memo holds: taken in turn, none is known when it comes again.
    tokens: usize,
}

pub const FULL: Extent = Extent {
    rounds: 3,
    warm: Duration::from_millis(300),
    loaded: Duration::from_millis(2000),
    alone: Duration::from_millis(700),
    tokens: 12_000,
};
pub const QUICK: Extent = Extent {
    rounds: 1,
    warm: Duration::from_millis(100),
    loaded: Duration::from_millis(300),
    alone: Duration::from_millis(100),
    tokens: 200,
};

/// Connections of HTTP/1.1 under load; and of HTTP/2, with streams each.
const HTTP1: (usize, usize) = (32, 1);
const HTTP2: (usize, usize) = (4, 8);

const HEAD: &str = "\
| | requests/s | busy | CPU-s per 10,000 | × nginx | × Envoy with checks | p50 | p99 | alone p50 | p99 | added p50 | p99 | memory |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

/// Who stands between the load and the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proxy {
    None,
    Nginx,
    EnvoyBare,
    EnvoyChecks(TokenCache),
    Countersign,
}

/// What requests carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    Nothing,
    Certificate,
    Token(Algorithm, Fresh),
    /// A certificate, and a token of the same caller.
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Es256,
    Rs256,
}

/// Whether a token was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fresh {
    No,
    Yes,
}

struct Case {
    title: &'static str,
    proxy: Proxy,
    carried: Carried,
}

const CASES: &[Case] = &[
    Case { title: "nginx, no check", proxy: Proxy::Nginx, carried: Carried::Nothing },
    Case { title: "Envoy, no check", proxy: Proxy::EnvoyBare, carried: Carried::Nothing },
    Case { title: "Envoy, mTLS + token + RBAC", proxy: Proxy::EnvoyChecks(TokenCache::On), carried: Carried::Both },
    Case {
        title: "Envoy, the same, no token cache",
        proxy: Proxy::EnvoyChecks(TokenCache::Off),
        carried: Carried::Both,
    },
    Case { title: "**Countersign, mTLS + token**", proxy: Proxy::Countersign, carried: Carried::Both },
    Case { title: "Countersign, mTLS", proxy: Proxy::Countersign, carried: Carried::Certificate },
    Case {
        title: "Countersign, ES256 token",
        proxy: Proxy::Countersign,
        carried: Carried::Token(Algorithm::Es256, Fresh::No),
    },
    Case {
        title: "Countersign, RS256 token",
        proxy: Proxy::Countersign,
        carried: Carried::Token(Algorithm::Rs256, Fresh::No),
    },
    Case {
        title: "Countersign, a new ES256 token each",
        proxy: Proxy::Countersign,
        carried: Carried::Token(Algorithm::Es256, Fresh::Yes),
    },
    Case {
        title: "Countersign, a new RS256 token each",
        proxy: Proxy::Countersign,
        carried: Carried::Token(Algorithm::Rs256, Fresh::Yes),
    },
];

/// What was measured of a case.
struct Measured {
    loaded: Seen,
    alone: Seen,
    /// Seconds of the proxy's core during the load.
    cpu: f64,
    resident: f64,
}

/// Runs the cases whose title holds `only`.
pub fn run(extent: &Extent, only: &str) -> ExitCode {
    let Some(programs) = Programs::find() else { return ExitCode::FAILURE };
    let world = World::new(programs, extent);
    println!(
        "{} rounds in turn, the best of each. Load: HTTP/1.1 {} connections; HTTP/2 {} connections, {} streams each.",
        extent.rounds, HTTP1.0, HTTP2.0, HTTP2.1
    );
    for (name, protocol) in [("HTTP/1.1", Protocol::Http1), ("HTTP/2", Protocol::Http2)] {
        println!("\n{name} over TLS\n\n{HEAD}");
        world.table(protocol, extent, only);
    }
    ExitCode::SUCCESS
}

/// The programs that are measured.
struct Programs {
    envoy: PathBuf,
}

impl Programs {
    /// Says what is missing, and how to get it.
    fn find() -> Option<Self> {
        let wanted = [
            (on_path(nginx::PROGRAM), nginx::PROGRAM, nginx::INSTALL),
            (on_path(envoy::PROGRAM), envoy::PROGRAM, envoy::INSTALL),
            (Some(binary()).filter(|path| path.exists()), "countersign", "cargo build --release -p countersign"),
        ];
        for (_, program, install) in wanted.iter().filter(|(found, ..)| found.is_none()) {
            eprintln!("`{program}` is not there: {install}");
        }
        let [(Some(_), ..), (Some(envoy), ..), (Some(_), ..)] = wanted else { return None };
        Some(Self { envoy })
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// All that cases share.
struct World {
    programs: Programs,
    cores: Cores,
    runtime: Runtime,
    service: SocketAddr,
    folder: TempDir,
    server: Identity,
    caller: Identity,
    es256: Issuer,
    rs256: Issuer,
    fresh: [Arc<Credentials>; 2],
}

impl World {
    fn new(programs: Programs, extent: &Extent) -> Self {
        let cores = cores();
        stay_on(cores.load);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (server, caller) = certificates(folder.path());
        let (es256, rs256) = (Issuer::es256("es256", "es-1"), Issuer::rs256("rs256", "rs-1"));
        let fresh = [&es256, &rs256]
            .map(|issuer| Credentials::bearer((0..extent.tokens).map(|n| issuer.token(&format!("fresh-{n}")))));
        Self { programs, cores, runtime, service: service(), folder, server, caller, es256, rs256, fresh }
    }

    fn table(&self, protocol: Protocol, extent: &Extent, only: &str) {
        let cases: Vec<&Case> = CASES.iter().filter(|case| case.title.contains(only)).collect();
        let nothing = Case { title: "no proxy, in the clear", proxy: Proxy::None, carried: Carried::Nothing };
        let direct = self.measure(&nothing, Protocol::Http1, extent);
        let mut best: Vec<Option<Measured>> = cases.iter().map(|_| None).collect();
        for _ in 0..extent.rounds {
            for (case, best) in cases.iter().zip(&mut best) {
                let seen = self.measure(case, protocol, extent);
                if best.as_ref().is_none_or(|best| seen.cost() < best.cost()) {
                    *best = Some(seen);
                }
            }
        }
        let of = |proxy| {
            let found = cases.iter().zip(&best).find(|(case, _)| case.proxy == proxy);
            found.and_then(|(_, measured)| measured.as_ref().map(Measured::cost))
        };
        let against = [of(Proxy::Nginx), of(Proxy::EnvoyChecks(TokenCache::On))];
        println!("{}", row(&nothing, &direct, &direct, [None, None]));
        for (case, measured) in cases.iter().zip(&best) {
            println!("{}", row(case, measured.as_ref().expect("a round"), &direct, against));
        }
    }

    fn measure(&self, case: &Case, protocol: Protocol, extent: &Extent) -> Measured {
        let folder = tempfile::tempdir_in(self.folder.path()).expect("a temporary folder");
        let (mut process, target) = self.start(case, protocol, folder.path());
        let (connections, streams) = if protocol == Protocol::Http2 { HTTP2 } else { HTTP1 };
        let open = |connections, streams| self.runtime.block_on(Clients::open(&target, connections, streams));
        let mut many = match &mut process {
            Some(process) => process.until("connections are taken", || open(connections, streams).ok()),
            None => open(connections, streams).expect("our own service"),
        };
        let cpu = || process.as_ref().map_or(0.0, Process::cpu);
        self.runtime.block_on(many.drive(extent.warm));
        let before = cpu();
        let loaded = self.runtime.block_on(many.drive(extent.loaded));
        let used = cpu() - before;
        drop(many);
        let mut one = open(1, 1).expect("a connection");
        self.runtime.block_on(one.drive(extent.warm));
        let alone = self.runtime.block_on(one.drive(extent.alone));
        let resident = process.as_ref().map_or(0.0, Process::resident);
        Measured { loaded, alone, cpu: used, resident }
    }

    fn start(&self, case: &Case, protocol: Protocol, folder: &Path) -> (Option<Process>, Target) {
        let credentials = self.credentials(case.carried);
        let certificate = matches!(case.carried, Carried::Certificate | Carried::Both);
        let over = |address, identity: &Identity| Target {
            address,
            tls: Some(tls(identity, protocol, certificate)),
            protocol,
            credentials: Arc::clone(&credentials),
        };
        let listen = free();
        let command = match case.proxy {
            Proxy::None => {
                return (None, Target { address: self.service, tls: None, protocol, credentials });
            }
            Proxy::Countersign => {
                let estate = Estate { service: self.service, issuers: &[&self.es256, &self.rs256], remote: &[] };
                let (product, _) = Product::start(&estate, self.cores.measured, self.cores, folder);
                let target = over(product.secure(), &product.caller());
                return (Some(product.process), target);
            }
            Proxy::Nginx => nginx::command(folder, listen, self.service, &self.server),
            Proxy::EnvoyBare => self.envoy(folder, listen, None),
            Proxy::EnvoyChecks(cache) => self.envoy(folder, listen, Some(&Checks { issuer: &self.es256, cache })),
        };
        let process = Process::start(command, self.cores.measured, self.cores, folder);
        (Some(process), over(listen, &self.caller))
    }

    fn envoy(&self, folder: &Path, listen: SocketAddr, checks: Option<&Checks<'_>>) -> std::process::Command {
        envoy::command(&self.programs.envoy, folder, listen, self.service, &self.server, checks)
    }

    fn credentials(&self, carried: Carried) -> Arc<Credentials> {
        let known = |issuer: &Issuer| Credentials::bearer([issuer.token("known")]);
        let [es256, rs256] = &self.fresh;
        match carried {
            Carried::Nothing | Carried::Certificate => Credentials::bearer([]),
            Carried::Both | Carried::Token(Algorithm::Es256, Fresh::No) => known(&self.es256),
            Carried::Token(Algorithm::Rs256, Fresh::No) => known(&self.rs256),
            Carried::Token(Algorithm::Es256, Fresh::Yes) => Arc::clone(es256),
            Carried::Token(Algorithm::Rs256, Fresh::Yes) => Arc::clone(rs256),
        }
    }
}

impl Measured {
    /// Seconds of the proxy's core for 10,000 requests.
    fn cost(&self) -> f64 {
        self.cpu * 10_000.0 / self.loaded.times.len() as f64
    }
}

fn row(case: &Case, seen: &Measured, direct: &Measured, against: [Option<f64>; 2]) -> String {
    let cost = seen.cost();
    let [nginx, envoy] = against.map(|other| other.map_or("–".to_owned(), |other| format!("{:.2}", cost / other)));
    let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    let added = |part| millis(seen.alone.percentile(part).saturating_sub(direct.alone.percentile(part)));
    let columns = [
        case.title.to_owned(),
        format!("{:.0}", seen.loaded.rate()),
        format!("{:.0} %", seen.cpu / seen.loaded.took.as_secs_f64() * 100.0),
        format!("{cost:.2}"),
        nginx,
        envoy,
        millis(seen.loaded.percentile(50)),
        millis(seen.loaded.percentile(99)),
        millis(seen.alone.percentile(50)),
        millis(seen.alone.percentile(99)),
        added(50),
        added(99),
        format!("{:.0} MiB", seen.resident),
    ];
    format!("| {} |", columns.join(" | "))
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}
