//! Which workload a broker means: exactly one, in words that this agent understands (SPIFFE_Broker_API.md §3.1).

use std::fmt;

use wire::Message;
use wire::broker::{KubernetesObjectKey, KubernetesObjectReference, WorkloadPidReference, WorkloadReference};

use super::settings::ReferenceKind;
use crate::attest::PodReference;

const PID: &str = "spiffe.broker.WorkloadPIDReference";
const KUBERNETES: &str = "spiffe.broker.KubernetesObjectReference";
/// The only objects that a kubelet knows, and their group: Kubernetes has no word for it, the standard has.
const PODS: (&str, &str) = ("pods", "core");
/// Longest name of a Kubernetes object, in bytes.
const MAX_NAME: usize = 253;

/// A workload of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// By its number.
    Process(i32),
    Pod(PodReference),
}

/// Why a reference means nobody.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum BadReference {
    #[error("a request names exactly one workload: there is no reference")]
    Missing,
    #[error("a reference of type `{found}` is not understood here")]
    Type { found: String },
    #[error("the reference is not of the type that it names")]
    Form(#[from] prost::DecodeError),
    #[error("`{pid}` is no number of a process: expected a positive one")]
    Pid { pid: i32 },
    #[error("an object of Kubernetes is named by `plural` and `group` of its type: for pods, `pods` and `core`")]
    NoObjectType,
    #[error("this agent knows the pods of its node, and no other object of Kubernetes")]
    OtherObject,
    #[error("an object of Kubernetes is named by `key`, by `uid`, or by both")]
    NoName,
    #[error("the key of a pod has `namespace` and `name`, of 1 to 253 bytes each")]
    Key,
    #[error("`uid` is no UID as Kubernetes gives them")]
    Uid,
}

impl Reference {
    /// Reads what a request names.
    ///
    /// # Errors
    /// [`BadReference`].
    pub(super) fn read(reference: Option<&WorkloadReference>) -> Result<Self, BadReference> {
        let packed = reference.and_then(|reference| reference.reference.as_ref()).ok_or(BadReference::Missing)?;
        // who defines a type stands before the slash, and says nothing
        let name = packed.type_url.rsplit_once('/').map_or("", |(_, name)| name);
        match name {
            PID => {
                let WorkloadPidReference { pid } = WorkloadPidReference::decode(packed.value.as_slice())?;
                if pid > 0 { Ok(Self::Process(pid)) } else { Err(BadReference::Pid { pid }) }
            }
            KUBERNETES => object(KubernetesObjectReference::decode(packed.value.as_slice())?).map(Self::Pod),
            _ => Err(BadReference::Type { found: packed.type_url.chars().take(MAX_NAME).collect() }),
        }
    }

    pub(super) const fn kind(&self) -> ReferenceKind {
        match self {
            Self::Process(_) => ReferenceKind::Pid,
            Self::Pod(_) => ReferenceKind::Kubernetes,
        }
    }
}

fn object(said: KubernetesObjectReference) -> Result<PodReference, BadReference> {
    let of = said.r#type.filter(|of| !of.plural.is_empty() && !of.group.is_empty());
    let of = of.ok_or(BadReference::NoObjectType)?;
    if (of.plural.as_str(), of.group.as_str()) != PODS {
        return Err(BadReference::OtherObject);
    }
    let sound = |name: &str| (1..=MAX_NAME).contains(&name.len());
    let key = match said.key {
        Some(KubernetesObjectKey { namespace, name }) if sound(&namespace) && sound(&name) => Some((namespace, name)),
        Some(_) => return Err(BadReference::Key),
        None => None,
    };
    let uid = match said.uid {
        uid if uid.is_empty() => None,
        uid if is_uuid(&uid) => Some(uid),
        _ => return Err(BadReference::Uid),
    };
    if key.is_none() && uid.is_none() { Err(BadReference::NoName) } else { Ok(PodReference { key, uid }) }
}

/// RFC 9562 §4, in the case in which it was given: it is compared octet for octet.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
}

/// For logs.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Pod(PodReference { key, uid }) => {
                write!(f, "pod")?;
                key.iter().try_for_each(|(namespace, name)| write!(f, " {namespace:?}/{name:?}"))?;
                uid.iter().try_for_each(|uid| write!(f, " {uid}"))
            }
        }
    }
}
