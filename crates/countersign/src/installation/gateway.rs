//! Starts and stops a gateway that runs apart from its control plane.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credential::BadBundle;
use issuer::Assertions;
use model::Time;
use store::{BadPem, BadSigner, DiskSigner, FileLedger, P256Signer, State, StateFault, pem};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ready::{READY, Ready, ReadyGateway};
use crate::admin::{Admin, Source};
use crate::causes::chain;
use crate::control::{Control, Post};
use crate::epochs::{Epochs, EpochsFailed, Setting, Trust};
use crate::estate::{BadSettings, GatewaySettings, Vars, gateway_settings};
use crate::feed::Voice;
use crate::following::{Contact, Follower, Identity, NoContact, NoIdentity, Shelf};
use crate::gateway::Gateway;
use crate::home::{BadHome, Home, operator, state_beside};
use crate::issuing::{authorities_of, control_plane};
use crate::keys;
use crate::net::tls::{self, OwnSvid};
use crate::net::{Connections, Interrupted, Listener, Nodes, Stop, interrupted, jittered, now, serve, stop};
use crate::pulse::Pulse;
use crate::vitals::Vitals;

/// First line of the lock file.
const MARK: &str = "countersign gateway";
/// Between two tries to enrol.
const AGAIN: Duration = Duration::from_secs(2);

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayFailed {
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Home(#[from] BadHome),
    #[error("cannot listen on {address}: is another process there?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot use the ledger")]
    Ledger(#[from] store::LedgerFault),
    #[error("cannot use a key")]
    Key(#[from] BadSigner),
    #[error("cannot use the state")]
    State(#[from] StateFault),
    #[error("cannot use what is in force")]
    Epochs(#[from] EpochsFailed),
    #[error("`{}` is not what it should be", .path.display())]
    Pem { path: PathBuf, source: BadPem },
    #[error("`{}` is not of trust domain `{domain}`", .path.display())]
    Ca { path: PathBuf, domain: String, source: BadBundle },
    #[error("cannot read `{}`", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "this gateway is not enrolled, or its SVID has ended: start it with --enroll-token-file FILE; at the control plane, `countersign enroll token --role gateway --name NAME` prints a token"
    )]
    NotEnrolled,
    #[error(transparent)]
    Identity(#[from] NoIdentity),
    #[error("cannot prepare the directory")]
    Io(#[from] io::Error),
}

/// Runs until interrupted, then drains. `ready` hears when everything accepts.
///
/// # Errors
/// [`GatewayFailed`].
pub async fn gateway(config: &Path, token: Option<&Path>, ready: impl FnOnce(&Ready)) -> Result<(), GatewayFailed> {
    let mut interrupted = interrupted()?;
    let settings = gateway_settings(config)?;
    let home = Home::take(&settings.directory, MARK)?;
    home.remove(READY)?;
    let https = listen(settings.https).await?;
    let admin = listen(settings.admin).await?;
    let http = match settings.http {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let (socket, socket_path) = home.listen()?;
    let checkpoint_key = DiskSigner::open(&home.path("keys/checkpoint.key"))?;
    checkpoint_key.publish(&home.path("checkpoint.pub"))?;
    let (ledger, started) = FileLedger::start(&home.path("ledger"), store::Options::default())?;
    let ledger = Arc::new(ledger);
    if let Some(note) = started.note() {
        tracing::warn!("{note}");
    }
    let (stopper, stopped) = stop();
    let mut servers = JoinSet::new();
    let (keys, keeper) = keys::keeper();
    servers.spawn(keeper.run(stopped.clone()));
    let state = State::open(&state_beside(&home.path("ledger"))).await?;
    let parts = parts(&settings, &home, state.clone(), keys.clone()).await?;
    let Parts { epochs, contact, shelf, pulse, own, assertions } = parts;

    let mut identity = Identity::new(home.path("svid"), own, Arc::clone(&contact), &assertions);
    let known = authorities(&settings)?;
    let resumed = identity.resume(epochs.live().load().snapshot.sources.authorities())? || identity.resume(&known)?;
    if !resumed && !enrol(&mut identity, token, &mut interrupted).await? {
        return Ok(());
    }
    tracing::info!(id = identity.id(), "enrolled");
    let described = Ready {
        role: "gateway".to_owned(),
        pid: std::process::id(),
        environment: settings.environment.clone(),
        control: format!("unix:{}", socket_path.display()),
        admin: format!("http://{}", admin.local_addr()?),
        planes: None,
        gateway: Some(ReadyGateway {
            http: match &http {
                Some(http) => Some(format!("http://{}", http.local_addr()?)),
                None => None,
            },
            https: format!("https://{}", https.local_addr()?),
        }),
        ledger: home.path("ledger"),
        ca: settings.ca.clone(),
    };
    let description = serde_json::to_value(&described).map_err(io::Error::from)?;
    let live = epochs.live();
    let svid = Arc::clone(epochs.connections().own());
    let vitals = Vitals::new(Arc::clone(&live), Arc::clone(&pulse), Arc::clone(&ledger), keys.clone(), svid);
    let control = Control::new(
        Arc::clone(&epochs),
        Arc::clone(&ledger),
        checkpoint_key,
        home.path("ledger"),
        description,
        Post::Gateway,
        Arc::clone(&vitals),
    );
    let control = Arc::new(control);
    let gateway = Arc::new(Gateway::new(Arc::clone(&live), keys, Arc::clone(&ledger), Arc::clone(&pulse)));
    let config = tls::server(Arc::clone(control.own_svid()), gateway.callers());
    servers.spawn(serve(Listener::Tls(https, config), Arc::clone(&gateway), stopped.clone()));
    if let Some(http) = http {
        servers.spawn(serve(Listener::Tcp(http), gateway, stopped.clone()));
    }
    servers.spawn(serve(Listener::Unix(socket), control, stopped.clone()));
    let admin_door = Admin::new(vitals, Source::Plane(assertions));
    servers.spawn(serve(Listener::Tcp(admin), Arc::new(admin_door), stopped.clone()));
    servers.spawn(identity.keep(live, stopped.clone()));
    let follower = Arc::new(Follower::new(epochs, contact, pulse, shelf));
    servers.spawn(reporting(Arc::clone(&follower), stopped.clone()));
    servers.spawn(following(follower, stopped));
    described.announce(home.root())?;
    ready(&described);
    interrupted.asked().await;
    // stale files would only point at a closed door
    let _ = home.remove(READY);
    stopper.stop();
    while servers.join_next().await.is_some() {}
    ledger.close().await;
    state.close().await;
    let _ = std::fs::remove_file(socket_path);
    Ok(())
}

/// What a gateway that follows is made of.
struct Parts {
    epochs: Arc<Epochs>,
    contact: Arc<Contact>,
    shelf: Shelf,
    pulse: Arc<Pulse>,
    own: Arc<OwnSvid>,
    assertions: Arc<Assertions>,
}

async fn parts(
    settings: &GatewaySettings,
    home: &Home,
    state: State,
    keys: keys::Keys,
) -> Result<Parts, GatewayFailed> {
    let domain = &settings.trust_domain;
    let key = P256Signer::open(&home.path("keys/assertions.key"))?;
    let assertions = Arc::new(Assertions::new(domain, Box::new(key)));
    let own = Arc::new(OwnSvid::default());
    let connections = Connections::new(Arc::clone(&own));
    connections.trust(authorities(settings)?);
    let server = control_plane(domain);
    let contact = Arc::new(Contact::new(Nodes::new(settings.servers.clone(), connections.secured(server))));
    let key = read_pem(&settings.feed_key, "PUBLIC KEY")?;
    let shelf = Shelf::new(home.root(), Voice { environment: settings.environment.clone(), key });
    let setting = Setting {
        operators: vec![operator(home.owner()?)],
        // an operator comes to a gateway's own socket, and never over its network
        certified: credential::Operators::default(),
        environment: Some(settings.environment.clone()),
        vars: Vars::Refused,
        keys,
        trust: Trust::Control(Arc::clone(&assertions)),
        connections,
        domain: Some(domain.clone()),
    };
    let epochs = Arc::new(Epochs::open(state, setting, now()).await?);
    if let Some(publication) = shelf.snapshot() {
        let position = publication.position();
        match epochs.take(publication).await {
            Ok(()) => tracing::info!(%position, "in force, as it was last heard"),
            Err(error) => tracing::error!(%position, error = chain(&error), "what was heard last is not in force"),
        }
    }
    // without a heartbeat, everything is too old
    let heard = shelf.heartbeat().and_then(|heartbeat| heartbeat.time.parse().ok());
    let pulse = Pulse::heard(heard.unwrap_or(Time::MIN), now());
    Ok(Parts { epochs, contact, shelf, pulse, own, assertions })
}

fn authorities(settings: &GatewaySettings) -> Result<credential::Authorities, GatewayFailed> {
    let certificate = read_pem(&settings.ca, "CERTIFICATE")?;
    authorities_of(&settings.trust_domain, &[certificate]).map_err(|source| GatewayFailed::Ca {
        path: settings.ca.clone(),
        domain: settings.trust_domain.to_string(),
        source,
    })
}

fn read_pem(path: &Path, label: &'static str) -> Result<Vec<u8>, GatewayFailed> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| GatewayFailed::Unreadable { path: path.to_owned(), source })?;
    pem::decode(label, &text).map_err(|source| GatewayFailed::Pem { path: path.to_owned(), source })
}

/// Enrols, as soon as control can be reached; gives whether it did before it was interrupted.
async fn enrol(
    identity: &mut Identity,
    token: Option<&Path>,
    interrupted: &mut Interrupted,
) -> Result<bool, GatewayFailed> {
    let path = token.ok_or(GatewayFailed::NotEnrolled)?;
    let token = std::fs::read_to_string(path);
    let token = token.map_err(|source| GatewayFailed::Unreadable { path: path.to_owned(), source })?;
    loop {
        match identity.enrol(Some(token.trim()), None).await {
            Ok(()) => return Ok(true),
            Err(NoIdentity::Enrol(why @ (NoContact::Node(_) | NoContact::Late | NoContact::Http(_)))) => {
                tracing::warn!(why = chain(&why), "control cannot be reached, trying again");
            }
            Err(why) => return Err(why.into()),
        }
        tokio::select! {
            () = interrupted.asked() => return Ok(false),
            () = sleep(jittered(AGAIN)) => {}
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, GatewayFailed> {
    TcpListener::bind(address).await.map_err(|source| GatewayFailed::Listen { address, source })
}

async fn following(follower: Arc<Follower>, stop: Stop) {
    follower.follow(stop).await;
}

async fn reporting(follower: Arc<Follower>, stop: Stop) {
    follower.report(stop).await;
}
