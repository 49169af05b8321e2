//! Hears what control says, for as long as the agent runs.

use std::sync::Arc;
use std::time::Duration;

use net::causes::chain;
use net::{Stop, jittered};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use wire::agent::{FollowRequest, Update};

use crate::control::{ControlPlane, NoContact};
use crate::known::{Known, Nonsense};

/// How long control may take to begin.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two tries; doubled with each that fails.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_AT_MOST: Duration = Duration::from_secs(15);
/// Most parts of one update.
const MOST_PARTS: usize = 4_096;

/// Why the agent hears nothing more for now.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error(transparent)]
    Control(#[from] NoContact),
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("an update has too many parts")]
    TooLong,
    #[error("control has ended the stream")]
    Ended,
}

/// Follows until asked to stop. What was heard stays known while control is away.
/// `doubt` is told where control does not let the agent hear.
pub(crate) async fn follow(
    control: Arc<ControlPlane>,
    known: watch::Sender<Arc<Known>>,
    doubt: Arc<Notify>,
    mut stop: Stop,
) {
    let mut wait = AGAIN;
    loop {
        let heard = known.borrow().clone();
        let why = tokio::select! {
            () = stop.asked() => return,
            why = hear(&control, &known) => why,
        };
        // asked in any case: what is left of it would count against the next connection
        let turned_away = control.turned_away();
        if turned_away || matches!(&why, Unheard::Control(why) if why.is_refusal()) {
            doubt.notify_one();
        }
        // something was heard: control is there
        wait = if Arc::ptr_eq(&heard, &known.borrow()) { (wait * 2).min(AGAIN_AT_MOST) } else { AGAIN };
        tracing::warn!(why = chain(&why), "nothing more is heard of control for now");
        tokio::select! {
            () = stop.asked() => return,
            () = sleep(jittered(wait)) => {}
        }
    }
}

async fn hear(control: &ControlPlane, known: &watch::Sender<Arc<Known>>) -> Unheard {
    match listen(control, known).await {
        Ok(()) => Unheard::Ended,
        Err(why) => why,
    }
}

async fn listen(control: &ControlPlane, known: &watch::Sender<Arc<Known>>) -> Result<(), Unheard> {
    let mut client = control.client().await?;
    let said = timeout(WITHIN, client.follow(FollowRequest {})).await.or(Err(NoContact::Late))?;
    let mut said = said.map_err(NoContact::from)?.into_inner();
    let mut parts: Vec<Update> = Vec::new();
    while let Some(update) = said.message().await.map_err(NoContact::from)? {
        let more = update.more;
        parts.push(update);
        if parts.len() > MOST_PARTS {
            return Err(Unheard::TooLong);
        }
        if !more {
            let now = known.borrow().with(std::mem::take(&mut parts))?;
            known.send_replace(Arc::new(now));
        }
    }
    Ok(())
}
