//! `k8s:…`: what a kubelet's list of pods says of a container.

use std::collections::BTreeMap;

use model::Selectors;
use serde::Deserialize;

use super::container::Container;
use super::select;

/// A pod, by the name of its namespace and its own, by its UID, or by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodReference {
    pub key: Option<(String, String)>,
    pub uid: Option<String>,
}

/// The pods of a node, as far as they are used.
#[derive(Debug, Deserialize)]
pub(super) struct Pods {
    #[serde(default)]
    items: Option<Vec<Pod>>,
}

#[derive(Debug, Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    name: String,
    namespace: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    owner_references: Option<Vec<Owner>>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    kind: String,
    name: String,
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    service_account_name: String,
    node_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    image: String,
    #[serde(rename = "imageID")]
    image_id: String,
    /// `containerd://ID`; nothing as long as it is not started.
    #[serde(rename = "containerID")]
    container_id: String,
}

/// A container is in several pods: nothing is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("several pods have it")]
pub struct SeveralPods;

impl Pods {
    /// The UID of the pod that is meant, and what holds of it, whatever container of it asks; none where the list has none.
    pub(super) fn meant(&self, wanted: &PodReference) -> Option<(String, Selectors)> {
        // a list in which several are meant means none
        let mut pods = self.items.iter().flatten().filter(|pod| wanted.means(pod));
        let pod = pods.next().filter(|_| pods.next().is_none())?;
        Some((pod.metadata.uid.clone(), pod.of_all()))
    }

    /// What holds of a container, once the list has it.
    ///
    /// # Errors
    /// [`SeveralPods`].
    pub(super) fn selectors(&self, container: &Container) -> Result<Option<Selectors>, SeveralPods> {
        let asked = |pod: &&Pod| container.pod.as_ref().is_none_or(|uid| uid.as_str() == pod.metadata.uid);
        let pods = self.items.iter().flatten().filter(asked);
        let mut found = pods.filter_map(|pod| Some(pod.selectors(pod.container(container)?)));
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(SeveralPods),
            (one, None) => Ok(one),
        }
    }
}

impl PodReference {
    fn means(&self, pod: &Pod) -> bool {
        let Metadata { uid, name, namespace, .. } = &pod.metadata;
        let key = self.key.as_ref().is_none_or(|(of, called)| (of, called) == (namespace, name));
        // without either, nothing is meant
        key && self.uid.as_ref().is_none_or(|wanted| wanted == uid) && (self.key.is_some() || self.uid.is_some())
    }
}

impl Pod {
    fn container(&self, container: &Container) -> Option<&ContainerStatus> {
        let has_id = |status: &&ContainerStatus| {
            status.container_id.split_once("://").is_some_and(|(_, id)| id == container.id.as_str())
        };
        self.status.containers().chain(self.status.init_containers()).find(has_id)
    }

    fn selectors(&self, own: &ContainerStatus) -> Selectors {
        let mut selectors = self.of_all();
        let mut add = |name: &str, value: &str| select(&mut selectors, name, value);
        add("k8s:container-name", &own.name);
        for image in own.images() {
            add("k8s:container-image", image);
        }
        selectors
    }

    /// What holds of every container.
    fn of_all(&self) -> Selectors {
        let Self { metadata, spec, status } = self;
        let mut selectors = Selectors::new();
        let mut add = |name: &str, value: &str| select(&mut selectors, name, value);
        add("k8s:ns", &metadata.namespace);
        add("k8s:sa", &spec.service_account_name);
        add("k8s:node-name", &spec.node_name);
        add("k8s:pod-uid", &metadata.uid);
        add("k8s:pod-name", &metadata.name);
        add("k8s:pod-image-count", &status.containers().count().to_string());
        add("k8s:pod-init-image-count", &status.init_containers().count().to_string());
        for (key, value) in metadata.labels.iter().flatten() {
            add("k8s:pod-label", &format!("{key}:{value}"));
        }
        for owner in metadata.owner_references.iter().flatten() {
            add("k8s:pod-owner", &format!("{}:{}", owner.kind, owner.name));
            add("k8s:pod-owner-uid", &format!("{}:{}", owner.kind, owner.uid));
        }
        for image in status.containers().flat_map(ContainerStatus::images) {
            add("k8s:pod-image", image);
        }
        for image in status.init_containers().flat_map(ContainerStatus::images) {
            add("k8s:pod-init-image", image);
        }
        selectors
    }
}

impl Status {
    fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.container_statuses.iter().flatten()
    }

    fn init_containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.init_container_statuses.iter().flatten()
    }
}

impl ContainerStatus {
    /// By name, and by digest.
    fn images(&self) -> [&str; 2] {
        [&self.image, &self.image_id]
    }
}
