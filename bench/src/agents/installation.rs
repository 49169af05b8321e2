//! A control plane and a node agent, laid out by `init`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::ControlPlane;
use bytes::Bytes;
use credential::{Authorities, Bundle};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use net::svid::new_key;
use net::tls::OwnSvid;
use net::{Connections, Nodes};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use wire::agent::{AttestRequest, Evidence, attest_request, attest_response};

use crate::machine::Process;

pub const DOMAIN: &str = "prod.bench.test";
const ESTATE: &str = "apiVersion: countersign.dev/v1\nkind: Environment\nmetadata: {name: bench}\nspec: {trustDomain: prod.bench.test}\n";
/// How long anything may take.
const WITHIN: Duration = Duration::from_secs(120);

/// A binary beside this one.
pub fn binary(name: &str) -> PathBuf {
    std::env::current_exe().expect("this program has a path").with_file_name(name)
}

pub struct Installation {
    folder: TempDir,
    pub server: Process,
    agent: Option<Process>,
    socket: String,
}

impl Installation {
    /// A server that accepts, with an empty estate in force.
    pub fn serving() -> Self {
        Self::serving_on(None)
    }

    /// The same, on this PostgreSQL database.
    pub fn serving_on(state: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // agents serve workloads of every user
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let root = folder.path().to_owned();
        let run = |args: &[&str]| cli(&root, args);
        let d = root.join("d");
        let dir = d.to_str().expect("a plain path");
        run(&["init", "--environment", "bench", "--trust-domain", DOMAIN, "--dir", dir]);
        edit(&d.join("server.yaml"), &[("127.0.0.1:8444", "127.0.0.1:0"), ("127.0.0.1:8445", "127.0.0.1:0")]);
        if let Some(url) = state {
            fs::write(d.join("state.url"), url).expect("it can be written");
            edit(&d.join("server.yaml"), &[("state: state/state.db ", "stateUrlFile: state.url ")]);
        }
        fs::write(d.join("estate/estate.yaml"), ESTATE).expect("it can be written");
        let server = server(&root);
        run(&["apply", "--yes", "-f", d.join("estate").to_str().expect("a plain path"), "--dir", dir]);
        for name in ["bench", "node-1"] {
            let token = run(&["enroll", "token", "--role", "agent", "--name", name, "--dir", dir]);
            fs::write(root.join(format!("{name}.token")), token).expect("it can be written");
        }
        let socket = root.join("workload/api.sock").to_str().expect("a plain path").to_owned();
        Self { folder, server, agent: None, socket }
    }

    /// Ends the server, and starts it again; gives how long that took until it was ready.
    pub fn restart_server(&mut self) -> Duration {
        self.server.kill();
        let _ = fs::remove_file(self.dir().join("ready.json"));
        let begun = Instant::now();
        self.server = server(self.folder.path());
        begun.elapsed()
    }

    /// What a command says, with the directory of the server.
    pub fn cli(&self, args: &[&str]) -> String {
        let d = self.dir();
        cli(self.folder.path(), &[args, &["--dir", d.to_str().expect("a plain path")]].concat())
    }

    /// A node of this name that is attested.
    pub async fn node_called(&self, name: &str) -> Node {
        let asked = json!({"role": "agent", "name": name});
        let token = self.post("/v1/enrolments", &asked).await;
        self.attested(token["token"].as_str().expect("a token").to_owned()).await
    }

    /// Starts the agent of a node.
    pub fn join(&mut self) {
        let d = self.dir();
        let planes = self.ready()["planes"].as_str().expect("an address").to_owned();
        let changes = [
            ("https://127.0.0.1:8444", planes.as_str()),
            ("/run/countersign/agent.sock", self.socket.as_str()),
            ("directory: /var/lib/countersign-agent ", "admin: 127.0.0.1:0\ndirectory: agent "),
        ];
        edit(&d.join("agent.yaml"), &changes);
        let mut command = Command::new(binary("countersign-agent"));
        command.arg("--config").arg(d.join("agent.yaml")).arg("--enroll-token-file").arg(self.path("node-1.token"));
        command.env("COUNTERSIGN_LOG", "warn");
        let mut agent = Process::anywhere(command, &self.path("agent.log"));
        agent.until("the agent is ready", || fs::read(d.join("agent/ready.json")).ok());
        self.agent = Some(agent);
    }

    pub fn socket(&self) -> &str {
        &self.socket
    }

    pub fn agent(&self) -> &Process {
        self.agent.as_ref().expect("an agent")
    }

