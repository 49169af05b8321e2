//! What is attested of real processes, of real control groups, and by fakes that speak as the real parties do.

mod binary;
mod cgroup;
mod engine;
mod groups;
mod kubelet;
mod process;
mod settings;
mod status;

use std::path::Path;
use std::sync::Arc;

use model::Selectors;
use net::Process;
use testkit::Caller;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::container::{Container, ContainerId, Engine};

/// A container's id of one digit.
fn id(digit: char) -> ContainerId {
    ContainerId::read(&digit.to_string().repeat(64)).unwrap()
}

fn container(id: ContainerId, engine: Engine) -> Container {
    Container { id, engine, pod: None, user: None }
}

fn texts(selectors: &Selectors) -> Vec<&str> {
    selectors.iter().map(model::Selector::as_str).collect()
}

/// A real process that has connected, as it is pinned.
async fn pinned(connect: impl FnOnce(&Path) -> Caller) -> (Caller, Process) {
    let folder = tempfile::tempdir().unwrap();
    // whoever connects may be another user
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let caller = connect(&socket);
    let (stream, _) = listener.accept().await.unwrap();
    (caller, Process::at(&stream).unwrap())
}

/// Whether tests may do what root may; they say so where they leave something out.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        #[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
        {
            eprintln!("skipped: to be other users needs root");
        }
    }
    root
}

/// What a service answers, each in turn, and the last one ever after; and what it was asked.
struct Service {
    answers: Vec<Vec<u8>>,
    asked: mpsc::Sender<String>,
}

impl Service {
    fn new(answers: &[&[u8]]) -> (Arc<Self>, mpsc::Receiver<String>) {
        let (asked, hear) = mpsc::channel(64);
        (Arc::new(Self { answers: answers.iter().map(|answer| answer.to_vec()).collect(), asked }), hear)
    }

    /// Reads one head, answers it as the `turn`th, and closes.
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, turn: usize) {
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.unwrap_or(0);
        let answer = self.answers.get(turn).or(self.answers.last()).unwrap();
        // whoever asked may be gone
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
        self.asked.send(String::from_utf8_lossy(&head[..read]).into_owned()).await.unwrap();
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    answer.push_str(std::str::from_utf8(body).unwrap());
    answer.into_bytes()
}
