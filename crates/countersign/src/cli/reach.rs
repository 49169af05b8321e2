//! Which server a verb is for, and how it is reached: over the socket of its directory, or from elsewhere as an operator with
//! a certificate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use credential::domain_of;
use http::uri::Authority;
use model::TrustDomain;
use net::causes::chain;
use net::tls::OwnSvid;
use net::{Connections, Nodes};
use store::read_private;

use super::remote::read_certificates;
use super::{Client, Exit, Stopped};
use crate::dev::DevJson;
use crate::installation::{Context, READY, Ready, context_file};
use crate::issuing::{authorities_of, control_plane};

/// Directory of `dev`, unless another is named.
pub(super) const DIRECTORY: &str = ".countersign";
/// What `dev` leaves there for programs.
const DEV: &str = "dev.json";

/// Which server, and what an operator comes with.
#[derive(Debug, Clone, Default, Args)]
pub struct Reach {
    /// Which server: `unix:PATH` or `https://HOST:PORT`; else the one of --dir
    #[arg(long, global = true, env = "COUNTERSIGN_SERVER", value_name = "ADDRESS")]
    pub server: Option<String>,
    /// Directory of the server: of `dev`, `init`, or a gateway; else ./.countersign
    #[arg(long, global = true, env = "COUNTERSIGN_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// For https: the operator's certificate in PEM; else the context file names it
    #[arg(long, global = true, env = "COUNTERSIGN_OPERATOR_CERT", value_name = "FILE")]
    pub operator_cert: Option<PathBuf>,
    /// For https: its key, which nobody else can read; else the context file names it
    #[arg(long, global = true, env = "COUNTERSIGN_OPERATOR_KEY", value_name = "FILE")]
    pub operator_key: Option<PathBuf>,
    /// For https: the authorities of the server's trust domain in PEM; else the context file names them
    #[arg(long, global = true, env = "COUNTERSIGN_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Where a server is.
pub(super) enum Address {
    Socket(PathBuf),
    /// Any node of it; never empty.
    Nodes(Vec<Authority>),
}

/// Where the address of a server was found.
pub(super) enum Origin {
    /// It was named.
    Named,
    File(PathBuf),
}

/// The server that a verb is meant for: `--server`, else `--dir`, else `./.countersign`, else the context file.
///
/// # Errors
/// [`Stopped`] if no server is named and none runs here, or what names it is not understood.
pub(super) fn find(reach: &Reach) -> Result<Client, Stopped> {
    match chosen(reach)?.0 {
        Address::Socket(socket) => Ok(Client::local(socket)),
        Address::Nodes(nodes) => operator(reach, nodes),
    }
}

/// Its address, and where that was found.
///
/// # Errors
/// As [`find`].
pub(super) fn chosen(reach: &Reach) -> Result<(Address, Origin), Stopped> {
    let here = Path::new(DIRECTORY);
    match (&reach.server, &reach.dir) {
        (Some(address), _) => Ok((address.parse()?, Origin::Named)),
        (None, Some(directory)) => control_of(directory),
        (None, None) if here.join(DEV).exists() => control_of(here),
        (None, None) => match context()? {
            Some((context, path)) => Ok((context_address(&context, &path)?, Origin::File(path))),
            None => control_of(here),
        },
    }
}

fn context_address(context: &Context, path: &Path) -> Result<Address, Stopped> {
    if let Some(socket) = &context.server {
        return socket.parse();
    }
    let nodes: Option<Vec<Authority>> = context.servers.iter().map(|address| https(address)).collect();
    let nodes = nodes.filter(|nodes| !nodes.is_empty());
    let none = || {
        let why = "expected `server`, as `unix:PATH`, or `servers`, each as `https://HOST:PORT`";
        Stopped::new(Exit::Invalid, format!("`{}` names no server: {why}", path.display()))
    };
    nodes.map(Address::Nodes).ok_or_else(none)
}

impl FromStr for Address {
    type Err = Stopped;

    fn from_str(text: &str) -> Result<Self, Stopped> {
        if let Some(socket) = text.strip_prefix("unix:").filter(|socket| !socket.is_empty()) {
            return Ok(Self::Socket(PathBuf::from(socket)));
        }
        let odd = || {
            let text = text.escape_debug();
            let why = format!("`{text}` is no server's address: expected `unix:PATH` or `https://HOST:PORT`");
            Stopped::new(Exit::Usage, why)
        };
        Ok(Self::Nodes(vec![https(text).ok_or_else(odd)?]))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Nodes(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(|node| format!("https://{node}")).collect();
                f.write_str(&nodes.join(", "))
            }
        }
    }
}