    /// Waits until the agent keeps so many SVIDs.
    pub fn until_svids(&self, wanted: usize) {
        let ready: Value =
            serde_json::from_slice(&fs::read(self.dir().join("agent/ready.json")).expect("it is ready")).expect("JSON");
        let admin = ready["admin"].as_str().expect("an address").trim_start_matches("http://").to_owned();
        let begun = Instant::now();
        loop {
            let page = get(&admin, "/metrics");
            let kept =
                page.lines().find_map(|line| line.strip_prefix("countersign_agent_svids ")?.parse::<usize>().ok());
            if kept.is_some_and(|kept| kept >= wanted) {
                return;
            }
            assert!(begun.elapsed() < WITHIN, "{kept:?} of {wanted} SVIDs after {WITHIN:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Registers what `documents` say, beside the estate.
    pub async fn register(&self, documents: String) {
        let body = json!({"put": {"a.yaml": documents}});
        self.post("/v1/registrations", &body).await;
    }

    /// Registers so many identities of one user.
    pub async fn register_user(&self, uid: u32, count: usize) {
        let documents = (0..count).map(|n| document(&format!("u{uid}-{n}"), &format!("unix:uid:{uid}"), "node-1"));
        self.register(documents.collect::<Vec<_>>().join("---\n")).await;
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let socket = self.ready()["control"].as_str().expect("an address").trim_start_matches("unix:").to_owned();
        let stream = UnixStream::connect(socket).await.expect("the control socket");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        let driver = tokio::spawn(async { drop(connection.await) });
        let request = Request::post(path).header(header::HOST, "bench").body(Full::new(Bytes::from(body.to_string())));
        let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
        let status = answer.status();
        let said = answer.into_body().collect().await.expect("all of it").to_bytes();
        assert_eq!(status, StatusCode::OK, "{said:?}");
        driver.abort();
        serde_json::from_slice(&said).expect("JSON")
    }

    /// A node that is attested, and speaks to control as an agent does.
    pub async fn node(&self) -> ControlPlane {
        let token = fs::read_to_string(self.path("bench.token")).expect("a token");
        self.attested(token.trim().to_owned()).await.reach(self)
    }

    async fn attested(&self, payload: String) -> Node {
        let pem = fs::read_to_string(self.dir().join("ca.pem")).expect("the authorities");
        let authority = issuer::pem::decode("CERTIFICATE", &pem).expect("one certificate");
        let domain: model::TrustDomain = DOMAIN.parse().expect("a trust domain");
        let source = credential::SVIDS.parse().expect("a name");
        let bundle = Bundle::new(source, domain, &[authority], issuer::BACKDATE).expect("a bundle");
        let node = Node { own: Arc::default(), bundle };
        let key = new_key().expect("a key");
        let evidence = Evidence {
            method: "join_token".to_owned(),
            payload: payload.into(),
            csr: key.request.clone().into(),
            source: String::new(),
        };
        let asked = AttestRequest { step: Some(attest_request::Step::Evidence(evidence)) };
        let first = node.reach(self);
        let mut client = first.client().await.expect("control answers");
        let mut said = client.attest(futures_util::stream::iter([asked])).await.expect("attested").into_inner();
        let step = said.message().await.expect("an answer").and_then(|answer| answer.step);
        let Some(attest_response::Step::Svid(svid)) = step else { panic!("no SVID") };
        node.own
            .install(&svid.chain.iter().map(|der| der.to_vec()).collect::<Vec<_>>(), &key.pkcs8)
            .expect("it can be used");
        node
    }

    fn ready(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dir().join("ready.json")).expect("it is ready")).expect("JSON")
    }

    fn dir(&self) -> PathBuf {
        self.path("d")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A node that is attested.
pub struct Node {
    own: Arc<OwnSvid>,
    bundle: Bundle,
}

impl Node {
    /// Speaks to control as an agent does, on a connection of its own.
    pub fn reach(&self, installation: &Installation) -> ControlPlane {
        let connections = Connections::new(Arc::clone(&self.own));
        connections.trust(Authorities::new([self.bundle.clone()]));
        let id = format!("spiffe://{DOMAIN}/countersign/server").parse().expect("a SPIFFE ID");
        let ready = installation.ready();
        let planes = ready["planes"].as_str().expect("an address").trim_start_matches("https://");
        ControlPlane::new(Nodes::new(vec![planes.parse().expect("an address")], connections.multiplexed(id)))
    }
}

fn cli(root: &Path, args: &[&str]) -> String {
    let mut command = Command::new(binary("countersign"));
    let ran = command.args(args).env("COUNTERSIGN_CONTEXT", root.join("context.json")).output().expect("it runs");
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

/// Starts the server that is laid out under `root`, and waits until it is ready.
fn server(root: &Path) -> Process {
    let d = root.join("d");
    let mut command = Command::new(binary("countersign"));
    command.arg("server").arg("--config").arg(d.join("server.yaml")).env("NO_COLOR", "1");
    let mut server = Process::anywhere(command, &root.join("server.log"));
    server.until("the server is ready", || fs::read(d.join("ready.json")).ok());
    server
}

/// A registration of a node.
pub fn document(name: &str, selector: &str, node: &str) -> String {
    format!(
        "apiVersion: countersign.dev/v1\nkind: Registration\nmetadata: {{name: {name}}}\nspec: {{id: \"spiffe://{DOMAIN}/{name}\", \
         nodes: [\"node:name:{node}\"], selectors: [\"{selector}\"]}}\n"
    )
}

fn edit(path: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(path).expect("settings");
    for (old, new) in changes {
        assert!(text.contains(old), "no `{old}`");
        text = text.replace(old, new);
    }
    fs::write(path, text).expect("it can be written");
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("text");
    said
}
