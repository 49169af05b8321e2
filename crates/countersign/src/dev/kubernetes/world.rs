//! The objects of the cluster.

use std::collections::BTreeMap;

use net::challenge;
use serde_json::{Map, Value, json};

/// Most objects of one kind: what is tried fits, and nobody fills the memory.
const MOST: usize = 1_000;

/// What there is. Namespaces are there as soon as something is in them.
#[derive(Default)]
pub(super) struct World {
    nodes: BTreeMap<String, Node>,
    accounts: BTreeMap<Name, String>,
    pods: BTreeMap<Name, Pod>,
}

/// Namespace and name.
pub(super) type Name = (String, String);

pub(super) struct Node {
    pub(super) uid: String,
    labels: Map<String, Value>,
}

pub(super) struct Pod {
    pub(super) uid: String,
    pub(super) account: String,
    pub(super) node: String,
}

/// Why something is not done: the reason and the words of a `Status`.
pub(super) enum Refusal {
    NotFound(String),
    AlreadyExists(String),
    Invalid(String),
    TooMany,
}

impl World {
    pub(super) fn account(&self, name: &Name) -> Option<&String> {
        self.accounts.get(name)
    }

    pub(super) fn pod(&self, name: &Name) -> Option<&Pod> {
        self.pods.get(name)
    }

    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    pub(super) fn make_node(&mut self, body: &Value) -> Result<Value, Refusal> {
        let name = named(body)?;
        let labels = body.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        insert(&mut self.nodes, name.clone(), Node { uid: uid(), labels }, "node")?;
        self.shown_node(&name)
    }

    pub(super) fn shown_node(&self, name: &str) -> Result<Value, Refusal> {
        let node = self.nodes.get(name).ok_or_else(|| gone("nodes", name))?;
        Ok(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "uid": node.uid, "labels": node.labels},
            "spec": {}, "status": {},
        }))
    }

    pub(super) fn make_account(&mut self, namespace: &str, body: &Value) -> Result<Value, Refusal> {
        let name = (namespace.to_owned(), named(body)?);
        insert(&mut self.accounts, name.clone(), uid(), "serviceaccount")?;
        self.shown_account(&name)
    }

    pub(super) fn shown_account(&self, name: &Name) -> Result<Value, Refusal> {
        let uid = self.accounts.get(name).ok_or_else(|| gone("serviceaccounts", &name.1))?;
        let metadata = json!({"namespace": name.0, "name": name.1, "uid": uid});
        Ok(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
    }

    pub(super) fn make_pod(&mut self, namespace: &str, body: &Value) -> Result<Value, Refusal> {
        let name = (namespace.to_owned(), named(body)?);
        let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let account = word("/spec/serviceAccountName").unwrap_or("default").to_owned();
        if !self.accounts.contains_key(&(namespace.to_owned(), account.clone())) {
            return Err(Refusal::Invalid(format!("error looking up service account {namespace}/{account}")));
        }
        let node = word("/spec/nodeName").ok_or_else(|| {
            Refusal::Invalid("there is no scheduler here: `spec.nodeName` has to name a node".to_owned())
        })?;
        if !self.nodes.contains_key(node) {
            return Err(Refusal::Invalid(format!("node \"{node}\" not found")));
        }
        insert(&mut self.pods, name.clone(), Pod { uid: uid(), account, node: node.to_owned() }, "pod")?;
        self.shown_pod(&name)
    }

    pub(super) fn shown_pod(&self, name: &Name) -> Result<Value, Refusal> {
        let pod = self.pods.get(name).ok_or_else(|| gone("pods", &name.1))?;
        Ok(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": name.0, "name": name.1, "uid": pod.uid},
            "spec": {"serviceAccountName": pod.account, "nodeName": pod.node, "containers": []},
            "status": {"phase": "Running"},
        }))
    }

    pub(super) fn shown_pods(&self, namespace: &str) -> Value {
        let of = self.pods.keys().filter(|(found, _)| found == namespace);
        let items: Vec<Value> = of.filter_map(|name| self.shown_pod(name).ok()).collect();
        json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items})
    }

    /// What was there is answered once more.
    pub(super) fn delete(&mut self, kind: &str, name: &Name) -> Result<Value, Refusal> {
        let shown = if kind == "pods" { self.shown_pod(name)? } else { self.shown_account(name)? };
        self.pods.retain(|found, _| kind != "pods" || found != name);
        self.accounts.retain(|found, _| kind != "serviceaccounts" || found != name);
        Ok(shown)
    }
}

fn insert<K: Ord + Clone, V>(all: &mut BTreeMap<K, V>, name: K, value: V, kind: &str) -> Result<(), Refusal> {
    if all.contains_key(&name) {
        return Err(Refusal::AlreadyExists(format!("the {kind} is there already")));
    }
    if all.len() >= MOST {
        return Err(Refusal::TooMany);
    }
    all.insert(name, value);
    Ok(())
}

fn gone(kind: &str, name: &str) -> Refusal {
    Refusal::NotFound(format!("{kind} \"{name}\" not found"))
}

/// `metadata.name`, a DNS subdomain (RFC 1123).
fn named(body: &Value) -> Result<String, Refusal> {
    let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if bytes.len() <= 253 && bytes.iter().copied().all(plain) && ends(bytes.first()) && ends(bytes.last()) {
        Ok(name.to_owned())
    } else {
        Err(Refusal::Invalid("metadata.name: a lowercase RFC 1123 subdomain is required".to_owned()))
    }
}

/// Random, and written as Kubernetes writes uids.
pub(super) fn uid() -> String {
    let hex: String = challenge().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
