//! `init`: the directory of an installation, with its keys, its first operator, its settings, unit files and a first estate.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use issuer::{MintFailed, OwnCertificate};
use model::{OperatorName, TrustDomain};
use net::files::write_whole;
use net::{now, serial};
use store::{BadSigner, DiskSigner, SealingKey, write_private};

use super::ready::{Context, OperatorFiles, context_file};
use crate::home::{BadHome, Home};
use crate::issuing::{IssuingFailed, certificate_pem, lay_out};

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;
/// How long the first operator's certificate holds.
const OPERATOR_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Where planes and operators come, until the settings say otherwise.
const PLANES: &str = "127.0.0.1:8444";

/// What is to be laid out.
#[derive(Debug, Clone)]
pub struct NewInstallation {
    pub environment: String,
    pub trust_domain: TrustDomain,
    pub directory: PathBuf,
    /// Who operates it from elsewhere, by certificate.
    pub operator: OperatorName,
}

/// What was laid out.
#[derive(Debug, Clone)]
pub struct Laid {
    pub directory: PathBuf,
    pub trust_domain: TrustDomain,
    /// The context file, if there was none yet.
    pub context: Option<PathBuf>,
    /// The folder with which the operator comes from elsewhere.
    pub operator: PathBuf,
}

/// Why nothing was laid out.
#[derive(Debug, thiserror::Error)]
pub enum InitFailed {
    #[error("`{}` is not empty: an installation is laid out once", .path.display())]
    NotEmpty { path: PathBuf },
    #[error("`{environment}` is no name of an environment: expected lower-case letters, digits and `-`")]
    Name { environment: String },
    #[error(transparent)]
    Home(#[from] BadHome),
    #[error("a key cannot be made")]
    Key(#[from] BadSigner),
    #[error("the trust domain has no authority")]
    Issuer(#[from] IssuingFailed),
    #[error("the operator's certificate cannot be made")]
    Operator(#[from] MintFailed),
    #[error("cannot write into `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Lays out an installation.
///
/// # Errors
/// [`InitFailed`].
pub fn init(new: &NewInstallation) -> Result<Laid, InitFailed> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if new.environment.is_empty() || !new.environment.bytes().all(plain) {
        return Err(InitFailed::Name { environment: new.environment.clone() });
    }
    if std::fs::read_dir(&new.directory).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(InitFailed::NotEmpty { path: new.directory.clone() });
    }
    let home = Home::take(&new.directory, "countersign init")?;
    let feed = DiskSigner::open(&home.path("keys/feed.key"))?;
    feed.publish(&home.path("feed.pub"))?;
    DiskSigner::open(&home.path("keys/checkpoint.key"))?.publish(&home.path("checkpoint.pub"))?;
    SealingKey::make(&home.path("keys/seal.key"))?;
    let ca = lay_out(&home.path("keys"), &new.trust_domain, now())?;
    let io = |source| InitFailed::Io { path: home.root().to_owned(), source };
    let files = [
        ("ca.pem", ca.clone()),
        ("server.yaml", server_yaml(new)),
        ("gateway.yaml", gateway_yaml(new)),
        ("agent.yaml", agent_yaml(new)),
        ("estate/estate.yaml", estate_yaml(new)),
        ("units/countersign-server.service", unit("control plane", "server", "server.yaml", home.root())),
        ("units/countersign-gateway.service", unit("gateway", "gateway", "gateway.yaml", home.root())),
        ("units/countersign-agent.service", AGENT_UNIT.to_owned()),
    ];
    for folder in ["estate", "units"] {
        DirBuilder::new().recursive(true).mode(0o755).create(home.path(folder)).map_err(io)?;
    }
    for (name, text) in files {
        write_whole(&home.path(name), text.as_bytes(), PUBLIC).map_err(io)?;
    }
    let operator = operator(new, &home, &ca)?;
    let context = context(home.root()).map_err(io)?;
    Ok(Laid { directory: home.root().to_owned(), trust_domain: new.trust_domain.clone(), context, operator })
}

/// Makes the operator's certificate, in a folder that can be carried to another machine with all that is needed there.
fn operator(new: &NewInstallation, home: &Home, ca: &str) -> Result<PathBuf, InitFailed> {
    let folder = home.path("operator");
    let io = |source| InitFailed::Io { path: folder.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io)?;
    let own = OwnCertificate::make(&new.operator, serial(), now(), OPERATOR_LIFE)?;
    // the key first: a certificate is never there without it
    write_private(&folder.join("operator.key"), &own.pkcs8)?;
    let context = Context {
        servers: vec![format!("https://{PLANES}")],
        trust_domain: Some(new.trust_domain.to_string()),
        ca: Some(PathBuf::from("ca.pem")),
        operator: Some(OperatorFiles { cert: PathBuf::from("operator.pem"), key: PathBuf::from("operator.key") }),
        ..Context::default()
    };
    let context = serde_json::to_string_pretty(&context).map_err(io::Error::from).map_err(io)?;
    let files = [
        ("operator.pem", certificate_pem(&own.certificate)),
        ("ca.pem", ca.to_owned()),
        ("context.json", format!("{context}\n")),
    ];
    for (name, text) in files {
        write_whole(&folder.join(name), text.as_bytes(), PUBLIC).map_err(io)?;
    }
    Ok(folder)
}

/// Writes the context file, unless there is one: it may be of another installation.
fn context(root: &Path) -> io::Result<Option<PathBuf>> {
    let Some(path) = context_file().filter(|path| !path.exists()) else { return Ok(None) };
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let server = Some(format!("unix:{}", root.join("control.sock").display()));
    let context = Context { server, ..Context::default() };
    write_whole(&path, &serde_json::to_vec_pretty(&context)?, PRIVATE)?;
    Ok(Some(path))
}

fn server_yaml(new: &NewInstallation) -> String {
    format!(
        "# The control plane of environment `{environment}`. Paths are relative to this file.
environment: {environment}
trustDomain: {domain}
listen:
  planes: {PLANES}      # where gateways and operators come, by mutual TLS
  admin: 127.0.0.1:8445       # /livez, /readyz, /metrics, /keys, /bundle: never open it to callers
names: [localhost, 127.0.0.1] # under which they reach it
state: state/state.db         # or stateUrlFile: FILE, with the postgres:// URL that several nodes share
operators:                    # who operates it from elsewhere, each by this one certificate and no other
  - {{name: {operator}, certificate: operator/operator.pem}}
",
        environment = new.environment,
        domain = new.trust_domain,
        operator = new.operator
    )
}

fn gateway_yaml(new: &NewInstallation) -> String {
    format!(
        "# A gateway of environment `{environment}`. To run it elsewhere, take this file, ca.pem and feed.pub along.
environment: {environment}
trustDomain: {domain}
servers: [https://{PLANES}] # nodes of the control plane
ca: ca.pem                    # the trust domain's authorities, for first contact
feedKey: feed.pub             # signs what the control plane says
directory: gateway            # state, ledger and keys of this gateway
listen:
  https: 127.0.0.1:8443       # where callers come
  admin: 127.0.0.1:8446       # /livez, /readyz, /metrics, /keys: never open it to callers
",
        environment = new.environment,
        domain = new.trust_domain
    )
}

fn agent_yaml(new: &NewInstallation) -> String {
    format!(
        "# A node agent of environment `{environment}`. To run it elsewhere, take this file and ca.pem along.
environment: {environment}
trustDomain: {domain}
servers: [https://{PLANES}] # nodes of the control plane
ca: ca.pem                    # the trust domain's authorities, for first contact
directory: /var/lib/countersign-agent # the agent's own SVID
socket: /run/countersign/agent.sock   # where workloads and Envoys come: all of them must be able to enter its folder
",
        environment = new.environment,
        domain = new.trust_domain
    )
}

/// The agent's unit, for nodes of any kind: not as root, with a folder for the socket that all may enter and nobody else write to.
const AGENT_UNIT: &str =
    "# For a node that has agent.yaml, ca.pem and the join token in /etc/countersign, for this user alone to read:
#   useradd --system --no-create-home countersign-agent
[Unit]
Description=Countersign node agent
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=/usr/bin/countersign-agent --config /etc/countersign/agent.yaml
# needed the first time, and looked at only then
Environment=COUNTERSIGN_ENROLL_TOKEN_FILE=/etc/countersign/agent.token
User=countersign-agent
StateDirectory=countersign-agent
StateDirectoryMode=0700
# containers that have the folder keep it while the agent is started again
RuntimeDirectory=countersign
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=restart
Restart=on-failure
RestartSec=1
LimitNOFILE=65536
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
# to see which binary a process of another user is (`discoverPath`)
CapabilityBoundingSet=CAP_SYS_PTRACE
AmbientCapabilities=CAP_SYS_PTRACE

[Install]
WantedBy=multi-user.target
";

fn estate_yaml(new: &NewInstallation) -> String {
    format!(
        "# The first estate of environment `{environment}`: nobody may do anything yet.
# Add trust sources, principals, resources, services, and policies in .cedar files beside this one.
apiVersion: countersign.dev/v1
kind: Environment
metadata: {{name: {environment}}}
spec:
  trustDomain: {domain}
  staleness: {{routine: 1h, sensitive: 5m, critical: 30s}} # how long a gateway decides without hearing its control plane
",
        environment = new.environment,
        domain = new.trust_domain
    )
}

fn unit(what: &str, role: &str, settings: &str, root: &Path) -> String {
    let settings = root.join(settings);
    format!(
        "[Unit]
Description=Countersign {what}
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=/usr/bin/countersign {role} --config {settings}
Restart=on-failure
RestartSec=1
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={root}
PrivateTmp=yes
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
",
        settings = settings.display(),
        root = root.display()
    )
}
