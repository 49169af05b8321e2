//! The same over a local socket: a service of this machine, at a path that settings wrote down.

use std::path::Path;

use tokio::net::UnixStream;

use super::exchange::{exchange, request};
use super::{FetchFailed, Fetched, Terms, in_time};

/// Fetches `target`, a path of a URL, from whoever listens at `socket`: any user, unless `holder` names the one.
///
/// # Errors
/// [`FetchFailed`]; a redirect is a status like any other.
pub async fn fetch_local(
    socket: &Path,
    holder: Option<u32>,
    target: &str,
    terms: &Terms,
) -> Result<Fetched, FetchFailed> {
    let refused = |source| FetchFailed::Socket { socket: socket.to_owned(), source };
    let fetch = async {
        let stream = UnixStream::connect(socket).await.map_err(refused)?;
        let found = stream.peer_cred().map_err(refused)?.uid();
        match holder {
            Some(expected) if expected != found => {
                Err(FetchFailed::Holder { socket: socket.to_owned(), expected, found })
            }
            _ => exchange(stream, request(&format!("http://localhost{target}"), terms), terms).await,
        }
    };
    in_time(fetch, terms).await
}
