//! SVIDs of workloads that are bound to a key: minted when first asked for, renewed at half of their lives as long as somebody
//! has them open, many in one request. Those of every profile live alike.

mod due;
#[cfg(test)]
mod tests;
mod wit;
mod x509;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use credential::Authorities;
use issuer::NewKey;
use model::{SpiffeId, Time};
use net::causes::chain;
use net::{Stop, jittered, now, spread};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::Status;
use wire::agent::{Order, Refusal, Workload};

use self::due::Due;
use crate::control::{Client, ControlPlane, NoContact};
use crate::known::{Identified, Known};

pub(crate) use self::wit::WitSvid;
pub(crate) use self::x509::X509Svid;

/// Most orders of one request.
const MOST_ORDERS: usize = 500;
/// Orders that wait; whoever has one more waits with it.
const WAITING: usize = 4_096;
/// How long orders are gathered before they are sent.
const GATHER: Duration = Duration::from_millis(2);
/// How long control may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two tries after a failure; each time twice as long, up to the longest.
const AGAIN: Duration = Duration::from_secs(1);
const LONGEST_AGAIN: Duration = Duration::from_secs(8);
/// Longest that an SVID stays in use that a tainted authority signed.
const HASTE: Duration = Duration::from_secs(5);
/// After a refusal that will not pass by itself.
const REFUSED: Duration = Duration::from_secs(30);
/// Most SVIDs that are kept while nobody has them open.
const MOST_UNUSED: usize = 1_000;

/// An SVID with its key, of one profile.
pub(crate) trait Profile: Sized + Send + Sync + 'static {
    /// What control mints.
    type Minted: Send;

    /// How logs call it.
    const NAME: &'static str;

    /// What stands in the SVID of an identity.
    fn key(identified: &Identified) -> Key;

    /// Has orders filled: an answer for each, in their order.
    fn mint(client: Client, orders: Vec<Order>) -> impl Future<Output = Result<Vec<Answer<Self>>, Status>> + Send;

    /// What was minted, with its key; none where it is no SVID.
    fn of(key: &Key, fresh: &NewKey, minted: Self::Minted) -> Option<Self>;

    fn expires(&self) -> Time;

    fn is_tainted(&self, tainted: &Tainted) -> bool;
}

/// What control says to an order, if anything.
pub(crate) type Answer<S> = Option<Result<<S as Profile>::Minted, Refusal>>;

/// Authorities whose SVIDs are to be replaced.
pub(crate) struct Tainted {
    /// All there are, of each trust domain, with what of them is tainted.
    authorities: Vec<Arc<Authorities>>,
    /// Digests of their keys.
    digests: BTreeSet<[u8; 32]>,
}

/// Where an SVID stands.
pub(crate) enum Standing<S> {
    Ordered,
    Ready(Arc<S>),
    /// Control refused it, with this code.
    Refused(String),
}

/// What tells one SVID from another: whatever stands in it. A registration that changes otherwise has the same SVID.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    registration: String,
    id: SpiffeId,
    ttl: u32,
    dns_names: Vec<String>,
}

struct Entry<S> {
    /// What was attested, as far as the registration asks for it and the id takes from it.
    selectors: Vec<String>,
    standing: watch::Sender<Standing<S>>,
}

/// Every SVID that is kept, whether anybody has it open or not.
struct Entries<S> {
    kept: HashMap<Key, Arc<Entry<S>>>,
    /// At how many those go that nobody has open.
    sweep_at: usize,
}

/// Keeps SVIDs.
pub(crate) struct Svids<S> {
    entries: Mutex<Entries<S>>,
    orders: mpsc::Sender<Key>,
}

/// Has orders filled; runs beside [`Svids`].
pub(crate) struct Minter<S> {
    svids: Arc<Svids<S>>,
    orders: mpsc::Receiver<Key>,
    control: Arc<ControlPlane>,
    known: watch::Receiver<Arc<Known>>,
    due: Due,
    /// How long to wait after the next failure.
    again: Duration,
    /// Digests of the keys whose SVIDs were hastened.
    tainted: BTreeSet<[u8; 32]>,
}

