//! What every process of an installation is made of, from its directory to its end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use net::{Door, Interrupted, Listener, Stop, Stopper, interrupted, serve, stop};
use store::{BadSigner, DiskSigner, FileLedger, State};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::ready::{READY, Ready};
use crate::control::{Control, Post};
use crate::epochs::Epochs;
use crate::home::{BadHome, Home};
use crate::keys::{Keys, keeper};
use crate::pulse::Pulse;
use crate::vitals::Vitals;

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error(transparent)]
    Home(#[from] BadHome),
    #[error("cannot listen on {address}: is another process there?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot use the ledger")]
    Ledger(#[from] store::LedgerFault),
    #[error("cannot use a key")]
    Key(#[from] BadSigner),
    #[error("cannot prepare the directory")]
    Io(#[from] io::Error),
}

/// A process that holds its directory, writes its ledger and keeps key sets.
pub(super) struct Process {
    pub home: Home,
    pub ledger: Arc<FileLedger>,
    pub keys: Keys,
    pub interrupted: Interrupted,
    checkpoint_key: Option<DiskSigner>,
    socket: Option<UnixListener>,
    socket_path: PathBuf,
    stopper: Stopper,
    stopped: Stop,
    tasks: JoinSet<()>,
}

/// The door of a process for its operators, and how the process is.
pub(super) struct Operated {
    pub control: Arc<Control>,
    pub vitals: Arc<Vitals>,
}

impl Process {
    /// Takes the directory, under this mark, and starts what every process has.
    pub(super) fn begin(directory: &Path, mark: &str) -> Result<Self, NotStarted> {
        let interrupted = interrupted()?;
        let home = Home::take(directory, mark)?;
        home.remove(READY)?;
        let (socket, socket_path) = home.listen()?;
        let checkpoint_key = DiskSigner::open(&home.path("keys/checkpoint.key"))?;
        checkpoint_key.publish(&home.path("checkpoint.pub"))?;
        let (ledger, started) = FileLedger::start(&home.path("ledger"), store::Options::default())?;
        if let Some(note) = started.note() {
            tracing::warn!("{note}");
        }
        let (stopper, stopped) = stop();
        let mut tasks = JoinSet::new();
        let (keys, keeper) = keeper();
        tasks.spawn(keeper.run(stopped.clone()));
        Ok(Self {
            home,
            ledger: Arc::new(ledger),
            keys,
            interrupted,
            checkpoint_key: Some(checkpoint_key),
            socket: Some(socket),
            socket_path,
            stopper,
            stopped,
            tasks,
        })
    }

    /// What it leaves for programs, as far as every process has it.
    pub(super) fn described(&self, role: &str, environment: &str, admin: &TcpListener) -> Result<Ready, NotStarted> {
        Ok(Ready {
            role: role.to_owned(),
            pid: std::process::id(),
            environment: environment.to_owned(),
            control: format!("unix:{}", self.socket_path.display()),
            admin: url("http", admin)?,
            ledger: self.home.path("ledger"),
            ..Ready::default()
        })
    }

    /// The door for operators, served on the socket.
    pub(super) fn operated(
        &mut self,
        epochs: &Arc<Epochs>,
        pulse: Arc<Pulse>,
        post: Post,
        described: &Ready,
    ) -> Result<Operated, NotStarted> {
        let vitals = Vitals::new(epochs, pulse, Arc::clone(&self.ledger), self.keys.clone());
        // both are there until this is called, which is once
        let taken = || io::Error::other("the control door is served already");
        let (key, socket) = (self.checkpoint_key.take().ok_or_else(taken)?, self.socket.take().ok_or_else(taken)?);
        let control = Control::new(
            Arc::clone(epochs),
            Arc::clone(&self.ledger),
            key,
            self.home.path("ledger"),
            serde_json::to_value(described).map_err(io::Error::from)?,
            post,
            Arc::clone(&vitals),
        );
        let control = Arc::new(control);
        self.serve(Listener::Unix(socket), Arc::clone(&control));
        Ok(Operated { control, vitals })
    }

    pub(super) fn serve<D: Door>(&mut self, listener: Listener, door: Arc<D>) {
        self.tasks.spawn(serve(listener, door, self.stopped.clone()));
    }

    /// Runs a task that ends when it is asked to stop.
    pub(super) fn run<F: Future<Output = ()> + Send + 'static>(&mut self, task: impl FnOnce(Stop) -> F) {
        self.tasks.spawn(task(self.stopped.clone()));
    }

    /// Says that everything accepts, waits until interrupted, and drains.
    pub(super) async fn finish(
        mut self,
        state: State,
        described: &Ready,
        ready: impl FnOnce(&Ready),
    ) -> Result<(), NotStarted> {
        described.announce(self.home.root())?;
        ready(described);
        self.interrupted.asked().await;
        // stale files would only point at a closed door
        let _ = self.home.remove(READY);
        self.stopper.stop();
        while self.tasks.join_next().await.is_some() {}
        self.ledger.close().await;
        state.close().await;
        let _ = std::fs::remove_file(&self.socket_path);
        Ok(())
    }
}

/// A listener.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, NotStarted> {
    TcpListener::bind(address).await.map_err(|source| NotStarted::Listen { address, source })
}

/// Where a listener listens.
pub(super) fn url(scheme: &str, listener: &TcpListener) -> io::Result<String> {
    Ok(format!("{scheme}://{}", listener.local_addr()?))
}
