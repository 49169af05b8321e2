//! What is attested of a workload: selectors, each read by an attestor from what the kernel and its neighbours say of the
//! process, and never from what the process says of itself.
//!
//! INVARIANT: all of what the attestors that apply have to say, or nothing: a registration names what has to hold, and one
//! that is kept narrow by a selector must not be met because an attestor was away.

mod binary;
mod cgroup;
mod container;
mod engine;
mod kubelet;
mod names;
mod pods;
mod proc;
mod settings;
mod status;
mod unix;

use model::{Selector, Selectors};
use net::{Gone, Process};
use tokio::time::Instant;

pub(crate) use self::pods::PodReference;
pub use self::settings::WorkloadAttestors;

use self::binary::{Binary, NoBinary};
use self::container::{Container, ContainerId, Engine, Uncertain};
use self::engine::NoAnswer;
use self::kubelet::{Kubelet, NoPod};
use self::proc::{Sighting, Unread};
use self::settings::DockerSettings;
use self::unix::Unix;

/// Reads what a process is.
#[derive(Debug)]
pub struct Attestors {
    unix: Option<Unix>,
    systemd: bool,
    docker: Option<engine::Engine>,
    podman: Option<engine::Engine>,
    kubelet: Option<Kubelet>,
}

/// A process at one moment: whose it is, where in the trees of control groups, and, where paths are attested, what it runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    sighting: Sighting,
    binary: Option<Binary>,
}

/// Why nothing is attested of a process.
#[derive(Debug, thiserror::Error)]
pub enum NotAttested {
    #[error(transparent)]
    Gone(#[from] Gone),
    #[error(
        "process {pid} is not as it connected: user {} then and {} now, group {} then and {} now",
        .user.0, .user.1, .group.0, .group.1
    )]
    OtherUser { pid: i32, user: (u32, u32), group: (u32, u32) },
    #[error("process {pid} became another while it was looked at")]
    Changed { pid: i32 },
    #[error("what the kernel says of process {pid} is not known")]
    Unread { pid: i32, source: Unread },
    #[error("the names of users and groups are not known")]
    Names(#[source] Unread),
    #[error("the binary of process {pid} is not known")]
    Binary { pid: i32, source: NoBinary },
    #[error("the container of process {pid} is not certain")]
    Container { pid: i32, source: Uncertain },
    #[error("container `{id}` is not attested by its engine")]
    Engine { id: ContainerId, source: NoAnswer },
    #[error("container `{id}` is not attested by the kubelet")]
    Kubernetes { id: ContainerId, source: Box<NoPod> },
}

/// Why nothing is known of pods.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPods {
    #[error("the settings name no kubelet")]
    NoKubelet,
    #[error("the kubelet does not say which pods there are")]
    Unsaid(#[from] Box<NoPod>),
}

impl Default for Attestors {
    fn default() -> Self {
        Self::new(&WorkloadAttestors::default())
    }
}

impl Attestors {
    pub fn new(settings: &WorkloadAttestors) -> Self {
        let engine = |settings: &DockerSettings| engine::Engine { socket: settings.socket.clone(), users: None };
        Self {
            unix: settings.unix.as_ref().map(Unix::new),
            systemd: settings.systemd,
            docker: settings.docker.as_ref().map(engine),
            podman: settings
                .podman
                .as_ref()
                .map(|settings| engine::Engine { socket: settings.socket.clone(), users: settings.users.clone() }),
            kubelet: settings.kubernetes.as_ref().map(Kubelet::new),
        }
    }

    /// Everything that holds of `process` now.
    ///
    /// # Errors
    /// [`NotAttested`]: its end, another process than the one that connected, or an attestor that cannot say what it should.
    pub async fn attest(&self, process: &Process) -> Result<Selectors, NotAttested> {
        tokio::select! {
            biased;
            () = process.ended() => Err(Gone.into()),
            read = self.read(process) => read,
        }
    }

    /// The UID of a pod of this node, and what holds of it at `since` or later; none where there is none.
    ///
    /// # Errors
    /// [`NoPods`].
    pub(crate) async fn pod(
        &self,
        wanted: &PodReference,
        since: Instant,
    ) -> Result<Option<(String, Selectors)>, NoPods> {
        let kubelet = self.kubelet.as_ref().ok_or(NoPods::NoKubelet)?;
        Ok(kubelet.pod(wanted, since).await.map_err(Box::new)?)
    }

