//! Starts and stops a control plane.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use net::causes::chain;
use net::tls::{self, OwnSvid};
use net::{Connections, Listener, Stop, now};
use store::{BadSigner, BadToken, DiskSigner, State, StateFault, Token};
use tokio::sync::watch;
use tokio::time::sleep;

use super::bundle::{BadPair, BundleDoor, Pair};
use super::process::{NotStarted, Operated, Process, listen, url};
use super::ready::Ready;
use crate::admin::{Admin, Source};
use crate::control::{Clusters, Feed, OwnPart, Planes, Post};
use crate::epochs::{Epochs, EpochsFailed, Setting, Trust};
use crate::estate::{BadSettings, BundleServer, ServerSettings, StateSettings, TokenSettings, Vars, server_settings};
use crate::federation;
use crate::home::operator;
use crate::issuing::{Custody, Issuers, Upstream};
use crate::pulse::Pulse;

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
    NotStarted(#[from] NotStarted),
    #[error("cannot use a key")]
    Key(#[from] BadSigner),
    #[error("cannot use the PKCS#11 token")]
    Token(#[from] BadToken),
    #[error("cannot use the state")]
    State(#[from] StateFault),
    #[error("cannot read `{}`", .path.display())]
    StateUrl { path: PathBuf, source: io::Error },
    #[error("the bundle endpoint cannot be served")]
    Bundle(#[from] BadPair),
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
    let settings = server_settings(config)?;
    let ServerSettings { environment, trust_domain, planes, admin, names, directory, state, operators, .. } = settings;
    let clusters = Clusters::new(settings.clusters);
    let mut process = Process::begin(&directory, MARK)?;
    let owner = process.home.owner()?;
    let (planes, admin) = (listen(planes).await?, listen(admin).await?);
    let published = match settings.bundle {
        Some(bundle) => Some((listen(bundle.listen).await?, pair(bundle.server)?)),
        None => None,
    };
    let feed_key = DiskSigner::open(&process.home.path("keys/feed.key"))?;
    feed_key.publish(&process.home.path("feed.pub"))?;
    let state = open(state).await?;
    let custody = match &settings.token {
        Some(TokenSettings { module, label, pin }) => Custody::Token(Token::open(module, label, pin)?),
        None => Custody::State,
    };
    let signing = (custody, settings.upstream.map(Upstream::new));
    let setting = Setting {
        operators: vec![operator(owner)],
        certified: operators,
        environment: Some(environment.clone()),
        vars: Vars::Refused,
        keys: process.keys.clone(),
        trust: Trust::Issues(Issuers::new(process.home.path("keys"), state.clone(), settings.lives, signing)),
        connections: Connections::new(Arc::new(OwnSvid::default())),
        domain: Some(trust_domain),
    };
    let epochs = Arc::new(Epochs::open(state.clone(), setting, now()).await?);
    let ca = process.home.path("ca.pem");
    let described = Ready {
        planes: Some(url("https", &planes)?),
        bundle: published.as_ref().map(|(listener, _)| url("https", listener)).transpose()?,
        ca: ca.clone(),
        ..process.described("server", &environment, &admin)?
    };
    let post = Post::Control(Arc::new(Feed::new(environment, feed_key)));
    let Operated { control, vitals } = process.operated(&epochs, Pulse::own(now()), post, &described)?;
    let mut own = OwnPart::new(Arc::clone(&control), "server", owner, ca);
    renew(&mut own, &names).await;
    let changed = epochs.changed();
    process.run(|stop| keep(own, names, changed, stop));
    let tls = tls::server(Arc::clone(control.own_svid()), control.callers());
    process.serve(Listener::Tls(planes, tls), Arc::new(Planes::new(Arc::clone(&control), clusters)));
    if let Some((listener, pair)) = published {
        let used = pair.as_ref().map_or_else(|| Arc::clone(control.own_svid()), |pair| Arc::clone(&pair.used));
        process.serve(Listener::Tls(listener, tls::open(used)), Arc::new(BundleDoor(Arc::clone(&control))));
        if let Some(pair) = pair {
            process.run(|stop| pair.keep(stop));
        }
    }
    let issuer = Arc::clone(&control);
    let admin_door = Admin::new(vitals, Source::Issuer(Box::new(move || issuer.issuer())));
    process.serve(Listener::Tcp(admin), Arc::new(admin_door));
    let following = Arc::clone(&control);
    process.run(|stop| async move { following.follow(stop).await });
    let rotating = Arc::clone(&control);
    process.run(|stop| async move { rotating.rotate(owner, stop).await });
    let nested = Arc::clone(&control);
    process.run(|stop| async move { nested.exchange(stop).await });
    process.run(|stop| async move { control.tell(stop).await });
    process.run(|stop| federation::keep(epochs, stop));
    Ok(process.finish(state, &described, ready).await?)
}

/// The files by which a server is known; none where it is by its own SVID.
fn pair(server: BundleServer) -> Result<Option<Pair>, BadPair> {
    match server {
        BundleServer::Spiffe => Ok(None),
        BundleServer::Web { cert, key } => Pair::read(&cert, &key).map(Some),
    }
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

/// Keeps the server's own SVID fresh until asked to stop.
async fn keep(mut own: OwnPart, names: Vec<String>, mut changed: watch::Receiver<()>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = stop.asked() => return,
            // authorities may be others, and one of them tainted
            _ = changed.changed() => {}
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
