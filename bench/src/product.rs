//! The built `countersign` as a process of its own: `countersign dev` on an estate made for the measurement.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::machine::{Cores, Process};
use crate::parties::{AUDIENCE, CALLER, DOMAIN, HOST, Identity, Issuer};

/// What an estate says besides what every estate here says.
pub struct Estate<'a> {
    pub service: SocketAddr,
    /// Issuers whose keys stand in the estate.
    pub issuers: &'a [&'a Issuer],
    /// Issuers whose keys lie at a URL: their names, and where.
    pub remote: &'a [(String, String)],
}

/// A dev server; ended when dropped.
pub struct Product {
    pub process: Process,
    folder: PathBuf,
    info: Value,
}

/// The binary beside this one.
pub fn binary() -> PathBuf {
    let bench = std::env::current_exe().expect("this program has a path");
    bench.with_file_name("countersign")
}

impl Product {
    /// Starts on an estate laid out in `folder`; gives how long it took until it said that it accepts.
    pub fn start(estate: &Estate<'_>, core: usize, cores: Cores, folder: &Path) -> (Self, Duration) {
        lay_out(estate, &folder.join("d/estate"));
        Self::again(core, cores, folder)
    }

    /// Starts on what is in `folder`.
    pub fn again(core: usize, cores: Cores, folder: &Path) -> (Self, Duration) {
        let directory = folder.join("d");
        let ready = directory.join("dev.json");
        // one that was killed leaves it
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(binary());
        command.args(["dev", "--listen", "127.0.0.1:0", "--dir"]).arg(&directory).env("NO_COLOR", "1");
        let begun = Instant::now();
        let mut process = Process::start(command, core, cores, folder);
        let written = process.until("countersign dev is ready", || fs::read(&ready).ok());
        let took = begun.elapsed();
        let info = serde_json::from_slice(&written).expect("dev.json is JSON");
        (Self { process, folder: directory, info }, took)
    }

    pub fn secure(&self) -> SocketAddr {
        let url = self.info["gateway"]["https"].as_str().expect("an address");
        url.trim_start_matches("https://").parse().expect("an address")
    }

    /// The caller's SVID, and the bundle that the gateway's is below.
    pub fn caller(&self) -> Identity {
        let svid = self.folder.join("svids/reporter");
        Identity { cert: svid.join("svid.pem"), key: svid.join("svid.key"), authority: self.folder.join("ca.pem") }
    }

    /// Revokes as the directory's owner; returns once the gateway decides by it.
    pub async fn revoke(&self, kind: &str, id: &str) {
        let socket = self.info["control"].as_str().expect("an address").trim_start_matches("unix:");
        let stream = UnixStream::connect(socket).await.expect("the control socket");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        let driver = tokio::spawn(async { drop(connection.await) });
        let body = serde_json::json!({"act": "revoke", "kind": kind, "id": id}).to_string();
        let request = Request::post("/v1/revocations").header(header::HOST, HOST);
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let said = answer.into_body().collect().await.expect("all of it").to_bytes();
        assert_eq!(status, StatusCode::OK, "{said:?}");
        driver.abort();
    }
}

fn lay_out(estate: &Estate<'_>, folder: &Path) {
    fs::create_dir_all(folder.join("keys")).expect("a folder of ours");
    for issuer in estate.issuers {
        let file = folder.join(format!("keys/{}.jwks.json", issuer.name));
        fs::write(file, issuer.key_set().to_string()).expect("a folder of ours");
    }
    fs::write(folder.join("estate.yaml"), documents(estate)).expect("a folder of ours");
    fs::write(folder.join("billing.cedar"), POLICIES).expect("a folder of ours");
}

fn documents(estate: &Estate<'_>) -> String {
    let here = estate.issuers.iter().map(|issuer| (issuer.name.as_str(), issuer.algorithm(), None));
    let there = estate.remote.iter().map(|(name, url)| (name.as_str(), "ES256", Some(url)));
    let (mut text, mut bindings) = (ENVIRONMENT.to_owned(), String::new());
    for (name, algorithm, url) in here.chain(there) {
        let jwks = url.map_or_else(
            || format!("jwks: {{file: keys/{name}.jwks.json}}"),
            |url| format!("jwks: {{url: \"{url}\"}}, dangerouslyAllowLoopbackHttp: true"),
        );
        let _ = write!(
            text,
            "---
apiVersion: countersign.dev/v1
kind: TrustSource
metadata: {{name: {name}}}
spec:
  proves: [Workload]
  oidc: {{issuer: \"https://issuer.bench.test/{name}\", {jwks}, audiences: [\"{AUDIENCE}\"], algorithms: [{algorithm}], requiredClaims: [iss, sub, aud, exp, iat], maxAge: 2h}}
  identityKey: [sub]
"
        );
        let _ = write!(bindings, "{{source: {name}, key: [\"{CALLER}\"]}}, ");
    }
    let _ = write!(
        text,
        "---
apiVersion: countersign.dev/v1
kind: Principal
metadata: {{name: reporter}}
spec: {{kind: Workload, id: \"{CALLER}\", owner: team-billing, purpose: monthly report, risk: low, expires: 2027-11-01T00:00:00Z, groups: [readers], bindings: [{bindings}]}}
---
apiVersion: countersign.dev/v1
kind: Service
metadata: {{name: billing-api}}
spec:
  hosts: [{HOST}]
  upstream: {{url: \"http://{}\"}}
  limits: {{inFlight: 4096, inFlightPerPrincipal: 4096}}
  http:
    - {{match: \"GET /invoices/{{invoice}}\", action: read, resource: billing/invoices}}
    - {{match: \"POST /invoices\", action: write, resource: billing/invoices}}
",
        estate.service
    );
    text.replace("DOMAIN", DOMAIN)
}

const ENVIRONMENT: &str = "apiVersion: countersign.dev/v1
kind: Environment
metadata: {name: production}
spec: {trustDomain: DOMAIN}
---
apiVersion: countersign.dev/v1
kind: ResourceTree
metadata: {name: billing}
spec:
  owner: team-billing
  resources:
    billing: {sensitivity: internal, tiers: {read: routine, write: routine, administer: critical, effect: critical}}
    billing/invoices: {}
---
apiVersion: countersign.dev/v1
kind: Group
metadata: {name: readers}
spec: {members: []}
";

/// One that lets the caller through, one that could forbid it, and one that says nothing of it.
const POLICIES: &str = r#"@id("readers-read") @owner("team-billing") @purpose("reports read invoices")
permit (principal in Group::"readers", action in Action::"read", resource in Resource::"billing/invoices");

@id("reporter-writes") @owner("team-billing") @purpose("the report is filed")
permit (principal == Workload::"spiffe://prod.bench.test/billing/reporter", action in Action::"write", resource in Resource::"billing/invoices");

@id("risky-callers-prove-possession") @owner("security") @purpose("a stolen token of a risky caller is worth nothing")
forbid (principal is Workload, action, resource) when { principal.risk == "high" } unless { context.evidence.contains("sender_bound") };
"#;
