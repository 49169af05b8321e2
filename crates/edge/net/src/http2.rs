//! One connection of HTTP/2: its streams belong to it, what a peer may have open or make us hold is bounded, and what the
//! library rejects is reported.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::pace::{Pace, Paced, PacedBody, Reading};
use super::serve::{Door, HEAD_BYTES, LastAnswer, Peer, Stop};
use super::streams::{Handed, Streams};

/// What a peer may send of one stream before we have taken it, in bytes; and of all streams of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is held for one stream that its peer does not take, in bytes.
const SEND_BUFFER: usize = 256 * 1024;
/// Most streams that were reset, by the peer (CVE-2023-44487) or for its errors (CVE-2025-8671), before the connection ends.
const RESETS: usize = 20;
/// How often a silent connection is asked whether anyone is there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

pub(super) async fn http2<D: Door>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    peer: Peer,
    door: Arc<D>,
    mut stop: Stop,
) {
    let (pace, pacing) = (Pace::fresh(Reading::ByConnection), door.pacing());
    let service = service_fn(|request| {
        let open = pace.head_complete();
        let (door, pace, peer) = (Arc::clone(&door), Arc::clone(&pace), peer.clone());
        async move {
            let mut answer = door.answer(request, peer).await;
            if answer.extensions_mut().remove::<LastAnswer>().is_some() {
                pace.is_last();
            }
            Ok::<_, Infallible>(answer.map(|body| PacedBody::new(body, open, Handed::here())))
        }
    });
    let paced = Paced::new(stream, Arc::clone(&pace), pacing);
    let streams = Streams::new(pacing.stall);
    let mut http = http2::Builder::new(streams.clone());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(door.streams())
        .max_header_list_size(HEAD_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let mut ends = pin!(async {
        tokio::select! { () = stop.asked() => {}, () = door.dismissed(&peer) => {}, () = pace.ends() => {} }
    });
    let (mut said, mut rejected) = (false, 0);
    {
        let mut connection = pin!(http.serve_connection(TokioIo::new(paced), service));
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    // half a head, or nothing that HTTP/2 begins with: neither was answered
                    rejected += u32::from(ended.is_err() && pace.is_within_head());
                    break;
                }
                () = ends.as_mut(), if !said => {
                    said = true;
                    connection.as_mut().graceful_shutdown();
                }
                some = pace.rejects() => report(door.as_ref(), some).await,
            }
        }
    }
    streams.end().await;
    // an error that ended the connection was reported as it was sent, unless it was the last
    report(door.as_ref(), rejected.max(pace.rejected())).await;
}

async fn report<D: Door>(door: &D, rejected: u32) {
    for _ in 0..rejected {
        door.unreadable().await;
    }
}