    /// How `process` looks to the kernel now. What was attested of it holds as long as it looks as it did before that.
    ///
    /// # Errors
    /// [`NotAttested`].
    pub async fn look(&self, process: &Process) -> Result<Look, NotAttested> {
        let sighting = Sighting::of(process)?;
        is_who_connected(process, &sighting)?;
        let Some(unix) = &self.unix else { return Ok(Look { sighting, binary: None }) };
        let binary = unix.binary(process.pid()).await;
        // before anything is made of it, an error too: it is of this process, or it is nothing
        if Sighting::of(process)? != sighting {
            return Err(NotAttested::Changed { pid: process.pid() });
        }
        Ok(Look { sighting, binary: binary? })
    }

    async fn read(&self, process: &Process) -> Result<Selectors, NotAttested> {
        let before = self.look(process).await?;
        let said = self.ask(process.pid(), &before).await;
        if self.look(process).await? == before { said } else { Err(NotAttested::Changed { pid: process.pid() }) }
    }

    async fn ask(&self, pid: i32, seen: &Look) -> Result<Selectors, NotAttested> {
        let mut selectors = self.of_container(pid, &seen.sighting).await?;
        if let Some(unit) = seen.sighting.cgroups.unit().filter(|_| self.systemd) {
            select(&mut selectors, "systemd:id", unit);
        }
        if let Some(unix) = &self.unix {
            selectors.extend(unix.attest(pid, seen).await?);
        }
        Ok(selectors)
    }

    async fn of_container(&self, pid: i32, seen: &Sighting) -> Result<Selectors, NotAttested> {
        if self.docker.is_none() && self.podman.is_none() && self.kubelet.is_none() {
            return Ok(Selectors::new());
        }
        let uncertain = |source| NotAttested::Container { pid, source };
        let Some(container) = seen.cgroups.container().map_err(uncertain)? else { return Ok(Selectors::new()) };
        let mut selectors = Selectors::new();
        if let Some(engine) = self.engine_of(&container).map_err(uncertain)? {
            let said = engine.attest(&container).await;
            selectors.extend(said.map_err(|source| NotAttested::Engine { id: container.id.clone(), source })?);
        }
        if let Some(kubelet) = self.kubelet.as_ref().filter(|_| container.may_be_of_pod()) {
            let said = kubelet.attest(&container).await.map_err(Box::new);
            selectors.extend(said.map_err(|source| NotAttested::Kubernetes { id: container.id.clone(), source })?);
        }
        Ok(selectors)
    }

    /// The engine to ask about a container, if it is to be asked.
    ///
    /// # Errors
    /// [`Uncertain::NoEngine`] where that depends on who made it, and its path does not tell.
    fn engine_of(&self, container: &Container) -> Result<Option<&engine::Engine>, Uncertain> {
        match container.engine {
            Engine::Docker => Ok(self.docker.as_ref()),
            Engine::Podman => Ok(self.podman.as_ref()),
            Engine::Containerd | Engine::Crio => Ok(None),
            // as kubelets make them without systemd: their pods are asked for
            Engine::Unnamed if container.pod.is_some() => Ok(None),
            Engine::Unnamed if self.docker.is_none() && self.podman.is_none() => Ok(None),
            Engine::Unnamed => Err(Uncertain::NoEngine { id: container.id.clone() }),
        }
    }
}

/// # Errors
/// [`NotAttested::OtherUser`]: a process may change its user after it connected, and another may have got its number.
fn is_who_connected(process: &Process, seen: &Sighting) -> Result<(), NotAttested> {
    let (then, now) = (process.credentials(), &seen.owner);
    let (user, group) = ((then.uid, now.uid), (then.gid, now.gid));
    if user.0 == user.1 && group.0 == group.1 {
        return Ok(());
    }
    Err(NotAttested::OtherUser { pid: process.pid(), user, group })
}

/// Adds a selector. What has no value is left out, and what cannot stand in a selector: no registration could name it.
fn select(selectors: &mut Selectors, kind: &str, value: &str) {
    selectors.extend(Selector::of(kind, value).filter(|_| !value.is_empty()));
}

#[cfg(test)]
mod tests;
