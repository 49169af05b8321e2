//! Services of this machine: who holds the socket, and what is brought along.

use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::super::{Terms, fetch_local, fetch_on};
use super::{plain, server};
use crate::causes::chain;

/// A server at `socket` that answers once; gives what it was asked.
async fn answering(socket: &Path, answer: &'static str) -> tokio::task::JoinHandle<String> {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    })
}

#[tokio::test]
async fn a_local_service_is_asked_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let asked = answering(&socket, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let holder = rustix::process::geteuid().as_raw();
    let fetched = fetch_local(&socket, Some(holder), "/x?y=1", &Terms::public()).await.unwrap();
    assert_eq!(fetched.document, "{}");
    assert!(asked.await.unwrap().starts_with("GET /x?y=1 HTTP/1.1\r\nhost: localhost\r\n"));
}

#[tokio::test]
async fn a_socket_that_somebody_else_holds_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let failed = fetch_local(&socket, None, "/", &Terms::public()).await.unwrap_err();
    assert!(chain(&failed).starts_with(&format!("cannot connect to `{}`: No such file", socket.display())));
    let listener = UnixListener::bind(&socket).unwrap();
    let own = rustix::process::geteuid().as_raw();
    let failed = fetch_local(&socket, Some(own + 1), "/", &Terms::public()).await.unwrap_err();
    let said = format!("`{}` is held by user {own}, not by user {}", socket.display(), own + 1);
    assert_eq!(chain(&failed), said);
    let hasty = Terms { within: Duration::from_millis(1), ..Terms::public() };
    let failed = fetch_local(&socket, None, "/", &hasty).await.unwrap_err();
    assert_eq!(chain(&failed), "no whole answer within 0 s");
    drop(listener);
}

#[tokio::test]
async fn a_token_is_brought_along_and_never_shown() {
    let (address, mut heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "").await;
    let mut token = HeaderValue::from_static("Bearer abc");
    token.set_sensitive(true);
    let terms = Terms { authorization: Some(token), most: 2, ..Terms::public() };
    let failed = fetch_on(&plain(address), &terms).await.unwrap_err();
    assert_eq!(chain(&failed), "the document is longer than 2 bytes");
    assert!(heard.request().await.contains("\r\nauthorization: Bearer abc\r\n"));
    assert!(!format!("{terms:?}").contains("abc"));
}
