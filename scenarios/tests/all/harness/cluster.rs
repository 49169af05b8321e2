//! The API server of a cluster, as `countersign dev kubernetes` serves it, over TLS and with curl as who uses it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{command, end};
use super::{binary, file_server, finish, folder, until};

/// A running API server, with one node and a service account; ended when dropped.
pub struct Cluster {
    folder: TempDir,
    child: Child,
    pub url: String,
}

impl Cluster {
    pub fn start() -> Self {
        let folder = folder();
        file_server::issue(folder.path());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let words = ["dev", "kubernetes", "--listen", "127.0.0.1:0", "--tls-cert-file", &path("leaf.pem")];
        let mut command = command(&binary(), &words);
        command.args(["--tls-private-key-file", &path("leaf.key"), "--dir", &path("d")]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let ready = folder.path().join("d/kubernetes/kubernetes.json");
        until("an API server", || ready.exists().then_some(()));
        let ready: Value = serde_json::from_slice(&fs::read(ready).unwrap()).unwrap();
        let url = ready["url"].as_str().unwrap().replace("127.0.0.1", "localhost");
        let cluster = Self { folder, child, url };
        let labels = json!({"topology.kubernetes.io/zone": "a"});
        cluster.done("POST", "/api/v1/nodes", &json!({"metadata": {"name": "worker-7", "labels": labels}}));
        cluster.done("POST", "/api/v1/namespaces/countersign/serviceaccounts", &json!({"metadata": {"name": "agent"}}));
        cluster.pod("agent-x");
        cluster
    }

    /// The settings by which a control plane asks it.
    pub fn settings(&self, source: &str) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        let (ca, token) = (path("ca.pem"), path("d/kubernetes/reviewer.token"));
        format!("clusters: [{{source: {source}, server: \"{}\", ca: {ca}, tokenFile: {token}}}]\n", self.url)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn pod(&self, name: &str) {
        let spec = json!({"serviceAccountName": "agent", "nodeName": "worker-7"});
        self.done("POST", "/api/v1/namespaces/countersign/pods", &json!({"metadata": {"name": name}, "spec": spec}));
    }

    /// A token of the agent, as the kubelet would project it into this pod.
    pub fn token(&self, pod: &str, audience: &str) -> String {
        let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": pod});
        let request = json!({"spec": {"audiences": [audience], "expirationSeconds": 3600, "boundObjectRef": bound}});
        let path = "/api/v1/namespaces/countersign/serviceaccounts/agent/token";
        self.done("POST", path, &request)["status"]["token"].as_str().unwrap().to_owned()
    }

    pub fn jwks(&self) -> Value {
        self.done("GET", "/openid/v1/jwks", &Value::Null)
    }

    pub fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.asked("admin", method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// What it answers to who has this token.
    pub fn asked(&self, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let token = fs::read_to_string(self.path(&format!("d/kubernetes/{who}.token"))).unwrap_or_default();
        let mut curl = command(std::path::Path::new("curl"), &["-sS", "--max-time", "5", "-w", "\n%{http_code}"]);
        curl.arg("--cacert").arg(self.path("ca.pem")).args([
            "-X",
            method,
            "-H",
            &format!("Authorization: Bearer {token}"),
        ]);
        if !body.is_null() {
            curl.args(["-H", "Content-Type: application/json", "--data-binary", &body.to_string()]);
        }
        curl.arg(format!("{}{path}", self.url));
        let out = finish(curl, b"").ended(0).out;
        let (answer, status) = out.trim_end().rsplit_once('\n').expect("a body and a status");
        (status.parse().unwrap(), serde_json::from_str(answer).unwrap())
    }

    pub fn stop(&mut self) {
        end(&mut self.child);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}
