//! `attestors` of `agent.yaml`: exactly those that it names; where it is absent, those that need nothing but the kernel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use net::{Plain, Reach, Remote, Roots};
use yaml::{Fields, Node, Reader};

use super::engine::USER;

/// Longest binary that is hashed, unless settings say otherwise.
const MAX_HASHED: u64 = 64 * 1024 * 1024;
const DOCKER: &str = "/var/run/docker.sock";
const PODMAN: &str = "/run/podman/podman.sock";
/// Where Kubernetes puts what a pod of a service account needs.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Of a kubelet, over TLS.
const KUBELET_PORT: u16 = 10250;
/// How long a pod may take to be reported, unless settings say otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_PATIENCE: Duration = Duration::from_secs(300);

/// The attestors of workloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadAttestors {
    pub unix: Option<UnixSettings>,
    pub docker: Option<DockerSettings>,
    pub podman: Option<PodmanSettings>,
    pub kubernetes: Option<KubernetesSettings>,
    /// Whether units are attested; there is nothing to set.
    pub systemd: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSettings {
    /// `unix:path` and `unix:sha256`, which need the right to look at processes of other users.
    pub discover_path: bool,
    /// In bytes; 0 for no `unix:sha256`.
    pub max_hashed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSettings {
    pub socket: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodmanSettings {
    pub socket: PathBuf,
    /// The sockets of users' own engines, a path with `{uid}` in it. Each user says what they like of theirs.
    pub users: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// `https://NODE:PORT`, or the read-only form, `http://127.0.0.1:PORT`.
    pub kubelet: String,
    pub authority: KubeletAuthority,
    pub token: Option<PathBuf>,
    pub patience: Duration,
}

/// Whose word is taken for the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeletAuthority {
    /// That of authorities in a file.
    File(PathBuf),
    /// Nobody's: it is at a loopback address, without TLS.
    None,
    DangerouslyAnyone,
}

impl Default for WorkloadAttestors {
    fn default() -> Self {
        let unix = UnixSettings { discover_path: false, max_hashed: MAX_HASHED };
        Self { unix: Some(unix), docker: None, podman: None, kubernetes: None, systemd: true }
    }
}

impl WorkloadAttestors {
    /// Reads the mapping; paths are relative to `folder`, and `variable` looks into the environment.
    pub fn read(
        reader: &mut Reader<'_>,
        node: &Node,
        folder: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let mut fields = reader.fields(node, "attestors")?;
        // each is read, so that every problem is found
        let unix = fields.optional("unix").map(|node| unix(reader, node));
        let docker = fields.optional("docker").map(|node| docker(reader, node, folder));
        let podman = fields.optional("podman").map(|node| podman(reader, node, folder));
        let kubernetes = fields.optional("kubernetes").map(|node| kubernetes(reader, node, folder, variable));
        let systemd = fields.optional("systemd").map(|node| reader.fields(node, "systemd").map(|it| it.close(reader)));
        let none = fields.entries().is_empty();
        fields.close(reader);
        if none {
            reader.problem(node.at, "attestors: expected at least one");
            return None;
        }
        Some(Self {
            unix: all(unix)?,
            docker: all(docker)?,
            podman: all(podman)?,
            kubernetes: all(kubernetes)?,
            systemd: all(systemd)?.is_some(),
        })
    }
}

/// What is absent is well read, and what is not well read is not absent.
fn all<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

fn unix(reader: &mut Reader<'_>, node: &Node) -> Option<UnixSettings> {
    let mut fields = reader.fields(node, "unix")?;
    let discover_path = fields.optional("discoverPath").map_or(Some(false), |node| reader.flag(node));
    let max_hashed = fields.optional("maxHashed").map_or(Some(MAX_HASHED), |node| reader.size(node));
    fields.close(reader);
    Some(UnixSettings { discover_path: discover_path?, max_hashed: max_hashed? })
}

fn docker(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<DockerSettings> {
    let mut fields = reader.fields(node, "docker")?;
    let socket = path(reader, &mut fields, "socket", folder, DOCKER);
    fields.close(reader);
    Some(DockerSettings { socket: socket? })
}

fn podman(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<PodmanSettings> {
    let mut fields = reader.fields(node, "podman")?;
    let socket = path(reader, &mut fields, "socket", folder, PODMAN);
    let users = fields.optional("dangerouslyTrustUsers").map(|node| {
        let path = reader.words(node)?;
        if path.matches(USER).count() != 1 || !path.starts_with('/') {
            let sample = format!("`/run/user/{USER}/podman/podman.sock`");
            reader.problem(node.at, format!("expected an absolute path with one `{USER}` in it, such as {sample}"));
            return None;
        }
        Some(path)
    });
    fields.close(reader);
    Some(PodmanSettings { socket: socket?, users: all(users)? })
}

fn kubernetes(
    reader: &mut Reader<'_>,
    node: &Node,
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<KubernetesSettings> {
    let mut fields = reader.fields(node, "kubernetes")?;
    let kubelet = kubelet(reader, &mut fields, node, variable);
    let plain = kubelet.as_ref().is_some_and(|url| url.starts_with("http://"));
    let anyone = fields.optional("dangerouslySkipKubeletVerification").map_or(Some(false), |node| reader.flag(node));
    let (ca, token) = (fields.optional("ca"), fields.optional("token"));
    for beside in [ca.filter(|_| plain || anyone == Some(true)), token.filter(|_| plain)].into_iter().flatten() {
        reader.problem(beside.at, "it would not be used: the kubelet is not verified, or asked without TLS");
    }
    let mut file = |node: Option<&Node>, name: &str| match node {
        Some(node) => reader.words(node).map(|path| folder.join(path)),
        None => Some(Path::new(ACCOUNT).join(name)),
    };
    let (ca, token) = (file(ca, "ca.crt"), file(token, "token"));
    let patience = fields.optional("patience").map_or(Some(PATIENCE), |node| {
        let read = reader.duration(node)?;
        if read > MAX_PATIENCE {
            reader.problem(node.at, "expected at most `5m`");
        }
        Some(read)
    });
    fields.close(reader);
    let authority = match (plain, anyone?) {
        (true, _) => KubeletAuthority::None,
        (false, true) => KubeletAuthority::DangerouslyAnyone,
        (false, false) => KubeletAuthority::File(ca?),
    };
    let token = if plain { None } else { Some(token?) };
    Some(KubernetesSettings { kubelet: kubelet?, authority, token, patience: patience? })
}

/// `kubelet`, or the node whose name a variable of the environment has, as a pod of a DaemonSet is told it.
fn kubelet(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    node: &Node,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let (at, url) = match (fields.optional("kubelet"), fields.optional("nodeEnv")) {
        (Some(url), None) => (url.at, reader.words(url)?),
        (None, Some(named)) => {
            let name = reader.words(named)?;
            let Some(host) = variable(&name) else {
                reader.problem(named.at, format!("the environment has no `{name}`"));
                return None;
            };
            (named.at, format!("https://{host}:{KUBELET_PORT}"))
        }
        (Some(_), Some(_)) | (None, None) => {
            reader.problem(node.at, "kubernetes: expected either `kubelet` or `nodeEnv`");
            return None;
        }
    };
    let url = url.strip_suffix('/').unwrap_or(&url).to_owned();
    let bare = url.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?']));
    match Remote::new(&url, Reach::Private, Plain::OnLoopback, Roots::Platform) {
        Ok(_) if bare => Some(url),
        Ok(_) => {
            reader.problem(at, format!("`{url}`: expected `https://HOST:PORT`, and nothing behind it"));
            None
        }
        Err(bad) => {
            reader.problem(at, net::causes::chain(&bad));
            None
        }
    }
}

fn path(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    name: &'static str,
    folder: &Path,
    otherwise: &str,
) -> Option<PathBuf> {
    fields.optional(name).map_or(Some(otherwise.into()), |node| reader.words(node).map(|path| folder.join(path)))
}
