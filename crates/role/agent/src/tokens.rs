//! JWT-SVIDs of workloads: minted when asked for, and again from half of their lives on; the one before is handed out while it
//! holds and control is away.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{SpiffeId, Time};
use net::causes::chain;
use net::now;
use tokio::time::timeout;
use wire::agent::{JwtSvid, MintJwtRequest, Workload, mint_jwt_response};

use crate::control::{ControlPlane, NoContact};
use crate::known::Identified;

/// How long control may take where there is nothing else to hand out, and where there is.
const WITHIN: Duration = Duration::from_secs(4);
const WITHIN_WHILE_HELD: Duration = Duration::from_secs(1);
/// Most tokens that are kept.
const MOST: usize = 1_000;

/// Keeps JWT-SVIDs.
pub(crate) struct Tokens {
    control: Arc<ControlPlane>,
    held: Mutex<HashMap<Key, Held>>,
}

/// Whose token, and for whom; audiences in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    registration: String,
    id: SpiffeId,
    audience: Vec<String>,
}

#[derive(Clone)]
struct Held {
    token: String,
    due: Time,
    expires: Time,
    /// Of the registration by which it was minted.
    digest: Vec<u8>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoToken {
    #[error("control refuses it: {code} (record {record})")]
    Refused { code: String, record: String, again: bool },
    #[error(transparent)]
    Control(#[from] NoContact),
}

impl NoToken {
    /// Whether the same may be had later.
    pub(crate) const fn passes(&self) -> bool {
        matches!(self, Self::Control(_) | Self::Refused { again: true, .. })
    }
}

impl Tokens {
    pub(crate) fn new(control: Arc<ControlPlane>) -> Self {
        Self { control, held: Mutex::default() }
    }

    /// A token of an identity, for these audiences.
    ///
    /// # Errors
    /// [`NoToken`].
    pub(crate) async fn of(
        &self,
        identified: &Identified,
        selectors: Vec<String>,
        audience: &[String],
    ) -> Result<String, NoToken> {
        let registration = &identified.registration;
        let mut sorted = audience.to_vec();
        sorted.sort();
        sorted.dedup();
        let key = Key { registration: registration.name.clone(), id: identified.id.clone(), audience: sorted };
        let at = now();
        let held =
            self.lock().get(&key).filter(|held| held.digest == registration.digest && at < held.expires).cloned();
        if let Some(held) = held.as_ref().filter(|held| at < held.due) {
            return Ok(held.token.clone());
        }
        let workload = Workload {
            registration: key.registration.clone(),
            digest: registration.digest.clone(),
            id: key.id.to_string(),
            selectors,
        };
        let within = if held.is_some() { WITHIN_WHILE_HELD } else { WITHIN };
        match (self.mint(workload, key.audience.clone(), within).await, held) {
            (Ok(svid), _) => {
                let (issued, expires) = (Time::from_unix_seconds(svid.issued), Time::from_unix_seconds(svid.expires));
                let due = issued.plus(expires.since(issued) / 2);
                let token = svid.token;
                let held = Held { token: token.clone(), due, expires, digest: registration.digest.to_vec() };
                keep(&mut self.lock(), key, held, at);
                Ok(token)
            }
            (Err(why), Some(held)) if why.passes() => {
                tracing::warn!(id = %key.id, why = chain(&why), "a JWT-SVID is not renewed for now");
                Ok(held.token)
            }
            (Err(why), _) => {
                self.lock().remove(&key);
                Err(why)
            }
        }
    }

    /// Forgets every token: a key that signed some of them is not to be used any more.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    async fn mint(&self, workload: Workload, audience: Vec<String>, within: Duration) -> Result<JwtSvid, NoToken> {
        let asked = MintJwtRequest { workload: Some(workload), audience };
        let minted = timeout(within, async {
            let mut client = self.control.client().await?;
            Ok::<_, NoContact>(client.mint_jwt(asked).await?.into_inner())
        });
        match minted.await.unwrap_or(Err(NoContact::Late))?.answer {
            Some(mint_jwt_response::Answer::Svid(svid)) => Ok(svid),
            Some(mint_jwt_response::Answer::Refusal(refusal)) => {
                Err(NoToken::Refused { code: refusal.code, record: refusal.record, again: refusal.again })
            }
            None => Err(NoContact::Answer.into()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a token: beyond the most that are kept, instead of those that are due, or of the one that is due first.
fn keep(all: &mut HashMap<Key, Held>, key: Key, held: Held, at: Time) {
    if all.len() >= MOST {
        all.retain(|_, held| at < held.due);
    }
    if all.len() >= MOST
        && let Some(first) = all.iter().min_by_key(|(_, held)| held.due).map(|(key, _)| key.clone())
    {
        all.remove(&first);
    }
    all.insert(key, held);
}
