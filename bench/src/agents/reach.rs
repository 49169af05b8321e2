//! How soon a registration that is written is an SVID in the hands of a workload that waits.

use std::time::{Duration, Instant};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::time::sleep;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use wire::Channel;
use wire::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use wire::workload::{X509svidRequest, X509svidResponse};

use super::installation::{Installation, document};

/// Identities of the workload at a time: more than that are deleted by nobody here, and no workload has more than 128.
const AT_ONCE: usize = 100;

pub async fn table(installation: &Installation, trials: usize) {
    let uid = rustix::process::getuid().as_raw();
    let selector = format!("unix:uid:{uid}");
    installation.register(document("first", &selector, "node-1")).await;
    let (mut took, mut first) = (Vec::new(), Vec::new());
    let (_, mut stream) = svids(installation.socket()).await;
    for trial in 0..trials {
        // of few names, each another SVID: its DNS name changes
        let name = format!("t{}", trial % AT_ONCE);
        let text =
            document(&name, &selector, "node-1").replace("]}", &format!("], x509: {{dnsNames: [n{trial}.test]}}}}"));
        let begun = Instant::now();
        installation.register(text).await;
        let wanted = format!("n{trial}.test");
        loop {
            let message = stream.message().await.expect("a message").expect("a message");
            if message
                .svids
                .iter()
                .any(|svid| svid.x509_svid.windows(wanted.len()).any(|part| part == wanted.as_bytes()))
            {
                break;
            }
        }
        took.push(begun.elapsed());
        let begun = Instant::now();
        svids(installation.socket()).await;
        first.push(begun.elapsed());
    }
    println!("\n| how soon | trials | p50 | p99 | worst |\n|---|---:|---:|---:|---:|");
    row("registration written, until a waiting workload has the SVID", took);
    row("Workload API: connect, attest, first message with up to 100 SVIDs", first);
}

fn row(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let millis = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)].as_secs_f64() * 1e3;
    println!("| {what} | {} | {:.1} ms | {:.1} ms | {:.1} ms |", took.len(), millis(50), millis(99), millis(100));
}

/// All that the Workload API gives this process, and the stream on which it says so, once it gives anything: the agent may not have
/// heard of it yet.
pub async fn svids(socket: &str) -> (X509svidResponse, tonic::Streaming<X509svidResponse>) {
    loop {
        match first(socket).await {
            Ok(found) => return found,
            Err(status) => {
                let waits = matches!(status.code(), Code::PermissionDenied | Code::Unavailable);
                assert!(waits, "no SVID: {status}");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn first(socket: &str) -> Result<(X509svidResponse, tonic::Streaming<X509svidResponse>), Status> {
    let stream = UnixStream::connect(socket).await.expect("the socket");
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(async { drop(connection.await) });
    let origin = "http://localhost".parse().expect("a URI");
    let mut client =
        SpiffeWorkloadApiClient::with_origin(Channel::new(sender), origin).max_decoding_message_size(16 << 20);
    let mut request = tonic::Request::new(X509svidRequest {});
    request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
    let mut stream = client.fetch_x509svid(request).await?.into_inner();
    let first = stream.message().await?.expect("a stream that goes on");
    Ok((first, stream))
}
