//! The bound of what is kept, and that whatever is kept was ordered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Key, MOST_UNUSED, Svids};
use crate::known::{Identified, Registration};

/// Room for `waiting` orders, and who would fill them.
fn svids(waiting: usize) -> (Svids, mpsc::Receiver<Key>) {
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
