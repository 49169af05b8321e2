//! The container that a path of control groups is of, by the names that engines give to theirs.
//!
//! INVARIANT: what root did not make is not believed. Below a unit of systemd, whoever the unit belongs to may make groups
//! by any name, those of other people's containers too. So a container stands below slices and plain groups alone, which
//! only root makes, or below the service of an engine, or is said to be of the user below whose systemd it stands.

use std::fmt;

/// Services that make the groups of their containers below their own.
const ENGINES: &[&str] = &[
    "containerd.service",
    "crio.service",
    "docker.service",
    "k3s.service",
    "k3s-agent.service",
    "kubelet.service",
    "rke2-agent.service",
    "rke2-server.service",
];
/// How engines begin the names of groups.
const BEGINNINGS: &[(&str, Engine)] = &[
    ("cri-containerd", Engine::Containerd),
    ("crio", Engine::Crio),
    ("docker", Engine::Docker),
    ("libpod", Engine::Podman),
    ("libpod-payload", Engine::Podman),
    ("nerdctl", Engine::Containerd),
];
/// Hex digits of a container's id.
const ID: usize = 64;

/// A container, and what its path says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: ContainerId,
    pub(super) engine: Engine,
    /// The pod that it is of, where the path shows that.
    pub(super) pod: Option<PodUid>,
    /// The user whose engine made it, where that is not the system's own.
    pub(super) user: Option<u32>,
}

/// 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerId(String);

/// A UUID, or the digest of the file of a static pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodUid(String);

/// Who made a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Docker,
    Podman,
    Containerd,
    Crio,
    /// The path has the bare id.
    Unnamed,
}

/// Why it is not certain which container a process is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncertain {
    #[error("its control groups are of container `{one}` and of `{other}`")]
    Several { one: ContainerId, other: ContainerId },
    #[error("container `{id}` is of pod `{one}` and of `{other}`")]
    Pods { id: ContainerId, one: PodUid, other: PodUid },
    #[error("it is in pod `{pod}`, and in none of its containers")]
    BarePod { pod: PodUid },
    #[error("`{unit}` may make control groups by any name, and has one like a container's")]
    Delegated { unit: String },
    #[error("`{name}` looks like a container's control group, and is of no engine that is known here")]
    Unknown { name: String },
    #[error("the control group of container `{id}` does not tell its engine")]
    NoEngine { id: ContainerId },
}

impl Container {
    /// Whether a kubelet could know it: those of the same pod as this process may be seen without their pod.
    pub(super) const fn may_be_of_pod(&self) -> bool {
        self.pod.is_some() || matches!(self.engine, Engine::Containerd | Engine::Crio)
    }

    /// What two trees say of one container.
    ///
    /// # Errors
    /// [`Uncertain`] where they differ.
    pub(super) fn and(self, other: Self) -> Result<Self, Uncertain> {
        if self.id != other.id {
            return Err(Uncertain::Several { one: self.id, other: other.id });
        }
        let engine = match (self.engine, other.engine) {
            (Engine::Unnamed, named) | (named, Engine::Unnamed) => named,
            (one, same) if one == same => one,
            _ => return Err(Uncertain::NoEngine { id: self.id }),
        };
        let pod = match (self.pod, other.pod) {
            (Some(one), Some(other)) if one != other => return Err(Uncertain::Pods { id: self.id, one, other }),
            (one, other) => one.or(other),
        };
        Ok(Self { id: self.id, engine, pod, user: self.user.or(other.user) })
    }
}

/// The container that a path is of.
///
/// # Errors
/// [`Uncertain`].
pub(super) fn container(path: &str) -> Result<Option<Container>, Uncertain> {
    let mut found: Option<Container> = None;
    let mut pod = None;
    let mut above = Above::default();
    for name in path.split('/').filter(|name| !matches!(*name, "" | "..")) {
        match Group::of(name, above.last) {
            Some(Group::Container { id, engine, pod: beside }) => {
                let next = Container { id, engine, pod: beside.or_else(|| pod.clone()), user: above.user(engine)? };
                found = Some(match found {
                    Some(outer) => outer.and(next)?,
                    None => next,
                });
            }
            Some(Group::Pod(uid)) if found.is_none() => {
                pod = Some(uid);
                above.user(Engine::Unnamed)?;
            }
            Some(Group::Unknown) => return Err(Uncertain::Unknown { name: name.to_owned() }),
            // what a container makes below itself is its own
            Some(Group::Pod(_)) | None => {}
        }
        if found.is_none() {
            above.pass(name);
        }
    }
    match (found, pod) {
        (None, Some(pod)) => Err(Uncertain::BarePod { pod }),
        (found, _) => Ok(found),
    }
}

