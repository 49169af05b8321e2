//! A server that vanishes without a word, as a machine does that loses its power: connections stay open and say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{State, StateFault};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use crate::node::try_next;
use crate::place::{Place, run};

/// As many as the pool has connections, and more.
const CALLERS: usize = 12;
/// Longest that it takes once new connections are answered again.
const RECOVERING: Duration = Duration::from_secs(10);

/// Passes connections on to `port`, until it falls silent: those that it has then say nothing any more.
async fn between(port: u16, mut silent: watch::Receiver<u32>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut caller, _)) = listener.accept().await {
            silent.mark_unchanged();
            let mut silent = silent.clone();
            connections.spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut caller, &mut server) => {}
                    _ = silent.changed() => std::future::pending().await,
                }
            });
        }
    });
    address.port()
}

#[test]
fn connections_that_fall_silent_do_not_keep_a_node_from_new_ones() {
    let Some(place) = Place::postgres() else { return };
    let Place::Postgres(server, _) = &place else { return };
    run(async {
        let (fall, silent) = watch::channel(0);
        let port = between(server.port(), silent).await;
        let url = place.address().replace(&format!(":{}/", server.port()), &format!(":{port}/"));
        let node = State::connect(&url).await.unwrap();
        let mut callers = JoinSet::new();
        let (fell, barrier) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(CALLERS + 1)));
        for caller in 0..CALLERS {
            let (node, fell, barrier) = (node.clone(), Arc::clone(&fell), Arc::clone(&barrier));
            callers.spawn(async move {
                node.last_epoch().await.unwrap();
                barrier.wait().await;
                // who had to wait for a connection may get a new one, and hears of no fault
                while !fell.load(Ordering::Relaxed) {
                    try_next(&node, &format!("caller {caller}")).await?;
                }
                Ok(())
            });
        }
        barrier.wait().await;
        try_next(&node, "ada").await.unwrap();
        fall.send_replace(1);
        fell.store(true, Ordering::Relaxed);
        let mut faults = 0;
        while let Some(ended) = callers.join_next().await {
            match ended.unwrap() {
                Ok(()) => {}
                Err(StateFault::Late { .. }) => faults += 1,
                Err(fault) => panic!("{fault}"),
            }
        }
        assert!(faults > 0, "nobody was in the middle of something");
        let answered = async { while node.last_epoch().await.is_err() {} };
        timeout(RECOVERING, answered).await.expect("new connections serve");
        let mut again = JoinSet::new();
        for _ in 0..CALLERS {
            let node = node.clone();
            again.spawn(async move { node.last_epoch().await });
        }
        while let Some(answered) = again.join_next().await {
            assert!(answered.unwrap().unwrap().is_some());
        }
    });
}
