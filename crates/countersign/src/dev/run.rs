//! Starts and stops everything that `dev` runs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::PrincipalId;
use net::files::write_whole;
use net::tls::{self, OwnSvid};
use net::{Connections, Listener, Stop, Stopper, interrupted, now, serve, stop};
use store::{FileLedger, State, StateFault};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::directory::SvidFiles;
use super::directory::{Addresses, BadDirectory, Fresh, Ports};
use super::issuers::{Issuer, Issuers, key_set};
use super::own_api::{self, LaidOut, OwnApi, OwnApiFailed};
use super::sample_api::SampleApi;
use super::svids::{Svids, WORKLOADS};
use super::{Caller, DevJson, Directory, watch};
use crate::admin::{Admin, Source};
use crate::control::{Control, NoSvid, Post};
use crate::epochs::{ApplyFailed, Epochs, EpochsFailed, Setting, Trust};
use crate::estate::{Bundle, BundleError, Vars};
use crate::fakes::{BadKey, Clouds, NoClouds};
use crate::gateway::Gateway;
use crate::home::{operator, state_beside};
use crate::issuing;
use crate::keys;
use crate::pulse::Pulse;
use crate::vitals::Vitals;

/// Port of the gateway where none is named; with it goes the one for TLS.
const DEFAULT_PORT: u16 = 8480;
const DEFAULT_TLS_PORT: u16 = 8443;

/// A principal of the quickstart whom the sample callers become.
const SAMPLE: &str = "billing-ci";

/// Where keys of fakes lie, and what estates trust of them.
const CLOUDS: &str = "clouds";

/// How `dev` was asked to run.
#[derive(Debug, Clone)]
pub struct Options {
    pub directory: PathBuf,
    pub listen: SocketAddr,
    pub fresh: Fresh,
    pub watch: bool,
    /// The environment that is served, where the estate has several.
    pub environment: Option<String>,
    /// The user's own API and issuer, for a first estate.
    pub own: Option<OwnApi>,
    pub clouds: FakeClouds,
}

/// Whether fakes of clouds are served beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FakeClouds {
    None,
    Served,
}

