//! Starts and stops a control plane.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use store::{BadSigner, DiskSigner, FileLedger, State, StateFault};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ready::{READY, Ready};
use crate::admin::{Admin, Source};
use crate::causes::chain;
use crate::control::{Control, Feed, OwnPart, Post};
use crate::epochs::{Epochs, EpochsFailed, Setting, Trust};
use crate::estate::{BadSettings, ServerSettings, StateSettings, Vars, server_settings};
use crate::home::{BadHome, Home, operator};
use crate::issuing::Issuers;
use crate::keys;
use crate::net::tls::{self, OwnSvid};
use crate::net::{Connections, Listener, Stop, interrupted, now, serve, stop};
use crate::pulse::Pulse;
use crate::vitals::Vitals;

/// First line of the lock file.
const MARK: &str = "countersign server";
/// How often it is looked at whether the server's own SVID is due.
const EVERY: Duration = Duration::from_millis(500);

/// Why a control plane does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerFailed {
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
    #[error("cannot read `{}`", .path.display())]
    StateUrl { path: PathBuf, source: io::Error },
    #[error("cannot use what was applied before")]
    Epochs(#[from] EpochsFailed),
    #[error("cannot prepare the directory")]
    Io(#[from] io::Error),
}

/// Runs until interrupted, then drains. `ready` hears when everything accepts.
///
/// # Errors
/// [`ServerFailed`].
pub async fn server(config: &Path, ready: impl FnOnce(&Ready)) -> Result<(), ServerFailed> {
    let mut interrupted = interrupted()?;
    let ServerSettings { environment, trust_domain, planes, admin, names, directory, state, operators } =
        server_settings(config)?;
    let home = Home::take(&directory, MARK)?;
    home.remove(READY)?;
    let owner = home.owner()?;
    let (planes, admin) = (listen(planes).await?, listen(admin).await?);
    let (socket, socket_path) = home.listen()?;
    let checkpoint_key = DiskSigner::open(&home.path("keys/checkpoint.key"))?;
    checkpoint_key.publish(&home.path("checkpoint.pub"))?;
    let feed_key = DiskSigner::open(&home.path("keys/feed.key"))?;
    feed_key.publish(&home.path("feed.pub"))?;
    let (ledger, started) = FileLedger::start(&home.path("ledger"), store::Options::default())?;
    let ledger = Arc::new(ledger);
    if let Some(note) = started.note() {
        tracing::warn!("{note}");
    }
    let (stopper, stopped) = stop();
    let mut servers = JoinSet::new();
    let (keys, keeper) = keys::keeper();
    servers.spawn(keeper.run(stopped.clone()));
    let state = open(state).await?;
    let setting = Setting {
        operators: vec![operator(owner)],
        certified: operators,
        environment: Some(environment.clone()),
        vars: Vars::Refused,
        keys: keys.clone(),
        trust: Trust::Issues(Issuers::new(home.path("keys/issuer"))),
        connections: Connections::new(Arc::new(OwnSvid::default())),
        domain: Some(trust_domain),
    };
    let epochs = Arc::new(Epochs::open(state.clone(), setting, now()).await?);
    let described = Ready {
        role: "server".to_owned(),
        pid: std::process::id(),
        environment: environment.clone(),
        control: format!("unix:{}", socket_path.display()),
        admin: format!("http://{}", admin.local_addr()?),
        planes: Some(format!("https://{}", planes.local_addr()?)),
        gateway: None,
        ledger: home.path("ledger"),
        ca: home.path("ca.pem"),
    };
    let description = serde_json::to_value(&described).map_err(io::Error::from)?;
    let post = Post::Control(Arc::new(Feed::new(environment, feed_key)));
    let own = Arc::clone(epochs.connections().own());
    let vitals = Vitals::new(epochs.live(), Pulse::own(now()), Arc::clone(&ledger), keys, own);
    let control = Control::new(
        epochs,
        Arc::clone(&ledger),
        checkpoint_key,
        home.path("ledger"),
        description,
        post,
        Arc::clone(&vitals),
    );
    let control = Arc::new(control);
    let mut own = OwnPart::new(Arc::clone(&control), "server", owner, home.path("ca.pem"));
    renew(&mut own, &names).await;
    servers.spawn(keep(own, names, stopped.clone()));
    let tls = tls::server(Arc::clone(control.own_svid()), control.callers());
    servers.spawn(serve(Listener::Tls(planes, tls), Arc::clone(&control), stopped.clone()));
    servers.spawn(serve(Listener::Unix(socket), Arc::clone(&control), stopped.clone()));
    let issuer = Arc::clone(&control);
    let admin_door = Admin::new(vitals, Source::Issuer(Box::new(move || issuer.issuer())));
    servers.spawn(serve(Listener::Tcp(admin), Arc::new(admin_door), stopped.clone()));
    servers.spawn(following(Arc::clone(&control), stopped.clone()));
    servers.spawn(telling(control, stopped));
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

/// A listener.
///
/// # Errors
/// [`ServerFailed::Listen`].
async fn listen(address: SocketAddr) -> Result<TcpListener, ServerFailed> {
    TcpListener::bind(address).await.map_err(|source| ServerFailed::Listen { address, source })
}

async fn open(state: StateSettings) -> Result<State, ServerFailed> {
    match state {
        StateSettings::File(path) => Ok(State::open(&path).await?),
        StateSettings::UrlFile(path) => {
            let url = std::fs::read_to_string(&path).map_err(|source| ServerFailed::StateUrl { path, source })?;
            Ok(State::connect(url.trim()).await?)
        }
    }
}

async fn following(control: Arc<Control>, stop: Stop) {
    control.follow(stop).await;
}

async fn telling(control: Arc<Control>, stop: Stop) {
    control.tell(stop).await;
}

/// Keeps the server's own SVID fresh until asked to stop.
async fn keep(mut own: OwnPart, names: Vec<String>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = stop.asked() => return,
            () = sleep(EVERY) => {}
        }
        renew(&mut own, &names).await;
    }
}

async fn renew(own: &mut OwnPart, names: &[String]) {
    if let Err(error) = own.renew(names.to_vec()).await {
        tracing::error!(error = chain(&error), "the server's SVID is not renewed");
    }
}
