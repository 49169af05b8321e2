//! `clusters` of `server.yaml`: API servers of Kubernetes clusters, and what this control plane is to them. A token that reviews tokens is sent to
//! no other place than the one that is written beside it, so that no estate can have it sent elsewhere. Files are named here, and
//! read when an API server is asked.

use std::path::{Path, PathBuf};

use model::SourceName;
use net::causes::chain;
use net::{Plain, Reach, Remote, Roots};
use yaml::{Node, Reader};

/// An API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The trust source whose tokens it is asked about.
    pub source: SourceName,
    /// Without a slash at the end.
    pub server: String,
    /// The root certificates of its TLS; none for those of the platform.
    pub ca: Option<PathBuf>,
    /// A file with a token that may create `tokenreviews`, read for every token that it is asked about: kubelets renew it.
    pub token: PathBuf,
}

/// `[{source, server, ca, tokenFile}]`. Everything that can be read: the settings count only without a problem.
pub(super) fn clusters(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Vec<ClusterSettings> {
    let mut found: Vec<ClusterSettings> = Vec::new();
    for node in reader.list(node).unwrap_or_default() {
        let Some(cluster) = cluster(reader, node, folder) else { continue };
        if found.iter().any(|one| one.source == cluster.source) {
            reader.problem(node.at, format!("clusters: source `{}` has an API server already", cluster.source));
        }
        found.push(cluster);
    }
    found
}

fn cluster(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<ClusterSettings> {
    let mut fields = reader.fields(node, "cluster")?;
    let source = fields.required(reader, "source").and_then(|node| reader.parse(node));
    let server = fields.required(reader, "server").and_then(|node| reader.words(node));
    let ca = fields.optional("ca").and_then(|node| reader.words(node));
    let token = fields.required(reader, "tokenFile").and_then(|node| reader.words(node));
    fields.close(reader);
    let server = server?.trim_end_matches('/').to_owned();
    if let Err(why) = Remote::new(&server, Reach::Private, Plain::OnLoopback, Roots::Platform) {
        reader.problem(node.at, format!("clusters: {}", chain(&why)));
    }
    if server.contains(['?', '#']) {
        reader.problem(node.at, "clusters: `server` is a URL without a query");
    }
    Some(ClusterSettings { source: source?, server, ca: ca.map(|path| folder.join(path)), token: folder.join(token?) })
}
