//! Who listens to an answer that goes on, and for how long.

use model::Time;
use net::{Peer, now};

use crate::live::{Current, ends};

/// Somebody who was let in, and may hear more while what let them in still does.
pub(super) struct Audience {
    pub peer: Peer,
    pub live: Current,
    pub until: Time,
}

impl Audience {
    pub(super) fn may_hear(&self) -> bool {
        let at = now();
        at < self.until && ends(&self.peer, &self.live.load(), at).is_none()
    }
}
