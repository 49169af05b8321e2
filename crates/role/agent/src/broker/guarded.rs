//! Streams about a workload that end with it, and with the SVID of who listens.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use net::now;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status};

use super::asker::Asker;
use super::reason;
use crate::workload::Life;

/// Longest wait for the end of an SVID: the clock may be put forward meanwhile.
const AT_MOST: Duration = Duration::from_secs(60);

/// What `inner` says, to who is proved still, in the words of the Broker API.
pub(super) fn guarded<M: Send + 'static>(
    inner: impl Stream<Item = Result<M, Status>> + Send + 'static,
    life: Life,
    asker: Asker,
) -> impl Stream<Item = Result<M, Status>> + Send {
    stream::unfold(Some((Box::pin(inner), life, asker)), |open| async move {
        let (mut inner, life, asker) = open?;
        loop {
            let said = tokio::select! {
                said = inner.next() => said?,
                () = sleep_until(Instant::now() + asker.until().since(now()).min(AT_MOST)) => match asker.still() {
                    Ok(()) => continue,
                    Err(unproved) => return Some((Err(unproved), None)),
                },
            };
            let said = match said {
                // INVARIANT: nothing is handed out of who is no more, or to who is proved no more
                Ok(_) if life.is_over() => Err(reason::gone()),
                Ok(message) => asker.still().map(|()| message),
                Err(status) => Err(told(status, &life)),
            };
            return match said {
                Ok(message) => Some((Ok(message), Some((inner, life, asker)))),
                Err(status) => Some((Err(status), None)),
            };
        }
    })
}

/// What a workload would be told itself, as its broker is.
pub(super) fn told(status: Status, life: &Life) -> Status {
    if status.code() != Code::PermissionDenied {
        return status;
    }
    if life.is_over() { reason::gone() } else { reason::not_entitled(status.message()) }
}
