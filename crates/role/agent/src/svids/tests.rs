//! The bound of what is kept, that whatever is kept was ordered, and that it is looked at again once at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::{Connections, Nodes};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use wire::agent;

use super::{Key, MOST_UNUSED, Minter, Profile, Standing, Svids, Tainted, WitSvid, X509Svid};
use crate::control::ControlPlane;
use crate::known::{Identified, Known, Registration};

/// Room for `waiting` orders, and who would fill them.
fn svids(waiting: usize) -> (Svids<X509Svid>, mpsc::Receiver<Key>) {
    let (send, orders) = mpsc::channel(waiting);
    (Svids { entries: Mutex::default(), orders: send }, orders)
}

fn identified(nth: usize) -> Identified {
    let id = format!("spiffe://prod.acme.test/web-{nth}");
    let registration = Registration {
        name: format!("web-{nth}"),
        digest: bytes::Bytes::new(),
        id: id.parse().unwrap(),
        selectors: ["unix:uid:1000".parse().unwrap()].into_iter().collect(),
        x509_ttl: 0,
        dns_names: Vec::new(),
        hint: String::new(),
        federates_with: Vec::new(),
        expires: None,
    };
    Identified { registration: Arc::new(registration), id: id.parse().unwrap() }
}

#[tokio::test]
async fn what_nobody_has_open_is_bounded() {
    let (svids, mut orders) = svids(1);
    for nth in 0..5 * MOST_UNUSED {
        drop(svids.of(&identified(nth), &[]).await);
        orders.recv().await.unwrap();
        assert!(svids.len() <= MOST_UNUSED);
    }
}

#[tokio::test]
async fn what_somebody_has_open_stays_whatever_comes_and_goes() {
    let (svids, mut orders) = svids(1);
    let mut open = Vec::new();
    for nth in 0..MOST_UNUSED {
        open.push(svids.of(&identified(nth), &[]).await);
        orders.recv().await.unwrap();
    }
    for nth in MOST_UNUSED..5 * MOST_UNUSED {
        drop(svids.of(&identified(nth), &[]).await);
        orders.recv().await.unwrap();
        assert!(svids.len() <= 2 * MOST_UNUSED);
    }
    for nth in 0..MOST_UNUSED {
        open.push(svids.of(&identified(nth), &[]).await);
    }
    assert!(orders.try_recv().is_err(), "none of them is ordered again");
}

#[tokio::test]
async fn whoever_leaves_while_an_order_has_to_wait_leaves_nothing_that_is_never_minted() {
    let (svids, mut orders) = svids(1);
    drop(svids.of(&identified(0), &[]).await);
    let one = identified(1);
    assert!(timeout(Duration::ZERO, svids.of(&one, &[])).await.is_err(), "there is no room for an order");
    assert_eq!(orders.recv().await.unwrap().registration, "web-0");
    drop(svids.of(&one, &[]).await);
    assert_eq!(orders.try_recv().unwrap().registration, "web-1");
}

/// Who knows the registrations of these names, and reaches no control plane.
fn minter(names: &[&str]) -> (Arc<Svids<X509Svid>>, Minter<X509Svid>) {
    let registrations = names.iter().map(|name| agent::Registration {
        name: (*name).to_owned(),
        id: format!("spiffe://prod.acme.test/{name}"),
        ..Default::default()
    });
    let known = Known::default()
        .with(vec![agent::Update { registrations: registrations.collect(), ..Default::default() }])
        .unwrap();
    let nobody = Connections::new(Arc::default()).multiplexed("spiffe://prod.acme.test/plane".parse().unwrap());
    let control = Arc::new(ControlPlane::new(Nodes::new(vec!["127.0.0.1:1".parse().unwrap()], nobody)));
    super::svids(control, watch::channel(Arc::new(known)).1)
}

#[tokio::test]
async fn what_is_due_sooner_than_it_was_is_due_once() {
    let (svids, mut minter) = minter(&["web-0"]);
    let _open = svids.of(&identified(0), &[]).await;
    let key = minter.orders.recv().await.unwrap();
    minter.look_again(key.clone(), Duration::from_millis(1));
    minter.look_again(key.clone(), Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut due = Vec::new();
    minter.take_due(&mut due);
    assert_eq!(due, [key]);
}

#[tokio::test]
async fn a_registration_that_comes_back_has_its_svids_ordered_anew() {
    let (svids, mut minter) = minter(&[]);
    let open = svids.of(&identified(0), &[]).await;
    let key = minter.orders.recv().await.unwrap();
    minter.fill(vec![key.clone()]).await;
    assert_eq!(svids.len(), 0);
    let _again = svids.of(&identified(0), &[]).await;
    assert_eq!(minter.orders.try_recv().unwrap(), key);
    drop(open);
}

#[tokio::test]
async fn what_was_refused_is_asked_for_again_only_while_somebody_has_it_open() {
    let (svids, mut minter) = minter(&["web-0"]);
    let open = svids.of(&identified(0), &[]).await;
    let key = minter.orders.recv().await.unwrap();
    svids.entry(&key).unwrap().standing.send_replace(Standing::Refused("not_registered".to_owned()));
    minter.fill(vec![key.clone()]).await;
    assert!(minter.due.next().is_some() && svids.len() == 1);
    drop(open);
    minter.fill(vec![key]).await;
    assert_eq!(svids.len(), 0);
}

#[test]
fn what_was_signed_by_a_tainted_key_is_told_by_its_digest() {
    let (fresh, signed_by) = (issuer::NewKey::make().unwrap(), [7; 32]);
    let minted = |signed_by: &[u8]| agent::WitSvid {
        token: "a.b.c".to_owned(),
        expires: 1_900_000_000,
        signed_by: bytes::Bytes::copy_from_slice(signed_by),
    };
    let key = WitSvid::key(&identified(0));
    let svid = WitSvid::of(&key, &fresh, minted(&signed_by)).unwrap();
    let tainted = |digest| Tainted { authorities: Vec::new(), digests: [digest].into() };
    assert!(svid.is_tainted(&tainted(signed_by)) && !svid.is_tainted(&tainted([8; 32])));
    assert!(WitSvid::of(&key, &fresh, minted(&[7; 31])).is_none(), "who signed it is not known");
}
