//! Starts and stops an agent.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{SpiffeId, TrustDomain};
use net::causes::chain;
use net::files::write_whole;
use net::tls::{self, OwnSvid};
use net::{Connections, Interrupted, Listener, Nodes, interrupted, jittered, serve, stop};
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use yaml::BadSettings;

use crate::admin::Admin;
use crate::attest::Attestors;
use crate::broker::{Brokers, broker_door};
use crate::control::ControlPlane;
use crate::door::workload_door;
use crate::evidence::NotAttested;
use crate::follow::follow;
use crate::identity::{Identity, NoIdentity};
use crate::known::Known;
use crate::settings::{Settings, agent_settings};
use crate::svids::svids as kept;
use crate::tokens::Tokens;
use crate::trust::{self, Places, Untrusted};
use crate::workload::Node;

/// Between two tries at first contact.
const AGAIN: Duration = Duration::from_secs(2);
/// What a program finds in the directory once everything accepts.
const READY: &str = "ready.json";
/// Who may write into a directory beside its owner.
const OTHERS_WRITE: u32 = 0o022;

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentFailed {
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("another agent holds `{}`", .path.display())]
    Held { path: PathBuf },
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error(
        "others than its owner may write into `{}` (mode {mode:03o}), and could put another socket there: `chmod go-w` it",
        .path.display()
    )]
    SocketFolder { path: PathBuf, mode: u32 },
    #[error("`{}` belongs to uid {owner}, who could put another socket there: `chown` it to the agent's user or root", .path.display())]
    SocketOwner { path: PathBuf, owner: u32 },
    #[error("`{}` is there and is no socket: move it away", .path.display())]
    NoSocket { path: PathBuf },
    #[error(
        "this node is not attested, or the agent's SVID has ended: start it with --enroll-token-file FILE; at the control plane, `countersign enroll token --role agent --name NAME` prints a token. Or say under `attestation` how it proves itself"
    )]
    NotAttested,
    #[error(transparent)]
    Identity(#[from] NoIdentity),
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
}

impl AgentFailed {
    /// Whether control knows this agent and does not want it.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Identity(NoIdentity::Node(NotAttested::Control(why))) if why.is_refusal())
    }

    /// Whether the settings are not understood.
    pub const fn is_invalid(&self) -> bool {
        matches!(self, Self::Settings(_))
    }
}

/// Runs until interrupted, then drains. `ready` hears when workloads are served.
///
/// # Errors
/// [`AgentFailed`].
pub async fn agent(config: &Path, token: Option<&Path>, ready: impl FnOnce(&Settings)) -> Result<(), AgentFailed> {
    let settings = agent_settings(config)?;
    let mut interrupted = interrupted().map_err(AgentFailed::Signals)?;
    let _lock = take(&settings.directory)?;
    let socket = listen(&settings.socket)?;
    let brokers = settings.broker.as_ref().map(|broker| listen(&broker.socket)).transpose()?;
    let own = Arc::new(OwnSvid::default());
    let Settings { ca, directory, trust_domain: domain, .. } = settings.clone();
    let places = Places { ca, directory, domain };
    let trusted = places.known_before()?;
    let reaching = |own| {
        let connections = Connections::new(own);
        connections.trust(trusted.clone());
        let nodes = connections.multiplexed(control_plane(&settings.trust_domain));
        (ControlPlane::new(Nodes::new(settings.servers.clone(), nodes)), connections)
    };
    let (control, connections) = reaching(Arc::clone(&own));
    let (stranger, strangers) = reaching(Arc::default());
    let control = Arc::new(control);

    let token = token.map(join_token).transpose()?;
    let mut identity = Identity::new(&settings, token, Arc::clone(&own), (Arc::clone(&control), stranger));
    let ways = [connections, strangers];
    if !identity.resume(&trusted)? && !attest(&mut identity, (&places, &ways), &mut interrupted).await? {
        return Ok(());
    }
    tracing::info!(id = identity.id(), "attested");

    let (tell, known) = watch::channel(Arc::new(Known::default()));
    let about = known.clone();
    let (svids, minter) = kept(Arc::clone(&control), known.clone());
    let wits = settings.wit.then(|| kept(Arc::clone(&control), known.clone()));
    let (wits, wit_minter) = wits.unzip();
    let node = Arc::new(Node {
        attestors: Attestors::new(&settings.attestors),
        known,
        svids,
        wits,
        tokens: Tokens::new(Arc::clone(&control)),
        domain: settings.trust_domain.clone(),
    });
    let (stopper, stopped) = stop();
    let mut tasks = JoinSet::new();
    tasks.spawn(minter.run(stopped.clone()));
    if let Some(minter) = wit_minter {
        tasks.spawn(minter.run(stopped.clone()));
    }
    tasks.spawn(follow(control, tell, identity.doubt(), stopped.clone()));
    tasks.spawn(identity.keep(about, settings.trust_domain.clone(), stopped.clone()));
    tasks.spawn(trust::keep(Arc::clone(&node), ways, places, stopped.clone()));
    tasks.spawn(serve(Listener::Processes(socket), Arc::new(workload_door(&node)), stopped.clone()));
    if let (Some(socket), Some(broker)) = (brokers, &settings.broker) {
        let listed = broker.brokers.clone();
        let brokers = Brokers::new(listed, settings.trust_domain.clone(), node.known.clone(), trusted);
        let tls = tls::server(Arc::clone(&own), Arc::clone(&brokers.check));
        let door = Arc::new(broker_door(&node, Arc::new(brokers)));
        tasks.spawn(serve(Listener::ProcessesTls(socket, tls), door, stopped.clone()));
    }
    let admin = admin(&settings, node, own, &mut tasks, &stopped).await?;
    announce(&settings, admin.as_deref())?;
    ready(&settings);
    interrupted.asked().await;
    let _ = std::fs::remove_file(settings.directory.join(READY));
    stopper.stop();
    while tasks.join_next().await.is_some() {}
    let _ = std::fs::remove_file(&settings.socket);
    if let Some(broker) = &settings.broker {
        let _ = std::fs::remove_file(&broker.socket);
    }
    Ok(())
}