/// The two halves: who asks for SVIDs, and who has them minted.
pub(crate) fn svids<S: Profile>(
    control: Arc<ControlPlane>,
    known: watch::Receiver<Arc<Known>>,
) -> (Arc<Svids<S>>, Minter<S>) {
    let (send, orders) = mpsc::channel(WAITING);
    let svids = Arc::new(Svids { entries: Mutex::default(), orders: send });
    let (due, tainted) = (Due::default(), BTreeSet::new());
    let minter = Minter { svids: Arc::clone(&svids), orders, control, known, due, again: AGAIN, tainted };
    (svids, minter)
}

/// Nothing.
impl<S> Default for Entries<S> {
    fn default() -> Self {
        Self { kept: HashMap::new(), sweep_at: 0 }
    }
}

impl<S> Entries<S> {
    /// Lets go of what nobody has open, once that may be much: each time twice as many later as are left.
    fn sweep(&mut self) {
        if self.kept.len() >= self.sweep_at.max(MOST_UNUSED) {
            self.kept.retain(|_, entry| !entry.is_unused());
            self.sweep_at = self.kept.len() * 2;
        }
    }
}

impl<S> Entry<S> {
    fn is_unused(&self) -> bool {
        self.standing.receiver_count() == 0
    }
}

impl<S: Profile> Svids<S> {
    /// The SVID of an identity, as it is and as it changes; ordered if there is none.
    pub(crate) async fn of(&self, identified: &Identified, selectors: &[String]) -> watch::Receiver<Standing<S>> {
        let key = S::key(identified);
        if let Some(entry) = self.lock().kept.get(&key) {
            return entry.standing.subscribe();
        }
        // first the place for the order: whoever leaves while it waits leaves no entry that nobody fills. Without a minter the
        // process ends
        let place = self.orders.reserve().await;
        let mut entries = self.lock();
        if let Some(entry) = entries.kept.get(&key) {
            return entry.standing.subscribe();
        }
        let (standing, receiver) = watch::channel(Standing::Ordered);
        entries.sweep();
        entries.kept.insert(key.clone(), Arc::new(Entry { selectors: selectors.to_vec(), standing }));
        if let Ok(place) = place {
            place.send(key);
        }
        receiver
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.lock().kept.len()
    }

    /// Keys of the SVIDs that one of these signed which is tainted.
    fn signed_by_tainted(&self, tainted: &Tainted) -> Vec<Key> {
        let is_tainted = |entry: &Entry<S>| match &*entry.standing.borrow() {
            Standing::Ready(svid) => svid.is_tainted(tainted),
            Standing::Ordered | Standing::Refused(_) => false,
        };
        self.lock().kept.iter().filter(|(_, entry)| is_tainted(entry)).map(|(key, _)| key.clone()).collect()
    }

    fn entry(&self, key: &Key) -> Option<Arc<Entry<S>>> {
        self.lock().kept.get(key).cloned()
    }

    /// Lets go of one, whoever has it open.
    fn forget(&self, key: &Key) {
        self.lock().kept.remove(key);
    }

