//! Real processes in real control groups, as an engine would put them there: needs root, and a tree that may be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use net::Process;
use net::causes::chain;
use testkit::Caller;
use tokio::net::UnixListener;

use super::super::settings::{DockerSettings, KubeletAuthority, KubernetesSettings};
use super::super::{Attestors, NotAttested, WorkloadAttestors};
use super::{Service, is_root, ok, pinned, texts};

const DOCKER: &str = include_str!("samples/docker.json");
const ID: &str = "8f0c6e2a5c1b4f6e8d7a9b0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f5";
const NO_PODS: &[u8] = br#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#;

/// A group of the unified tree, for as long as the test runs.
struct Group(PathBuf);

impl Group {
    /// None, with a word on why, where groups cannot be made.
    fn make(path: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists())?;
        let group = root.join(path);
        if !is_root() {
            return None;
        }
        if let Err(error) = fs::create_dir_all(&group) {
            #[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
            {
                eprintln!("skipped: control groups cannot be made: {error}");
            }
            return None;
        }
        Some(Self(group))
    }

    fn take(&self, process: &Process) {
        fs::write(self.0.join("cgroup.procs"), process.pid().to_string()).unwrap();
    }

    fn container(name: &str) -> Option<(Self, String)> {
        let id = format!("{:0>64}", format!("{:x}{:x}", std::process::id(), name.len()));
        Some((Self::make(&format!("docker/{id}"))?, id))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // a process that was killed leaves in its own time
        for _ in 0..1000 {
            if fs::remove_dir(&self.0).is_ok() {
                break;
            }
            std::thread::yield_now();
        }
        // an engine may have others there
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

fn with_docker(socket: &Path) -> Attestors {
    let docker = Some(DockerSettings { socket: socket.to_owned() });
    Attestors::new(&WorkloadAttestors { docker, ..WorkloadAttestors::default() })
}

/// An engine that does something before it answers.
fn engine(socket: &Path, id: &str, mut first: impl FnMut() + Send + 'static) {
    let listener = UnixListener::bind(socket).unwrap();
    let (service, mut asked) = Service::new(&[&ok(DOCKER.replace(ID, id).as_bytes())]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            first();
            service.answer(stream, 0).await;
            asked.recv().await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_process_in_a_container_is_attested_by_its_engine_or_not_at_all() {
    let Some((group, id)) = Group::container("whole") else { return };
    let (_caller, process) = pinned(Caller::connect).await;
    group.take(&process);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let attestors = with_docker(&socket);
    let why = chain(&attestors.attest(&process).await.unwrap_err());
    let expected =
        format!("container `{id}` is not attested by its engine: cannot connect to `{}`: ", socket.display());
    assert!(why.starts_with(&expected), "{why}");
    engine(&socket, &id, || {});
    let selectors = attestors.attest(&process).await.unwrap();
    for expected in ["docker:label:com.acme.team:billing", "docker:image_id:registry.acme.test/web:1.27", "unix:uid:0"]
    {
        assert!(texts(&selectors).contains(&expected), "{selectors:?}");
    }
    // without the attestor, no container is looked for
    assert!(Attestors::default().attest(&process).await.unwrap().len() < selectors.len());
    // a container of Docker is none that a kubelet knows
    let kubernetes = Some(KubernetesSettings {
        kubelet: "http://127.0.0.1:1".to_owned(),
        authority: KubeletAuthority::None,
        token: None,
        patience: std::time::Duration::from_secs(1),
    });
    let with_kubelet = Attestors::new(&WorkloadAttestors { kubernetes, ..WorkloadAttestors::default() });
    assert!(with_kubelet.attest(&process).await.is_ok());
}

#[tokio::test]
async fn a_process_that_leaves_its_container_meanwhile_is_refused() {
    let Some((group, id)) = Group::container("leaves it") else { return };
    let (_caller, process) = pinned(Caller::connect).await;
    group.take(&process);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let (pid, out) = (process.pid(), group.0.parent().unwrap().parent().unwrap().join("cgroup.procs"));
    engine(&socket, &id, move || fs::write(&out, pid.to_string()).unwrap());
    let why = with_docker(&socket).attest(&process).await.unwrap_err();
    assert_eq!(why.to_string(), format!("process {pid} became another while it was looked at"));
}

#[tokio::test]
async fn a_process_that_becomes_another_user_meanwhile_is_refused() {
    let Some((group, id)) = Group::container("another user") else { return };
    let (caller, process) = pinned(Caller::connect).await;
    group.take(&process);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let caller = Arc::new(Mutex::new(Some(caller)));
    let told = Arc::clone(&caller);
    engine(&socket, &id, move || told.lock().unwrap().as_mut().unwrap().become_user(65534));
    let why = with_docker(&socket).attest(&process).await.unwrap_err();
    assert!(matches!(why, NotAttested::OtherUser { user: (0, 65534), .. }), "{why}");
    // before its group can go
    caller.lock().unwrap().take();
}

#[tokio::test]
async fn a_process_that_ends_while_its_pod_is_waited_for_is_gone() {
    let Some(group) = Group::make(&format!("kubepods/pod{:032x}/{:064x}", std::process::id(), 7)) else { return };
    let (caller, process) = pinned(Caller::connect).await;
    group.take(&process);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubernetes = Some(KubernetesSettings {
        kubelet: format!("http://{}", listener.local_addr().unwrap()),
        authority: KubeletAuthority::None,
        token: None,
        patience: std::time::Duration::from_secs(300),
    });
    let mut caller = Some(caller);
    let (service, mut asked) = Service::new(&[&ok(NO_PODS)]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            service.answer(stream, 0).await;
            asked.recv().await.unwrap();
            caller.take().map(Caller::leave);
        }
    });
    let attestors = Attestors::new(&WorkloadAttestors { kubernetes, ..WorkloadAttestors::default() });
    assert!(matches!(attestors.attest(&process).await, Err(NotAttested::Gone(_))));
    let pod = group.0.parent().unwrap().to_owned();
    drop(group);
    let _ = fs::remove_dir(pod.parent().unwrap());
}

#[tokio::test]
async fn a_process_in_a_container_within_a_container_is_refused() {
    let Some((outer, id)) = Group::container("container within") else { return };
    let inner = Group(outer.0.join(format!("docker/{:064x}", 11)));
    fs::create_dir_all(&inner.0).unwrap();
    let (caller, process) = pinned(Caller::connect).await;
    inner.take(&process);
    let why = with_docker(Path::new("/nonexistent")).attest(&process).await.unwrap_err();
    let expected = format!(
        "the container of process {} is not certain: its control groups are of container `{id}` and of `{:064x}`",
        process.pid(),
        11
    );
    assert_eq!(chain(&why), expected);
    drop(caller);
    drop(inner);
    drop(outer);
}
