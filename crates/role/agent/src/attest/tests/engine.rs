//! Docker and Podman: a server at a real socket that answers as they do, and servers that answer otherwise.

use std::path::Path;

use net::causes::chain;
use testkit::mutate;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::super::container::{Container, ContainerId, Engine as Made};
use super::super::engine::{Engine, selectors};
use super::{Service, container, ok, texts};

const DOCKER: &[u8] = include_bytes!("samples/docker.json");
const PODMAN: &[u8] = include_bytes!("samples/podman.json");
const ID: &str = "8f0c6e2a5c1b4f6e8d7a9b0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f5";
const DIGEST: &str = "sha256:60c8a892f36faf6c9215464005ee6fb8cf0585f70b113c0b030f6cb497a41876";

fn own(engine: Made) -> Container {
    container(ContainerId::read(ID).unwrap(), engine)
}

fn serve(socket: &Path, answer: &[u8]) -> mpsc::Receiver<String> {
    let listener = UnixListener::bind(socket).unwrap();
    let (service, asked) = Service::new(&[answer]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            service.answer(stream, 0).await;
        }
    });
    asked
}

async fn said(answer: &[u8]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let _asked = serve(&socket, answer);
    let engine = Engine { socket, users: None };
    let said = engine.attest(&own(Made::Docker)).await.map_err(|why| chain(&why))?;
    Ok(texts(&said).into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn docker_says_what_a_container_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let mut asked = serve(&socket, &ok(DOCKER));
    let selectors = Engine { socket, users: None }.attest(&own(Made::Docker)).await.unwrap();
    assert_eq!(
        texts(&selectors),
        [
            "docker:env:EMPTY=",
            "docker:env:NGINX_VERSION=1.27.2",
            "docker:env:PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            &format!("docker:image_config_digest:{DIGEST}"),
            "docker:image_id:registry.acme.test/web:1.27",
            "docker:label:com.acme.empty:",
            "docker:label:com.acme.team:billing",
            "docker:label:maintainer:ops <ops@acme.test>",
        ]
    );
    assert!(
        asked.recv().await.unwrap().starts_with(&format!("GET /containers/{ID}/json HTTP/1.1\r\nhost: localhost\r\n"))
    );
}

#[tokio::test]
async fn podman_is_understood_as_well() {
    let expected =
        [format!("docker:image_config_digest:{DIGEST}"), "docker:image_id:docker.io/library/busybox:latest".to_owned()];
    assert_eq!(said(&ok(PODMAN)).await.unwrap(), expected);
}

/// A label `role:admin` of `x` would be the selector of a label `role` of `admin:x`, which is for another to set.
#[test]
fn a_label_cannot_be_taken_for_another_one() {
    let body = format!(r#"{{"Id":"{ID}","Image":"","Config":{{"Labels":{{"role:admin":"x","role":"none"}}}}}}"#);
    let found = selectors(body.as_bytes(), &ContainerId::read(ID).unwrap()).unwrap();
    assert_eq!(texts(&found), ["docker:label:role:none"]);
}

#[tokio::test]
async fn an_engine_that_does_not_say_it_is_no_attestation() {
    let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 34\r\n\r\n{\"message\":\"No such container: x\"}";
    assert_eq!(said(missing).await.unwrap_err(), "the answer was 404 Not Found, not 200");
    let elsewhere = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(said(elsewhere).await.unwrap_err(), "the answer was 307 Temporary Redirect, not 200");
    let other = String::from_utf8_lossy(DOCKER).replace(ID, &"0".repeat(64));
    assert_eq!(said(&ok(other.as_bytes())).await.unwrap_err(), "the answer is about another container");
    assert!(said(&ok(b"{}")).await.unwrap_err().starts_with("the answer is not understood: missing field `Id`"));
    assert_eq!(said(&ok(&vec![b' '; (1 << 20) + 1])).await.unwrap_err(), "the document is longer than 1048576 bytes");
    assert!(said(b"").await.unwrap_err().starts_with("the exchange failed"));
    let nobody = Engine { socket: "/nonexistent/docker.sock".into(), users: None };
    let why = chain(&nobody.attest(&own(Made::Docker)).await.unwrap_err());
    assert!(why.starts_with("cannot connect to `/nonexistent/docker.sock`: "), "{why}");
}

#[tokio::test]
async fn an_engine_of_a_user_is_asked_only_if_settings_say_so_and_only_if_it_is_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let me = rustix::process::geteuid().as_raw();
    let _asked = serve(&folder.path().join(format!("{me}.sock")), &ok(PODMAN));
    let users = Some(folder.path().join("{uid}.sock").display().to_string());
    let of = |user: u32| Container { user: Some(user), ..own(Made::Podman) };
    let closed = Engine { socket: "/nonexistent".into(), users: None };
    let why = chain(&closed.attest(&of(me)).await.unwrap_err());
    assert_eq!(why, format!("it is of the engine of user {me}, and engines of users are not asked"));
    let open = Engine { socket: "/nonexistent".into(), users };
    assert!(open.attest(&of(me)).await.unwrap().len() == 2);
    let theirs = folder.path().join(format!("{}.sock", me + 1));
    std::os::unix::fs::symlink(folder.path().join(format!("{me}.sock")), &theirs).unwrap();
    let why = chain(&open.attest(&of(me + 1)).await.unwrap_err());
    assert_eq!(why, format!("`{}` is held by user {me}, not by user {}", theirs.display(), me + 1));
}

#[test]
fn an_answer_that_is_almost_right_is_no_other_container() {
    for seed in [DOCKER, PODMAN] {
        mutate(seed, 2000, |bytes| {
            let _ = selectors(bytes, &ContainerId::read(ID).unwrap());
        });
    }
}
