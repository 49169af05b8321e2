//! Two Envoys, as they are published, that have their identities and their trust from the node agent alone.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{STRANGER, joined, own_uid, registration};
use crate::harness::{Envoy, Estate, Installation, Issuer, Says, Sockets, call, until};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A client's Envoy, a server's Envoy, and what that stands before.
struct Pair {
    client: Envoy,
    server: Envoy,
    _upstream: Issuer,
}

/// Each is a user of its own, where this test may start processes of another.
fn server_user() -> u32 {
    if own_uid() == 0 { STRANGER } else { own_uid() }
}

fn registered(more: &str) -> Estate {
    let client = registration("client", own_uid(), more);
    Estate::empty().document(&client).document(&registration("server", server_user(), more))
}

impl Pair {
    fn start(sockets: &Sockets, plain: &str) -> Self {
        let upstream = Issuer::start(Says::Bytes(HELLO.to_owned()));
        let port = |address: &str| address.rsplit(':').next().expect("a port").trim_end_matches("/jwks").to_owned();
        let socket = sockets.of("node-1");
        let socket = ("socket", socket.to_str().expect("a plain path"));
        let values = [socket, ("upstream", &port(&upstream.url)), ("plain", plain)];
        let server = Envoy::start(sockets, "server", server_user(), &values);
        let (willing, unwilling) = (port(&server.listener("willing")), port(&server.listener("unwilling")));
        let values = [socket, ("willing", willing.as_str()), ("unwilling", unwilling.as_str())];
        let client = Envoy::start(sockets, "client", own_uid(), &values);
        Self { client, server, _upstream: upstream }
    }

    /// One request on a connection of its own, and so by handshakes of now.
    fn asks(&self) {
        let answer = call(&self.client.listener("to_server"), "GET", "/", None, &[]);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    }

    /// The same on the way of this name; nothing comes back.
    fn is_refused(&self, way: &str) {
        let mut stream = TcpStream::connect(self.client.listener(way)).expect("the client's Envoy listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        // it may be closed before all of it is sent
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n");
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert_eq!(String::from_utf8_lossy(&heard), "");
    }

    /// Asks on and on, until the server's Envoy has had so many SVIDs since.
    fn asks_through(&self, rotations: usize) {
        let mut serials = BTreeSet::from([self.server.serial()]);
        until_slowly("another SVID", || {
            self.asks();
            serials.insert(self.server.serial());
            (serials.len() > rotations).then_some(())
        });
    }
}

#[track_caller]
fn until_slowly(what: &str, ask: impl FnMut() -> Option<()>) {
    assert!(crate::harness::until_within(Duration::from_secs(30), ask).is_some(), "{what}: not within 30 seconds");
}

fn no_secret_was_refused(installation: &Installation) {
    let log = installation.log("node-1");
    assert!(!log.contains("an Envoy refuses"), "{log}");
}

#[test]
fn envoys_speak_mutual_tls_through_renewals_and_while_control_is_away() {
    let (sockets, mut installation) = joined(&registered("  x509: {ttl: 8s}\n"));
    let pair = Pair::start(&sockets, "false");
    pair.asks_through(1);
    installation.kill9("server");
    installation.until_logged("node-1", "nothing more is heard of control");
    for _ in 0..20 {
        pair.asks();
    }
    installation.start("server");
    pair.asks_through(2);
    no_secret_was_refused(&installation);
    assert_eq!(pair.client.counted("ssl.connection_error"), 0, "{}", pair.client.log());
    assert_eq!(pair.server.counted("ssl.connection_error"), 0, "{}", pair.server.log());
}

#[test]
fn envoys_that_are_not_for_each_other_refuse_each_other() {
    let (sockets, installation) = joined(&registered(""));
    for plain in ["false", "true"] {
        let pair = Pair::start(&sockets, plain);
        pair.asks();
        // the client's Envoy is for another server
        pair.is_refused("to_another");
        assert_eq!(pair.client.counted("cluster.another.ssl.fail_verify_san"), 1, "{}", pair.client.log());
        // the server's Envoy is for another client
        pair.is_refused("to_unwilling");
        until("a count", || (pair.server.counted("ssl.fail_verify_san") == 1).then_some(()));
        pair.asks();
    }
    no_secret_was_refused(&installation);
}
