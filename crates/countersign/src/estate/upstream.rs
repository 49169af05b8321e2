//! `upstream` of `server.yaml`: the outer authority that signs X.509 authorities, and the roots that verifiers trust then. Files are
//! named here, and read when a signature is asked for.

use std::path::{Path, PathBuf};

use net::causes::chain;
use net::{Plain, Reach, Remote, Roots};
use yaml::{Node, Reader};

/// An outer authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    pub kind: UpstreamKind,
    /// Certificates in PEM: the roots that verifiers are told to trust.
    pub bundle: PathBuf,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamKind {
    Disk(DiskUpstream),
    OpenBao(OpenBaoUpstream),
}

/// One whose key is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskUpstream {
    /// In PEM: its certificate, and those between it and a root.
    pub certificate: PathBuf,
    pub key: PathBuf,
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
}

/// `{disk: {certificate, key, bundle}}` or `{openbao: {url, mount, tokenFile, ca, bundle}}`.
pub(super) fn upstream(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<UpstreamSettings> {
    let mut fields = reader.fields(node, "upstream")?;
    let (disk, openbao) = (fields.optional("disk"), fields.optional("openbao"));
    fields.close(reader);
    match (disk, openbao) {
        (Some(node), None) => on_disk(reader, node, folder),
        (None, Some(node)) => in_openbao(reader, node, folder),
        (Some(_), Some(_)) | (None, None) => {
            reader.problem(node.at, "upstream: expected one of `disk` and `openbao`");
            None
        }
    }
}

fn on_disk(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<UpstreamSettings> {
    let mut fields = reader.fields(node, "disk")?;
    let mut file = |name| fields.required(reader, name).and_then(|node| reader.words(node)).map(|at| folder.join(at));
    let (certificate, key, bundle) = (file("certificate"), file("key"), file("bundle"));
    fields.close(reader);
    let kind = UpstreamKind::Disk(DiskUpstream { certificate: certificate?, key: key? });
    Some(UpstreamSettings { kind, bundle: bundle? })
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
    let kind = UpstreamKind::OpenBao(OpenBaoUpstream {
        url,
        mount,
        token: folder.join(token?),
        ca: ca.map(|path| folder.join(path)),
    });
    Some(UpstreamSettings { kind, bundle: folder.join(bundle?) })
}
