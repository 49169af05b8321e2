//! Real processes: what is attested of them, and what of those that become another while they are looked at.

use net::causes::chain;
use testkit::{Caller, with_number};

use super::super::proc::Sighting;
use super::super::settings::{DockerSettings, UnixSettings};
use super::super::{Attestors, NotAttested, WorkloadAttestors};
use super::{is_root, pinned, texts};

fn with_paths() -> Attestors {
    let unix = Some(UnixSettings { discover_path: true, max_hashed: 1 << 30 });
    Attestors::new(&WorkloadAttestors { unix, ..WorkloadAttestors::default() })
}

#[tokio::test]
async fn a_process_is_attested_as_who_it_is() {
    if !is_root() {
        return;
    }
    let (_caller, process) = pinned(|socket| Caller::connect_as(socket, 65534, 65534, &[4, 60001])).await;
    let selectors = Attestors::default().attest(&process).await.unwrap();
    let expected = [
        "unix:gid:65534",
        "unix:group:nogroup",
        "unix:supplementary_gid:4",
        "unix:supplementary_gid:60001",
        "unix:supplementary_group:adm",
        "unix:uid:65534",
        "unix:user:nobody",
    ];
    // where tests run below a unit of systemd, that is attested, too
    let found: Vec<_> = texts(&selectors).into_iter().filter(|text| text.starts_with("unix:")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_process_that_has_become_another_binary_is_attested_as_that() {
    let (mut caller, process) = pinned(Caller::connect).await;
    let path = async |process| {
        let selectors = with_paths().attest(process).await.unwrap();
        let found = texts(&selectors).into_iter().find(|text| text.starts_with("unix:path:"));
        (found.unwrap().to_owned(), selectors.iter().any(|selector| selector.as_str().starts_with("unix:sha256:")))
    };
    let perl = std::fs::read_link(format!("/proc/{}/exe", process.pid())).unwrap();
    assert_eq!(path(&process).await, (format!("unix:path:{}", perl.display()), true));
    let look = with_paths().look(&process).await.unwrap();
    assert!(with_paths().look(&process).await.unwrap() == look);
    caller.exec("cat /proc/uptime -");
    assert!(with_paths().look(&process).await.unwrap() != look, "an open stream would not end");
    let cat = std::fs::canonicalize("/bin/cat").unwrap();
    assert_eq!(path(&process).await, (format!("unix:path:{}", cat.display()), true));
}

#[tokio::test]
async fn a_process_that_has_become_another_user_is_refused() {
    if !is_root() {
        return;
    }
    let (mut caller, process) = pinned(Caller::connect).await;
    assert!(Attestors::default().look(&process).await.is_ok());
    caller.become_user(65534);
    let why = Attestors::default().attest(&process).await.unwrap_err();
    let pid = process.pid();
    assert_eq!(
        chain(&why),
        format!("process {pid} is not as it connected: user 0 then and 65534 now, group 0 then and 0 now")
    );
    assert!(matches!(Attestors::default().look(&process).await, Err(NotAttested::OtherUser { .. })));
}

#[tokio::test]
async fn a_process_that_has_ended_is_gone_whoever_has_its_number() {
    let (caller, process) = pinned(Caller::connect).await;
    let pid = caller.leave();
    let gone = async || matches!(Attestors::default().attest(&process).await, Err(NotAttested::Gone(_)));
    assert!(gone().await);
    let Some(other) = with_number(pid) else { return };
    assert_eq!(other.pid(), process.pid());
    assert!(gone().await, "another process was attested");
    assert!(matches!(with_paths().look(&process).await, Err(NotAttested::Gone(_))));
    assert!(matches!(with_paths().attest(&process).await, Err(NotAttested::Gone(_))));
}

/// Attested again and again while they end: each time all of it, or that they are gone.
#[tokio::test]
async fn a_process_may_end_at_any_moment() {
    let attestors = with_paths();
    for _ in 0..40 {
        let (caller, process) = pinned(Caller::connect).await;
        let whole = attestors.attest(&process).await.unwrap();
        let leaves = tokio::task::spawn_blocking(move || caller.leave());
        loop {
            match attestors.attest(&process).await {
                Ok(selectors) => assert_eq!(selectors, whole),
                Err(NotAttested::Gone(_)) => break,
                Err(other) => panic!("{}", chain(&other)),
            }
        }
        leaves.await.unwrap();
    }
}

/// Nothing is asked for a process that is in no container, and where one is asked for, its absence is no fewer selectors.
#[tokio::test]
async fn an_attestor_that_does_not_apply_adds_nothing() {
    let (_caller, process) = pinned(Caller::connect).await;
    if Sighting::of(&process).unwrap().cgroups.container() != Ok(None) {
        return;
    }
    let docker = Some(DockerSettings { socket: "/nonexistent/docker.sock".into() });
    let with_docker = Attestors::new(&WorkloadAttestors { docker, ..WorkloadAttestors::default() });
    let found = with_docker.attest(&process).await.unwrap();
    assert_eq!(found, Attestors::default().attest(&process).await.unwrap());
}
