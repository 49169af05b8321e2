//! `broker` of `agent.yaml`: where brokers come, who they are, and what each may name.

use std::path::{Path, PathBuf};

use model::{SpiffeId, TrustDomain};
use yaml::{Node, Reader};

/// The Broker Endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSettings {
    pub socket: PathBuf,
    /// Nobody else may ask anything.
    pub brokers: Vec<Listed>,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: SpiffeId,
    /// By what it may name workloads.
    pub references: Vec<ReferenceKind>,
}

/// By what a workload is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// Its number as a process of this node.
    Pid,
    /// As an object of Kubernetes.
    Kubernetes,
}

impl ReferenceKind {
    const ALL: [Self; 2] = [Self::Pid, Self::Kubernetes];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// `{socket, brokers: [{id, references: [pid, kubernetes]}]}`.
pub(crate) fn broker_settings(
    reader: &mut Reader<'_>,
    node: &Node,
    folder: &Path,
    domain: Option<&TrustDomain>,
) -> Option<BrokerSettings> {
    let mut fields = reader.fields(node, "broker")?;
    let socket = fields.required(reader, "socket").and_then(|node| reader.words(node));
    let brokers = fields.required(reader, "brokers");
    let brokers = brokers.and_then(|node| reader.some(node, |reader, node| listed(reader, node, domain)));
    fields.close(reader);
    Some(BrokerSettings { socket: folder.join(socket?), brokers: brokers? })
}

fn listed(reader: &mut Reader<'_>, node: &Node, domain: Option<&TrustDomain>) -> Option<Listed> {
    let mut fields = reader.fields(node, "broker")?;
    let id_node = fields.required(reader, "id");
    let id = id_node.and_then(|node| reader.parse::<SpiffeId>(node));
    let references = fields.required(reader, "references").and_then(|node| reader.some(node, kind));
    fields.close(reader);
    let id = id?;
    if domain.is_some_and(|domain| !id.is_member_of(domain)) || id.path().is_empty() {
        let at = id_node.map_or(node.at, |node| node.at);
        reader.problem(at, format!("`{id}`: a broker is a workload of the agent's own trust domain"));
        return None;
    }
    Some(Listed { id, references: references? })
}

fn kind(reader: &mut Reader<'_>, node: &Node) -> Option<ReferenceKind> {
    let text = reader.text(node)?;
    let found = ReferenceKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    if found.is_none() {
        reader.problem(node.at, format!("`{text}`: expected `pid` or `kubernetes`"));
    }
    found
}
