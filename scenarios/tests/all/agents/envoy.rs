//! Two Envoys, as they are published, that have their identities and their trust from the node agent alone.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::authorities::{living, own_svid, standing};
use super::{STRANGER, joined, own_uid, registration};
use crate::harness::{Envoy, Estate, Installation, Issuer, Says, Sockets, call, until, until_within};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// How long what comes within seconds may take.
const SOON: Duration = Duration::from_secs(30);

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
        let (client, server) = (&self.client, &self.server);
        let found = (answer.status, String::from_utf8_lossy(&answer.body).into_owned());
        assert!(found == (200, "hello".to_owned()), "{found:?}\n{}\n{}", client.troubles(), server.troubles());
        // each is a connection of its own, and there are no more ports than that for a minute
        thread::sleep(Duration::from_millis(5));
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

    /// Asks on and on, within this bound, until both have had so many SVIDs since.
    fn asks_through(&self, rotations: usize, within: Duration) {
        let (mut clients, mut servers) = (BTreeSet::new(), BTreeSet::new());
        self.asks_until(within, || {
            clients.insert(self.client.serial());
            servers.insert(self.server.serial());
            clients.len().min(servers.len()) > rotations
        });
    }

    #[track_caller]
    fn asks_until(&self, within: Duration, mut holds: impl FnMut() -> bool) {
        let asked = until_within(within, || {
            self.asks();
            holds().then_some(())
        });
        assert!(asked.is_some(), "not within {within:?}");
    }

    /// Neither refused what the agent sent, and no handshake between them failed.
    fn was_never_disturbed(&self, installation: &Installation) {
        for envoy in [&self.client, &self.server] {
            for bad in ["ssl.connection_error", "sds.*update_rejected", "ssl.fail_verify_error", "ssl.fail_verify_san"]
            {
                assert_eq!(envoy.counted(bad), 0, "{bad}: {}", envoy.log());
            }
        }
        let log = installation.log("node-1");
        assert!(!log.contains("an Envoy refuses"), "{log}");
    }
}

#[test]
fn envoys_speak_mutual_tls_through_renewals_and_while_control_is_away() {
    let (sockets, mut installation) = joined(&registered("  x509: {ttl: 8s}\n"));
    let pair = Pair::start(&sockets, "false");
    pair.asks_through(1, SOON);
    installation.kill9("server");
    installation.until_logged("node-1", "nothing more is heard of control");
    for _ in 0..20 {
        pair.asks();
    }
    installation.start("server");
    pair.asks_through(2, SOON);
    pair.was_never_disturbed(&installation);
}

/// By command, or as long as is promised: over three lives of authorities, the first tainted, and two minutes without control.
#[test]
fn envoys_speak_mutual_tls_over_the_lives_of_authorities() {
    let long = std::env::var_os("COUNTERSIGN_TEST_LONG").is_some();
    let (ca, svid, lives) = if long { ("10m", "5m", 3) } else { ("24h", "8s", 1) };
    let (sockets, mut installation) = living(ca, "5s", &registered(&format!("  x509: {{ttl: {svid}}}\n")));
    let pair = Pair::start(&sockets, "false");
    let active = |installation: &Installation| standing(installation, "x509", "active");
    for life in 1..=lives {
        let before = active(&installation);
        if long {
            let mut looked = Instant::now();
            pair.asks_until(Duration::from_secs(600), || {
                let due = looked.elapsed() > Duration::from_secs(5);
                looked = if due { Instant::now() } else { looked };
                due && active(&installation) != before
            });
        } else {
            let bundles = |pair: &Pair| {
                let (client, server) = ("sds.spiffe_prod.acme.test.update_success", "sds.ROOTCA.update_success");
                (pair.client.counted(client), pair.server.counted(server))
            };
            installation.cli(&["authority", "prepare", "--kind", "x509"]).ended(0);
            // it signs once everybody knows it
            pair.asks_until(SOON, || bundles(&pair) == (2, 2));
            installation.cli(&["authority", "activate", "--kind", "x509"]).ended(0);
        }
        if life == 1 {
            let [old] = before.try_into().expect("one that signs");
            let agents = own_svid(&installation);
            installation.cli(&["authority", "taint", &old, "--kind", "x509"]).ended(0);
            pair.asks_through(1, SOON);
            // an agent whose SVID is of a revoked authority would have nothing renewed any more
            pair.asks_until(SOON, || own_svid(&installation) != agents);
            installation.cli(&["authority", "revoke", &old, "--kind", "x509"]).ended(0);
        }
        if long && life == 2 {
            pair.asks_through(1, Duration::from_secs(300));
            installation.kill9("server");
            let away = Instant::now();
            pair.asks_until(Duration::from_secs(180), || away.elapsed() > Duration::from_secs(120));
            installation.start("server");
        }
    }
    for _ in 0..20 {
        pair.asks();
    }
    pair.was_never_disturbed(&installation);
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
    let log = installation.log("node-1");
    assert!(!log.contains("an Envoy refuses"), "{log}");
}
