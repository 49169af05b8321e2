//! The way out: what is refused before a byte is sent, and what servers that lie get.

mod addresses;
mod answers;
mod local;
mod metadata;
mod secured;
mod urls;

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Plain, Reach, Remote, Roots};
use crate::causes::chain;

/// What a server got of a request, each in turn.
struct Heard(mpsc::Receiver<String>);

impl Heard {
    async fn request(&mut self) -> String {
        self.0.recv().await.unwrap()
    }

    fn nothing(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// A server on loopback that reads one head a connection, sends `first`, and then `again` for as long as it is read.
async fn server(first: &str, again: &str) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = mpsc::channel(16);
    let (first, again) = (first.to_owned(), again.to_owned());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&head[..read]).into_owned()).await;
            let mut sent = stream.write_all(first.as_bytes()).await;
            while sent.is_ok() && !again.is_empty() {
                sent = stream.write_all(again.as_bytes()).await;
            }
        }
    });
    (address, Heard(heard))
}

fn plain(address: SocketAddr) -> Remote {
    Remote::new(&format!("http://{address}/jwks?v=1"), Reach::Loopback, Plain::OnLoopback, Roots::Platform).unwrap()
}

/// Why a URL is no remote; plain HTTP goes with loopback, as in an estate.
fn refused(url: &str, reach: Reach) -> String {
    let plain = if reach == Reach::Loopback { Plain::OnLoopback } else { Plain::Refused };
    Remote::new(url, reach, plain, Roots::Platform).map_or_else(|bad| chain(&bad), |_| String::new())
}