async fn admin(
    settings: &Settings,
    node: Arc<Node>,
    own: Arc<OwnSvid>,
    tasks: &mut JoinSet<()>,
    stopped: &net::Stop,
) -> Result<Option<String>, AgentFailed> {
    let Some(address) = settings.admin else { return Ok(None) };
    let io = |source| AgentFailed::Io { path: PathBuf::from(address.to_string()), source };
    let listener = TcpListener::bind(address).await.map_err(io)?;
    let url = format!("http://{}", listener.local_addr().map_err(io)?);
    tasks.spawn(serve(Listener::Tcp(listener), Arc::new(Admin { node, own }), stopped.clone()));
    Ok(Some(url))
}

/// What an operator gave the node for one use.
fn join_token(path: &Path) -> Result<String, AgentFailed> {
    let text = std::fs::read_to_string(path).map_err(|source| AgentFailed::Io { path: path.to_owned(), source })?;
    Ok(text.trim().to_owned())
}

/// Attests the node, as soon as control can be reached; gives whether it did before it was interrupted.
async fn attest(
    identity: &mut Identity,
    (places, ways): (&Places, &[Connections; 2]),
    interrupted: &mut Interrupted,
) -> Result<bool, AgentFailed> {
    loop {
        match identity.attest().await {
            Ok(true) => return Ok(true),
            Ok(false) => return Err(AgentFailed::NotAttested),
            Err(NoIdentity::Node(why)) if why.passes() => {
                tracing::warn!(why = chain(&why), "the node is not attested yet, trying again");
            }
            Err(why) => return Err(why.into()),
        }
        tokio::select! {
            () = interrupted.asked() => return Ok(false),
            () = sleep(jittered(AGAIN)) => {}
        }
        // somebody may have written another file meanwhile, or be about to
        match places.known_before() {
            Ok(trusted) => ways.iter().for_each(|way| way.trust(trusted.clone())),
            Err(why) => tracing::warn!(why = chain(&why), "whom to trust cannot be read again"),
        }
    }
}

/// Takes the directory, for its owner alone; it is held as long as the file is open.
fn take(directory: &Path) -> Result<File, AgentFailed> {
    let io = |source| AgentFailed::Io { path: directory.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    let lock = File::options().create(true).truncate(false).write(true).open(directory.join("lock")).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(AgentFailed::Held { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    let _ = std::fs::remove_file(directory.join(READY));
    Ok(lock)
}

/// Listens where workloads come. Everybody may connect; nobody else may put another socket there.
fn listen(socket: &Path) -> Result<UnixListener, AgentFailed> {
    let io = |source| AgentFailed::Io { path: socket.to_owned(), source };
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(io)?;
    let about = std::fs::metadata(folder).map_err(io)?;
    let mode = about.permissions().mode() & 0o777;
    if mode & OTHERS_WRITE != 0 {
        return Err(AgentFailed::SocketFolder { path: folder.to_owned(), mode });
    }
    let owner = about.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(AgentFailed::SocketOwner { path: folder.to_owned(), owner });
    }
    match std::fs::symlink_metadata(socket) {
        // of an agent that ended without a word: the lock says that none runs
        Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
            std::fs::remove_file(socket).map_err(io)?;
        }
        Ok(_) => return Err(AgentFailed::NoSocket { path: socket.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let listener = UnixListener::bind(socket).map_err(io)?;
    std::fs::set_permissions(socket, Permissions::from_mode(0o777)).map_err(io)?;
    Ok(listener)
}

/// Who is at the other end.
#[expect(
    clippy::expect_used,
    reason = "a trust domain and literals make a SPIFFE ID; every agent that starts makes one"
)]
fn control_plane(domain: &TrustDomain) -> SpiffeId {
    format!("spiffe://{domain}/countersign/server").parse().expect("a SPIFFE ID")
}

/// Leaves for programs where the agent is.
fn announce(settings: &Settings, admin: Option<&str>) -> Result<(), AgentFailed> {
    let path = settings.directory.join(READY);
    let document = json!({
        "role": "agent",
        "pid": std::process::id(),
        "environment": settings.environment,
        "socket": settings.socket,
        "broker": settings.broker.as_ref().map(|broker| &broker.socket),
        "admin": admin,
    });
    write_whole(&path, format!("{document}\n").as_bytes(), 0o644).map_err(|source| AgentFailed::Io { path, source })
}