/// Why `dev` does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevFailed {
    #[error(transparent)]
    Directory(#[from] BadDirectory),
    #[error("port {} of {} is in use; name another with --listen HOST:PORT, or --listen HOST:0 for a free one", .address.port(), .address.ip())]
    PortInUse { address: SocketAddr },
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{address} is not a loopback address; `dev` is for this machine alone")]
    NotLoopback { address: SocketAddr },
    #[error("cannot use the ledger")]
    Ledger(#[from] store::LedgerFault),
    #[error("cannot use the checkpoint key")]
    CheckpointKey(#[from] store::BadSigner),
    #[error("cannot use a sample issuer's key")]
    Key(#[from] BadKey),
    #[error("cannot read the estate")]
    Estate(#[from] BundleError),
    #[error("cannot use the state")]
    State(#[from] StateFault),
    #[error("cannot use what was applied before")]
    Epochs(#[from] EpochsFailed),
    #[error("the estate in `{}` is not in force", .path.display())]
    Apply { path: PathBuf, source: ApplyFailed },
    #[error("the gateway has no SVID")]
    Svid(#[from] NoSvid),
    #[error(transparent)]
    OwnApi(#[from] OwnApiFailed),
    #[error("cannot serve fakes of clouds")]
    Clouds(#[from] NoClouds),
    #[error("cannot prepare the directory")]
    Io(#[from] io::Error),
}

/// A dev server that accepts requests.
pub struct Running {
    pub json: DevJson,
    pub directory: Directory,
    /// Lines for whoever watches the start: what recovery did, what differs.
    pub notes: Vec<String>,
    pub estate: About,
    stopper: Stopper,
    servers: JoinSet<()>,
    ledger: Arc<FileLedger>,
    state: State,
}

/// What kind of estate is served, for whoever is told what to try.
#[derive(Debug)]
pub enum About {
    /// One that knows the sample callers.
    Samples,
    /// One for the user's own API, laid out just now.
    LaidOut(LaidOut),
    Other,
}

/// Runs until interrupted, then drains. `ready` hears when everything accepts.
///
/// # Errors
/// [`DevFailed`].
pub async fn run(options: Options, ready: impl FnOnce(&Running)) -> Result<(), DevFailed> {
    let mut interrupted = interrupted()?;
    let running = start(options).await?;
    ready(&running);
    interrupted.asked().await;
    running.stop().await;
    Ok(())
}

/// Starts everything; `dev.json` is written last.
///
/// # Errors
/// [`DevFailed`].
pub async fn start(options: Options) -> Result<Running, DevFailed> {
    if !options.listen.ip().is_loopback() {
        return Err(DevFailed::NotLoopback { address: options.listen });
    }
    let directory = Directory::take(&options.directory, options.fresh)?;
    let sockets = Sockets::bind(&directory, options.listen, options.clouds).await?;
    let checkpoint_key = store::DiskSigner::open(&directory.path("keys/checkpoint.key"))?;
    checkpoint_key.publish(&directory.path("checkpoint.pub"))?;
    let (ledger, started) = FileLedger::start(&directory.path("ledger"), store::Options::default())?;
    let ledger = Arc::new(ledger);
    let mut notes: Vec<String> = started.note().into_iter().collect();
    let keys = directory.path("keys");
    let issuers = Issuers::new(&keys, &sockets.issuer_url())?;
    let api = SampleApi::new(&directory.path("upstream.jsonl"), &url(&sockets.admin))?;
    let (stopper, stopped) = stop();
    let mut servers = JoinSet::new();
    let json = sockets.describe(&directory)?;
    servers.spawn(serve(Listener::Tcp(sockets.issuer), Arc::new(issuers), stopped.clone()));
    servers.spawn(serve(Listener::Tcp(sockets.upstream), Arc::new(api), stopped.clone()));

    serve_clouds(sockets.clouds, &directory, &mut servers, &stopped)?;
    let operators = vec![operator(directory.owner()?)];
    let laid_out = first_estate(&directory, &options, &json, &operators).await?;
    let (keys, keeper) = keys::keeper();
    servers.spawn(keeper.run(stopped.clone()));
    let connections = Connections::new(Arc::new(OwnSvid::default()));
    let state = State::open(&state_beside(&directory.path("ledger"))).await?;
    let (lives, custody) = (issuing::Lives::default(), issuing::Custody::State);
    let issuers = issuing::Issuers::new(directory.path("keys"), state.clone(), lives, (custody, None));
    let setting = Setting {
        operators,
        certified: credential::Operators::default(),
        environment: options.environment,
        vars: Vars::Dev(json.vars()),
        keys: keys.clone(),
        trust: Trust::Alone(issuers),
        connections,
        domain: None,
    };
    let epochs = Arc::new(Epochs::open(state.clone(), setting, now()).await?);
    let pulse = Pulse::own(now());
    let vitals = Vitals::new(&epochs, Arc::clone(&pulse), Arc::clone(&ledger), keys.clone());
    let description = serde_json::to_value(&json).map_err(io::Error::from)?;
    let control = Control::new(
        epochs,
        Arc::clone(&ledger),
        checkpoint_key,
        directory.path("ledger"),
        description,
        Post::Gateway,
        Arc::clone(&vitals),
    );
    let on_disk = Bundle::read(&json.estate)?;
    match control.in_force().await {
        Some(in_force) if in_force != on_disk => {
            let estate = json.estate.display();
            notes.push(format!("{estate} differs from what is in force; `countersign apply -f {estate}` applies it"));
        }
        Some(_) => {}
        None => {
            let failed = |source| DevFailed::Apply { path: json.estate.clone(), source };
            control.apply_as_owner(on_disk, directory.owner()?).await.map_err(failed)?;
        }
    }
    let estate = match laid_out {
        Some(laid_out) => About::LaidOut(laid_out),
        None if control.live().load().about.principals.contains_key(SAMPLE) => About::Samples,
        None => About::Other,
    };
    let control = Arc::new(control);
    let mut svids = Svids::new(Arc::clone(&control), directory.root().to_owned(), directory.owner()?);
    svids.renew().await?;
    servers.spawn(svids.keep(stopped.clone()));
    let gateway = Arc::new(Gateway::new(control.live(), keys, Arc::clone(&ledger), pulse));
    let tls = tls::server(Arc::clone(control.own_svid()), gateway.callers());
    servers.spawn(serve(Listener::Tcp(sockets.gateway), Arc::clone(&gateway), stopped.clone()));
    servers.spawn(serve(Listener::Tls(sockets.secure, tls), gateway, stopped.clone()));
    let issuer = Arc::clone(&control);
    let admin = Admin::new(vitals, Source::Issuer(Box::new(move || issuer.issuer())));
    servers.spawn(serve(Listener::Tcp(sockets.admin), Arc::new(admin), stopped.clone()));
    servers.spawn(serve(Listener::Unix(sockets.control), Arc::clone(&control), stopped.clone()));
    servers.spawn(following(Arc::clone(&control), stopped.clone()));
    servers.spawn(rotating(Arc::clone(&control), directory.owner()?, stopped.clone()));
    if options.watch {
        servers.spawn(watch::watch(json.estate.clone(), control, directory.owner()?, stopped));
    }
    directory.announce(&json)?;
    Ok(Running { json, directory, notes, estate, stopper, servers, ledger, state })
}

impl Running {
    /// Stops accepting, lets open requests end, and closes the ledger and the state.
    pub async fn stop(mut self) {
        self.stopper.stop();
        while self.servers.join_next().await.is_some() {}
        self.ledger.close().await;
        self.state.close().await;
        // stale files would only point at a closed door
        let socket = self.json.control.trim_start_matches("unix:");
        for gone in [self.directory.dev_json(), PathBuf::from(socket)] {
            let _ = std::fs::remove_file(gone);
        }
    }
}

/// Fakes of clouds, where there is a listener for them.
fn serve_clouds(
    listener: Option<TcpListener>,
    directory: &Directory,
    servers: &mut JoinSet<()>,
    stopped: &Stop,
) -> Result<(), NoClouds> {
    let Some(listener) = listener else { return Ok(()) };
    let clouds = Clouds::open(&directory.path(CLOUDS))?;
    servers.spawn(serve(Listener::Tcp(listener), Arc::new(clouds), stopped.clone()));
    Ok(())
}

async fn following(control: Arc<Control>, stop: Stop) {
    control.follow(stop).await;
}

async fn rotating(control: Arc<Control>, owner: u32, stop: Stop) {
    control.rotate(owner, stop).await;
}

struct Sockets {
    gateway: TcpListener,
    secure: TcpListener,
    admin: TcpListener,
    issuer: TcpListener,
    upstream: TcpListener,
    clouds: Option<TcpListener>,
    control: UnixListener,
    control_path: PathBuf,
}

impl Sockets {
    async fn bind(directory: &Directory, listen: SocketAddr, clouds: FakeClouds) -> Result<Self, DevFailed> {
        let last = directory.ports();
        let ip = listen.ip();
        let gateway = match listen.port() {
            0 => free(ip, last.gateway).await?,
            _ => TcpListener::bind(listen).await.map_err(|source| in_use(listen, source))?,
        };
        let secure = match listen.port() {
            DEFAULT_PORT => {
                let address = SocketAddr::new(ip, DEFAULT_TLS_PORT);
                TcpListener::bind(address).await.map_err(|source| in_use(address, source))?
            }
            _ => free(ip, last.secure).await?,
        };
        let admin = free(ip, last.admin).await?;
        let issuer = free(ip, last.issuer).await?;
        let upstream = free(ip, last.upstream).await?;
        let clouds = match clouds {
            FakeClouds::None => None,
            FakeClouds::Served => Some(free(ip, last.clouds).await?),
        };
        let (control, control_path) = directory.listen()?;
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        directory.remember(Ports {
            gateway: port(&gateway)?,
            secure: port(&secure)?,
            admin: port(&admin)?,
            issuer: port(&issuer)?,
            upstream: port(&upstream)?,
            clouds: clouds.as_ref().map_or(Ok(last.clouds), port)?,
        })?;
        Ok(Self { gateway, secure, admin, issuer, upstream, clouds, control, control_path })
    }

    fn issuer_url(&self) -> String {
        url(&self.issuer)
    }

    fn describe(&self, directory: &Directory) -> io::Result<DevJson> {
        Ok(DevJson {
            pid: std::process::id(),
            gateway: Addresses { http: url(&self.gateway), https: url(&self.secure).replacen("http", "https", 1) },
            control: format!("unix:{}", self.control_path.display()),
            admin: url(&self.admin),
            issuer: url(&self.issuer),
            upstream: url(&self.upstream),
            clouds: self.clouds.as_ref().map(url),
            ca: directory.path("ca.pem"),
            ledger: directory.path("ledger"),
            estate: directory.path("estate"),
            svids: WORKLOADS.iter().map(|name| ((*name).to_owned(), SvidFiles::under(directory, name))).collect(),
            tokens: Caller::ALL.iter().map(|caller| caller.name().to_owned()).collect(),
        })
    }
}

fn url(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| String::new(), |address| format!("http://{address}"))
}

/// A listener on a free port, the one of last time if it is still free.
async fn free(ip: IpAddr, last: u16) -> Result<TcpListener, DevFailed> {
    if last != 0
        && let Ok(listener) = TcpListener::bind((ip, last)).await
    {
        return Ok(listener);
    }
    let address = SocketAddr::new(ip, 0);
    TcpListener::bind(address).await.map_err(|source| DevFailed::Listen { address, source })
}

fn in_use(address: SocketAddr, source: io::Error) -> DevFailed {
    if source.kind() == io::ErrorKind::AddrInUse {
        return DevFailed::PortInUse { address };
    }
    DevFailed::Listen { address, source }
}

/// Lays out the estate that was asked for: one for the user's own API, or the quickstart.
async fn first_estate(
    directory: &Directory,
    options: &Options,
    json: &DevJson,
    operators: &[PrincipalId],
) -> Result<Option<LaidOut>, DevFailed> {
    let Some(own) = &options.own else {
        quickstart(directory)?;
        return Ok(None);
    };
    let vars = Vars::Dev(json.vars());
    Ok(Some(own_api::lay_out(&json.estate, own, options.listen.ip(), &vars, operators).await?))
}

/// Lays out the quickstart estate, if there is none, and the public keys of the sample platform in it.
fn quickstart(directory: &Directory) -> Result<(), DevFailed> {
    let estate = directory.path("estate");
    if estate.exists() {
        return Ok(());
    }
    let platform = key_set(&Issuer::Platform.key(&directory.path("keys"))?);
    // beside its place until all of it is there: half an estate would be taken for its owner's
    let half = directory.path("estate.new");
    let laid_out = lay_out(&half, &platform).and_then(|()| std::fs::rename(&half, &estate));
    laid_out.map_err(|source| BadDirectory::Io { path: estate, source }.into())
}

fn lay_out(folder: &Path, platform: &serde_json::Value) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(folder.join("keys"))?;
    write_whole(&folder.join("keys/platform.jwks.json"), &serde_json::to_vec_pretty(platform)?, 0o644)?;
    write_whole(&folder.join("billing.cedar"), include_bytes!("../../../../examples/quickstart/billing.cedar"), 0o644)?;
    write_whole(&folder.join("estate.yaml"), include_bytes!("../../../../examples/quickstart/estate.yaml"), 0o644)
}
