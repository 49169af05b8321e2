//! `upstream` of `server.yaml`: the outer authority that signs X.509 authorities, and whom verifiers trust then. Files are named here,
//! and read when a signature is asked for.

use std::path::{Path, PathBuf};

use http::uri::Authority;
use model::SpiffeId;
use net::causes::chain;
use net::{Plain, Reach, Remote, Roots};
use yaml::{Node, Reader, authority};

/// An outer authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamSettings {
    Disk(DiskUpstream),
    OpenBao(OpenBaoUpstream),
    Spiffe(SpiffeUpstream),
}

/// One whose key is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskUpstream {
    /// In PEM: its certificate, and those between it and a root.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Certificates in PEM: the roots that verifiers are told to trust.
    pub bundle: PathBuf,
}

/// A PKI secrets engine of OpenBao or Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBaoUpstream {
    /// Of the server, without `/v1`.
    pub url: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// A file with the token, read for every request: an agent may renew it.
    pub token: PathBuf,
    /// The root certificates of the server's TLS; none for those of the platform.
    pub ca: Option<PathBuf>,
    /// Certificates in PEM: the roots that verifiers are told to trust.
    pub bundle: PathBuf,
}

/// An outer control plane of the same trust domain, to which this one is a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeUpstream {
    /// The Workload API of an agent of the outer control plane.
    pub socket: PathBuf,
    /// Listeners for planes of its nodes.
    pub servers: Vec<Authority>,
    /// Which of our SVIDs counts there; the first one, if none is named.
    pub id: Option<SpiffeId>,
}

/// `{disk: {certificate, key, bundle}}`, `{openbao: {url, mount, tokenFile, ca, bundle}}` or `{spiffe: {socket, servers, id}}`.
pub(super) fn upstream(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<UpstreamSettings> {
    let mut fields = reader.fields(node, "upstream")?;
    let kinds = ["disk", "openbao", "spiffe"].map(|name| fields.optional(name));
    fields.close(reader);
    match kinds {
        [Some(node), None, None] => on_disk(reader, node, folder),
        [None, Some(node), None] => in_openbao(reader, node, folder),
        [None, None, Some(node)] => outer_control(reader, node, folder),
        _ => {
            reader.problem(node.at, "upstream: expected one of `disk`, `openbao` and `spiffe`");
            None
        }
    }
}

fn outer_control(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<UpstreamSettings> {
    let mut fields = reader.fields(node, "spiffe")?;
    let socket = fields.required(reader, "socket").and_then(|node| reader.words(node));
    let servers = fields.required(reader, "servers").and_then(|node| reader.some(node, authority));
    let id = fields.optional("id").map_or(Some(None), |node| reader.parse(node).map(Some));
    fields.close(reader);
    Some(UpstreamSettings::Spiffe(SpiffeUpstream { socket: folder.join(socket?), servers: servers?, id: id? }))
}

fn on_disk(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<UpstreamSettings> {
    let mut fields = reader.fields(node, "disk")?;
    let mut file = |name| fields.required(reader, name).and_then(|node| reader.words(node)).map(|at| folder.join(at));
    let (certificate, key, bundle) = (file("certificate"), file("key"), file("bundle"));
    fields.close(reader);
    Some(UpstreamSettings::Disk(DiskUpstream { certificate: certificate?, key: key?, bundle: bundle? }))
}

fn in_openbao(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<UpstreamSettings> {
    let mut fields = reader.fields(node, "openbao")?;
    let url = fields.required(reader, "url").and_then(|node| reader.words(node));
    let mount = fields.optional("mount").map_or(Some("pki".to_owned()), |node| reader.words(node));
    let token = fields.required(reader, "tokenFile").and_then(|node| reader.words(node));
    let ca = fields.optional("ca").and_then(|node| reader.words(node));
    let bundle = fields.required(reader, "bundle").and_then(|node| reader.words(node));
    fields.close(reader);
    let (url, mount) = (url?, mount?);
    if let Err(why) = Remote::new(&url, Reach::Private, Plain::OnLoopback, Roots::Platform) {
        reader.problem(node.at, format!("openbao: {}", chain(&why)));
    }
    let is_part = |part: &str| {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !part.is_empty() && part.bytes().all(sound)
    };
    if !mount.split('/').all(is_part) {
        reader.problem(node.at, "openbao: `mount` is names of letters, digits, `-` and `_` between slashes");
    }
    Some(UpstreamSettings::OpenBao(OpenBaoUpstream {
        url,
        mount,
        token: folder.join(token?),
        ca: ca.map(|path| folder.join(path)),
        bundle: folder.join(bundle?),
    }))
}