/// A group that is not a plain one.
enum Group {
    Container {
        id: ContainerId,
        engine: Engine,
        pod: Option<PodUid>,
    },
    Pod(PodUid),
    /// It has an id, in no form that is known.
    Unknown,
}

impl Group {
    fn of(name: &str, above: Option<&str>) -> Option<Self> {
        let has_id = name.split(|c: char| !c.is_ascii_alphanumeric()).any(is_id);
        if !has_id {
            return PodUid::within(name).map(Self::Pod);
        }
        Some(Self::container(name, above).unwrap_or(Self::Unknown))
    }

    /// `ENGINE-ID.scope`, `ENGINE-ID`, `SLICE:ENGINE:ID` or the bare id.
    fn container(name: &str, above: Option<&str>) -> Option<Self> {
        if let Some((slice, rest)) = name.split_once(':') {
            let (engine, id) = rest.split_once(':')?;
            let id = ContainerId::read(id)?;
            return Some(Self::Container { id, engine: engine_of(engine)?, pod: PodUid::within(slice) });
        }
        if let Some(id) = ContainerId::read(name) {
            let engine = if above == Some("docker") { Engine::Docker } else { Engine::Unnamed };
            return Some(Self::Container { id, engine, pod: None });
        }
        let (engine, id) = name.strip_suffix(".scope").unwrap_or(name).rsplit_once('-')?;
        Some(Self::Container { id: ContainerId::read(id)?, engine: engine_of(engine)?, pod: None })
    }
}

fn engine_of(beginning: &str) -> Option<Engine> {
    BEGINNINGS.iter().find(|(name, _)| *name == beginning).map(|(_, engine)| *engine)
}

/// What stands above a container in its path.
#[derive(Default)]
struct Above<'p> {
    last: Option<&'p str>,
    /// The first unit: what is below it is its own.
    unit: Option<&'p str>,
    within: Option<&'p str>,
}

impl<'p> Above<'p> {
    fn pass(&mut self, name: &'p str) {
        if self.unit.is_none() && (name.ends_with(".service") || name.ends_with(".scope")) {
            self.unit = Some(name);
            self.within = self.last;
        }
        self.last = Some(name);
    }

    /// The user whose a container at this place is: none for the system's own.
    ///
    /// # Errors
    /// [`Uncertain::Delegated`] where it could be anybody's.
    fn user(&self, engine: Engine) -> Result<Option<u32>, Uncertain> {
        let Some(unit) = self.unit else { return Ok(None) };
        if self.within == Some("system.slice") && ENGINES.contains(&unit) {
            return Ok(None);
        }
        let number = |text: &str, before: &str, after: &str| -> Option<u32> {
            text.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
        };
        let user = number(unit, "user@", ".service");
        match (user, self.within.and_then(|slice| number(slice, "user-", ".slice"))) {
            (Some(user), Some(same)) if user == same && engine == Engine::Podman => Ok(Some(user)),
            _ => Err(Uncertain::Delegated { unit: unit.to_owned() }),
        }
    }
}

impl ContainerId {
    pub(super) fn read(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl PodUid {
    /// From `podUID`, or the end of a slice's name, in which `-` is written `_`.
    fn within(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".slice").unwrap_or(name);
        let (before, uid) = name.rsplit_once("pod")?;
        let uid = uid.replace('_', "-");
        let lengths: Vec<usize> = uid.split('-').map(str::len).collect();
        let sound = uid.bytes().all(|byte| is_hex(byte) || byte == b'-');
        let formed = matches!(lengths.as_slice(), [8, 4, 4, 4, 12] | [32]);
        (sound && formed && (before.is_empty() || before.ends_with('-'))).then_some(Self(uid))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(is_hex)
}

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