    /// Lets go of one that nobody has open; gives whether it did.
    fn drop_unused(&self, key: &Key) -> bool {
        let mut entries = self.lock();
        let unused = entries.kept.get(key).is_none_or(|entry| entry.is_unused());
        if unused {
            entries.kept.remove(key);
        }
        unused
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries<S>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fresh key, and whose it will be.
struct Ordered<S> {
    key: Key,
    entry: Arc<Entry<S>>,
    fresh: NewKey,
}

impl<S: Profile> Minter<S> {
    /// Fills orders until asked to stop.
    pub(crate) async fn run(mut self, mut stop: Stop) {
        loop {
            self.hasten();
            let next = self.due.next();
            let mut keys = Vec::new();
            tokio::select! {
                () = stop.asked() => return,
                key = self.orders.recv() => match key {
                    Some(key) => keys.push(key),
                    None => return,
                },
                changed = self.known.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
                () = async { match next { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
            }
            sleep(GATHER).await;
            while keys.len() < MOST_ORDERS
                && let Ok(key) = self.orders.try_recv()
            {
                keys.push(key);
            }
            self.take_due(&mut keys);
            tokio::select! {
                () = stop.asked() => return,
                () = self.fill(keys) => {}
            }
        }
    }

    /// What tainted authorities signed is due soon, each at a moment of its own.
    fn hasten(&mut self) {
        let known = self.known.borrow_and_update().clone();
        let tainted: BTreeSet<[u8; 32]> = known.bundles.values().flat_map(|bundle| bundle.tainted.clone()).collect();
        if tainted == self.tainted {
            return;
        }
        self.tainted.clone_from(&tainted);
        let authorities = known.bundles.values().map(|bundle| Arc::clone(&bundle.authorities)).collect();
        for key in self.svids.signed_by_tainted(&Tainted { authorities, digests: tainted }) {
            self.look_again(key, spread(HASTE));
        }
    }

    fn take_due(&mut self, keys: &mut Vec<Key>) {
        let at = Instant::now();
        while keys.len() < MOST_ORDERS
            && let Some(key) = self.due.take(at)
        {
            keys.push(key);
        }
    }

    fn look_again(&mut self, key: Key, after: Duration) {
        self.due.put(key, Instant::now() + after);
    }

    /// Has a batch minted, and says for each when it is looked at again.
    async fn fill(&mut self, keys: Vec<Key>) {
        let known = self.known.borrow().clone();
        let (mut ordered, mut orders) = (Vec::new(), Vec::new());
        for key in keys {
            let Some(entry) = self.svids.entry(&key) else { continue };
            let Some(registration) = known.named(&key.registration) else {
                // withdrawn: whoever has it open hears of that from what is known. Should it come back, it is ordered anew
                self.svids.forget(&key);
                continue;
            };
            let waits = matches!(&*entry.standing.borrow(), Standing::Ordered);
            if !waits && self.svids.drop_unused(&key) {
                continue;
            }
            let Ok(fresh) = NewKey::make() else {
                self.look_again(key, AGAIN);
                continue;
            };
            let workload = Workload {
                registration: key.registration.clone(),
                digest: registration.digest.clone(),
                id: key.id.to_string(),
                selectors: entry.selectors.clone(),
            };
            orders.push(Order { workload: Some(workload), csr: Bytes::copy_from_slice(&fresh.request) });
            ordered.push(Ordered { key, entry, fresh });
        }
        if ordered.is_empty() {
            return;
        }
        match self.ask(orders).await {
            Ok(answers) => {
                self.again = AGAIN;
                let mut answers = answers.into_iter();
                for one in ordered {
                    self.answered(one, answers.next().flatten());
                }
            }
            Err(why) => {
                tracing::warn!(
                    why = chain(&why),
                    kind = S::NAME,
                    orders = ordered.len(),
                    "SVIDs are not minted for now"
                );
                // control may have more to do than it can: all of them together, later each time, and not when others do
                let after = self.again / 2 + spread(self.again / 2);
                self.again = (self.again * 2).min(LONGEST_AGAIN);
                for Ordered { key, .. } in ordered {
                    self.look_again(key, after);
                }
            }
        }
    }

    async fn ask(&self, orders: Vec<Order>) -> Result<Vec<Answer<S>>, NoContact> {
        let client = self.control.client().await?;
        Ok(timeout(WITHIN, S::mint(client, orders)).await.or(Err(NoContact::Late))??)
    }

    fn answered(&mut self, one: Ordered<S>, answer: Answer<S>) {
        let Ordered { key, entry, fresh } = one;
        match answer {
            Some(Ok(minted)) => {
                let Some(svid) = S::of(&key, &fresh, minted) else {
                    tracing::error!(id = %key.id, kind = S::NAME, "what control minted is no SVID");
                    return self.look_again(key, REFUSED);
                };
                let after = half_of(svid.expires().since(now()));
                entry.standing.send_replace(Standing::Ready(Arc::new(svid)));
                self.look_again(key, after);
            }
            Some(Err(Refusal { code, record, again })) => {
                tracing::warn!(id = %key.id, kind = S::NAME, code, record, "control refuses an SVID");
                if again {
                    return self.look_again(key, jittered(AGAIN));
                }
                // what was handed out before holds to its end, unless the registration is withdrawn
                if !matches!(&*entry.standing.borrow(), Standing::Ready(_)) {
                    entry.standing.send_replace(Standing::Refused(code));
                }
                self.look_again(key, jittered(REFUSED));
            }
            None => self.look_again(key, jittered(AGAIN)),
        }
    }
}

/// After which time an SVID is renewed: at half of what is left, a tenth of that sooner or later.
fn half_of(left: Duration) -> Duration {
    let half = (left / 2).saturating_sub(left / 20) + jittered(left / 10);
    half.max(Duration::from_millis(500))
}
