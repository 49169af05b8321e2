//! What let an exchange through has to stand until its last byte: looked at again and again, not only at its start.

use std::sync::Arc;
use std::time::Duration;

use identity::Resolution;
use model::{Code, Time};

use crate::live::{Current, Live};
use crate::pulse::Pulse;

/// How often an exchange that is under way is looked at.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// A caller whose exchange is under way.
pub(super) struct Standing {
    live: Current,
    pulse: Arc<Pulse>,
    caller: Resolution,
    deadline: Time,
}

impl Standing {
    pub(super) fn new((live, pulse): (&Current, &Arc<Pulse>), caller: &Resolution, deadline: Time) -> Self {
        Self { live: Arc::clone(live), pulse: Arc::clone(pulse), caller: caller.clone(), deadline }
    }

    /// The time, as far as it is believed.
    pub(super) fn time(&self) -> Time {
        self.pulse.time()
    }

    /// Why nothing more may cross, if nothing may.
    pub(super) fn ended(&self) -> Option<Code> {
        if self.deadline <= self.time() {
            return Some(Code::Expired);
        }
        is_revoked(&self.live.load(), &self.caller).then_some(Code::Revoked)
    }
}

/// Whether something that a caller rests on is revoked.
fn is_revoked(live: &Live, caller: &Resolution) -> bool {
    let revocations = live.snapshot.sources.revocations();
    caller.proved().any(|finding| {
        revocations.of_finding(finding).is_some() || revocations.of_principal(&caller.actor.id, finding.issued)
    })
}