/// What a dev server says of itself in its directory.
///
/// # Errors
/// [`Stopped`] with [`Exit::Unreachable`] where none runs.
pub(super) fn announced(directory: &Path) -> Result<DevJson, Stopped> {
    let path = directory.join(DEV);
    let none = || {
        let path = path.display();
        let why =
            format!("no server: `{path}` is not there; start one with `countersign dev`, or name one with --server");
        Stopped::new(Exit::Unreachable, why)
    };
    let bytes = std::fs::read(&path).ok().ok_or_else(none)?;
    serde_json::from_slice(&bytes).map_err(|error| Stopped::because(Exit::Invalid, &error))
}

/// The control door of whatever runs in a directory.
fn control_of(directory: &Path) -> Result<(Address, Origin), Stopped> {
    let ready = directory.join(READY);
    match std::fs::read(&ready) {
        Ok(bytes) => {
            let Ready { control, .. } =
                serde_json::from_slice(&bytes).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
            Ok((control.parse()?, Origin::File(ready)))
        }
        Err(_) => Ok((announced(directory)?.control.parse()?, Origin::File(directory.join(DEV)))),
    }
}

/// What the context file says, and where it is, if there is one.
fn context() -> Result<Option<(Context, PathBuf)>, Stopped> {
    let Some(path) = context_file() else { return Ok(None) };
    let unfit = |why: &dyn std::error::Error| {
        Stopped::new(Exit::Invalid, format!("cannot use `{}`: {}", path.display(), chain(why)))
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unfit(&error)),
    };
    let context = serde_json::from_slice(&bytes).map_err(|error| unfit(&error))?;
    Ok(Some((context, path)))
}

/// An operator's way to these nodes: each is held to the control plane's SPIFFE ID.
fn operator(reach: &Reach, nodes: Vec<Authority>) -> Result<Client, Stopped> {
    let (context, file) = context()?.unwrap_or_default();
    let folder = file.parent().unwrap_or(Path::new(""));
    let beside = |path: PathBuf| folder.join(path);
    let (known_cert, known_key) = context.operator.map(|files| (beside(files.cert), beside(files.key))).unzip();
    let ca = reach.ca.clone().or_else(|| context.ca.map(beside));
    let (cert, key) = (reach.operator_cert.clone().or(known_cert), reach.operator_key.clone().or(known_key));
    let (Some(cert), Some(key), Some(ca)) = (cert, key, ca) else {
        let why = "over https an operator comes with a certificate: name --operator-cert, --operator-key and --ca, or in \
                   COUNTERSIGN_CONTEXT a context file that does, such as the `operator/context.json` of `countersign init`";
        return Err(Stopped::new(Exit::Usage, why));
    };
    let own = OwnSvid::default();
    let chain = read_certificates(&cert)?;
    own.install(&chain, &private(&key)?).map_err(|error| unusable(&cert, &error))?;
    let authorities = read_certificates(&ca)?;
    let domain = match context.trust_domain.filter(|_| reach.ca.is_none()) {
        Some(domain) => domain.parse().map_err(|error| unusable(&file, &error))?,
        None => domain(&ca, &authorities)?,
    };
    let connections = Connections::new(Arc::new(own));
    connections.trust(authorities_of(&domain, &authorities).map_err(|error| unusable(&ca, &error))?);
    Ok(Client::remote(Nodes::new(nodes, connections.secured(control_plane(&domain)))))
}

/// The trust domain that authorities say they are of.
fn domain(ca: &Path, authorities: &[Vec<u8>]) -> Result<TrustDomain, Stopped> {
    let first = authorities.first().map_or(&[] as &[u8], Vec::as_slice);
    let said = domain_of(first).map_err(|error| unusable(ca, &error))?;
    let silent = || format!("`{}` does not say of which trust domain it is: it is no authority of ours", ca.display());
    said.ok_or_else(|| Stopped::new(Exit::Invalid, silent()))
}

/// A private key's PKCS #8, from a file that its owner alone can use.
fn private(path: &Path) -> Result<Vec<u8>, Stopped> {
    let missing = || Stopped::new(Exit::Invalid, format!("cannot read `{}`: it is not there", path.display()));
    read_private(path).map_err(|error| Stopped::because(Exit::Invalid, &error))?.ok_or_else(missing)
}

fn https(address: &str) -> Option<Authority> {
    let authority: Authority = address.strip_prefix("https://")?.trim_end_matches('/').parse().ok()?;
    (!authority.as_str().contains('@')).then_some(authority)
}

fn unusable(path: &Path, why: &dyn std::error::Error) -> Stopped {
    Stopped::new(Exit::Invalid, format!("cannot use `{}`: {}", path.display(), chain(why)))
}
