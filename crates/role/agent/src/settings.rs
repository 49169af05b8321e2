//! `agent.yaml`: which control plane the agent belongs to, and where workloads of its node find it.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use credential::NodeMethod;
use http::uri::Authority;
use model::TrustDomain;
use yaml::{BadSettings, Common, Node, Reader, authority, incubating, settings};

use crate::attest::WorkloadAttestors;
use crate::broker::{BrokerSettings, broker_settings};
use crate::clouds::{CLOUDS, Declared};
use crate::evidence::{Attestation, Means};

/// What is served only where the settings name it.
const WIT: &str = "wit";
const BROKER: &str = "broker";
const INCUBATING: &[&str] = &[WIT, BROKER];

/// What `agent.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub environment: String,
    pub trust_domain: TrustDomain,
    /// Listeners for planes of the control plane's nodes; the first that answers is heard.
    pub servers: Vec<Authority>,
    /// Certificates of the trust domain's authorities, for first contact.
    pub ca: PathBuf,
    /// Where the agent keeps its own SVID.
    pub directory: PathBuf,
    /// The Workload API.
    pub socket: PathBuf,
    /// Liveness and readiness.
    pub admin: Option<SocketAddr>,
    pub attestors: WorkloadAttestors,
    /// How the node proves itself; by a token alone where nothing is said.
    pub attestation: Option<Attestation>,
    /// Whether workloads have WIT-SVIDs, if the control plane signs any.
    pub wit: bool,
    /// Where brokers come; nowhere, unless it is named.
    pub broker: Option<BrokerSettings>,
}

/// Reads `agent.yaml`.
///
/// # Errors
/// [`BadSettings`] with every problem.
pub fn agent_settings(path: &Path) -> Result<Settings, BadSettings> {
    settings(path, |reader, node, folder| {
        let mut fields = reader.fields(node, "agent")?;
        let common = Common::read(reader, &mut fields, folder);
        let servers = fields.required(reader, "servers").and_then(|node| reader.some(node, authority));
        let ca = fields.required(reader, "ca").and_then(|node| reader.words(node));
        let socket = fields.required(reader, "socket").and_then(|node| reader.words(node));
        let admin = fields.optional("admin").map(|node| reader.parse(node));
        let attestors = fields.optional("attestors");
        let attestors = attestors.map(|node| WorkloadAttestors::read(reader, node, folder, |name| env::var(name).ok()));
        let incubating = fields.optional("incubating").map(|node| incubating(reader, node, INCUBATING));
        let broker_node = fields.optional(BROKER);
        let domain = common.as_ref().map(|common| &common.trust_domain);
        let broker = broker_node.map(|node| broker_settings(reader, node, folder, domain));
        let attestation = fields.optional("attestation").map(|node| attestation(reader, node, folder));
        fields.close(reader);
        let named = incubating.flatten().unwrap_or_default();
        if named.contains(&BROKER) != broker_node.is_some() {
            let text =
                "agent: `incubating: [broker]` has brokers served, and `broker` says which and where: expected both";
            reader.problem(broker_node.map_or(node.at, |node| node.at), text);
        }
        let (socket, broker) = (socket.map(|socket| folder.join(socket)), broker.flatten());
        let shared = broker.as_ref().filter(|broker| Some(&broker.socket) == socket.as_ref());
        if let (Some(_), Some(node)) = (shared, broker_node) {
            reader.problem(node.at, "broker: `socket` is that of workloads: expected another");
        }
        let Common { environment, trust_domain, directory } = common?;
        Some(Settings {
            environment,
            trust_domain,
            servers: servers?,
            ca: folder.join(ca?),
            directory,
            socket: socket?,
            admin: admin.flatten(),
            attestors: attestors.unwrap_or_else(|| Some(WorkloadAttestors::default()))?,
            attestation: attestation.flatten(),
            wit: named.contains(&WIT),
            broker,
        })
    })
}

fn attestation(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<Attestation> {
    let mut fields = reader.fields(node, "attestation")?;
    let source = fields.required(reader, "source").and_then(|node| reader.words(node));
    let x509pop = fields.optional("x509pop").map(|node| x509pop_means(reader, node, folder));
    let tpm = fields.optional("tpm").map(|node| tpm_means(reader, node, folder));
    let tokens = TOKENS.iter().filter_map(|(name, method)| Some((*name, *method, fields.optional(name)?)));
    let tokens: Vec<_> = tokens.collect();
    let clouds = Declared::read(&mut fields);
    fields.close(reader);
    let clouds = clouds.means(reader, folder);
    let tokens = tokens.into_iter().map(|(name, method, node)| token_means(reader, (name, method), node, folder));
    let mut means = x509pop.into_iter().chain(tpm).chain(tokens).chain(clouds);
    let (Some(by), None) = (means.next(), means.next()) else {
        let names = TOKENS.iter().map(|(name, _)| *name).chain(CLOUDS);
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        reader.problem(
            node.at,
            format!("a node proves itself in exactly one way: `x509pop`, `tpm`, {}", names.join(", ")),
        );
        return None;
    };
    Some(Attestation { source: source?, by: by? })
}

/// The kernel's own manager of the TPM's resources.
const TPM: &str = "/dev/tpmrm0";

/// Methods by a token that lies in a file.
const TOKENS: &[(&str, NodeMethod)] = &[("k8s_psat", NodeMethod::K8sPsat)];

fn token_means(
    reader: &mut Reader<'_>,
    (name, method): (&'static str, NodeMethod),
    node: &Node,
    folder: &Path,
) -> Option<Means> {
    let mut fields = reader.fields(node, name)?;
    let file = fields.required(reader, "tokenFile").and_then(|node| reader.words(node));
    fields.close(reader);
    Some(Means::Token { method, file: folder.join(file?) })
}

fn tpm_means(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<Means> {
    let mut fields = reader.fields(node, "tpm")?;
    let device = fields.optional("device").map_or(Some(TPM.to_owned()), |node| reader.words(node));
    let certificates = fields.optional("certificates").map(|node| reader.words(node));
    fields.close(reader);
    let certificates = certificates.map_or(Some(None), |read| read.map(Some))?;
    Some(Means::Tpm { device: folder.join(device?), certificates: certificates.map(|path| folder.join(path)) })
}

fn x509pop_means(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<Means> {
    let mut fields = reader.fields(node, "x509pop")?;
    let cert = fields.required(reader, "cert").and_then(|node| reader.words(node));
    let key = fields.required(reader, "key").and_then(|node| reader.words(node));
    fields.close(reader);
    Some(Means::X509Pop { certificate: folder.join(cert?), key: folder.join(key?) })
}

#[cfg(test)]
mod tests;
