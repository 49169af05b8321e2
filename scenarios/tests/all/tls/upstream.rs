//! Services behind, by mutual TLS: each is held to its own SPIFFE ID before a byte of a request goes to it.

use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use super::forged::{Shape, authority, forge, leaf};
use crate::harness::{Answer, Dev, Estate, Identity, Mint, Scripted, Upstream, ci_claims, until};

const LEDGER: &str = "spiffe://prod.acme.test/billing/ledger";

/// A service in Python.
struct Service(Mutex<Scripted>);

impl Service {
    fn start() -> Self {
        Self(Mutex::new(Scripted::start("upstream.py")))
    }

    fn ask(&self, asked: &Value) -> Value {
        self.0.lock().unwrap().ask(asked)
    }

    /// Listens with this certificate, and gives its port. With `ca` it takes only callers that it signed.
    fn listen(&self, identity: &Identity, more: Value) -> u64 {
        let mut asked = json!({"do": "listen", "cert": identity.cert, "key": identity.key});
        for (name, value) in more.as_object().unwrap() {
            asked[name] = value.clone();
        }
        self.ask(&asked)["port"].as_u64().expect("a port")
    }

    fn seen(&self) -> Value {
        self.ask(&json!({"do": "seen"}))
    }
}

/// The quickstart with one more principal, whose SVID the service behind has.
fn estate() -> Estate {
    Estate::ours().document(&format!(
        "kind: Principal\nmetadata: {{name: ledger}}\nspec: {{kind: Workload, id: {LEDGER}, owner: team-billing, \
         purpose: keeps invoices, expires: 2027-11-01T00:00:00Z}}"
    ))
}

fn at(port: u64, id: &str) -> Estate {
    estate().replacing(
        "upstream: {url: \"${DEV_UPSTREAM}\"}",
        &format!("upstream: {{url: \"https://127.0.0.1:{port}\", spiffeId: \"{id}\"}}"),
    )
}

fn get(dev: &Dev, target: &str) -> Answer {
    dev.get(target, &Mint::shared().ci(&ci_claims()))
}

/// What a service that is not the one expected gets: nothing.
fn is_refused(dev: &Dev, answer: Answer, what: &str) {
    assert_eq!((answer.status, answer.code()), (502, "upstream_unreachable".to_owned()), "{what}: {answer:?}");
    let outcome = dev.outcome(answer.record());
    assert_eq!((&outcome["result"], &outcome["bytes_out"]), (&"failed".into(), &0.into()), "{what}: {outcome}");
}

#[test]
fn a_service_is_reached_by_mutual_tls_and_sees_who_calls() {
    let dev = Dev::serving(&estate());
    let service = Service::start();
    let svid = dev.minted("ledger", "ledger", &[]);
    for version in ["TLSv1_2", "TLSv1_3"] {
        let port = service.listen(&svid, json!({"ca": dev.ca(), "version": version}));
        dev.apply(&at(port, LEDGER));
        for _ in 0..3 {
            get(&dev, "/invoices/1").is(200);
        }
    }
    let seen = service.seen();
    // one connection each, kept for the next request
    assert_eq!(seen["handshakes"], 2, "{seen}");
    assert_eq!(seen["requests"].as_array().unwrap().len(), 6, "{seen}");
    let gateway = json!(["spiffe://prod.acme.test/countersign/gateway"]);
    assert!(seen["peers"].as_array().unwrap().iter().all(|peer| *peer == gateway), "{seen}");
}

#[test]
fn no_byte_goes_to_a_service_that_is_not_the_one_expected() {
    let (dev, ours) = Dev::betrayed(Some(&estate()));
    let (service, folder) = (Service::start(), dev.path("forged"));
    let stranger = forge(&folder, "stranger", None, &authority("spiffe://prod.acme.test"));
    let ca = json!({"ca": dev.ca()});
    let web = Shape { names: "DNS:localhost,IP:127.0.0.1".into(), ..leaf(LEDGER) };
    let both = Shape { names: format!("URI:{LEDGER},URI:{LEDGER}/x"), ..leaf(LEDGER) };
    for (what, identity) in [
        ("another id", dev.svid("reporter")),
        ("another authority", forge(&folder, "theirs", Some(&stranger), &leaf(LEDGER))),
        ("self-signed", forge(&folder, "self", None, &leaf(LEDGER))),
        ("a web certificate", forge(&folder, "web", Some(&ours), &web)),
        ("two ids", forge(&folder, "both", Some(&ours), &both)),
        ("another domain", forge(&folder, "domain", Some(&ours), &leaf("spiffe://staging.acme.test/billing/ledger"))),
        ("an id below", forge(&folder, "below", Some(&ours), &leaf(&format!("{LEDGER}/x")))),
        ("expired", forge(&folder, "old", Some(&ours), &Shape { valid: (-7200, -60), ..leaf(LEDGER) })),
        ("a client's", forge(&folder, "client", Some(&ours), &Shape { extended: "clientAuth", ..leaf(LEDGER) })),
    ] {
        let port = service.listen(&identity, ca.clone());
        dev.apply(&at(port, LEDGER));
        is_refused(&dev, get(&dev, "/invoices/1"), what);
    }
    // no TLS at all
    let plain = Upstream::start();
    let port: u64 = plain.url.rsplit_once(':').unwrap().1.parse().unwrap();
    dev.apply(&at(port, LEDGER));
    is_refused(&dev, get(&dev, "/invoices/1"), "no TLS");
    assert!(plain.reached().is_empty());
    let seen = service.seen();
    assert_eq!((&seen["bytes"], &seen["requests"]), (&0.into(), &json!([])), "{seen}");
    // a service that does not take us for who we are gets nothing either
    let svid = dev.minted("ledger", "ledger", &[]);
    let port = service.listen(&svid, json!({"ca": stranger.cert}));
    dev.apply(&at(port, LEDGER));
    is_refused(&dev, get(&dev, "/invoices/1"), "a service that refuses us");
    assert_eq!(service.seen()["requests"], json!([]));
}

#[test]
fn connections_are_never_shared_between_two_that_are_expected() {
    let dev = Dev::serving(&estate());
    let service = Service::start();
    let port = service.listen(&dev.minted("ledger", "ledger", &[]), json!({"ca": dev.ca()}));
    // a second service, at the same address under another id
    let two = at(port, LEDGER).document(&format!(
        "kind: Service\nmetadata: {{name: other-api}}\nspec:\n  hosts: [other.acme.test]\n  upstream: {{url: \
         \"https://127.0.0.1:{port}\", spiffeId: \"spiffe://prod.acme.test/billing/other\"}}\n  http:\n    \
         - {{match: \"GET /invoices/{{invoice}}\", action: read, resource: billing/invoices}}"
    ));
    dev.apply(&two);
    let token = Mint::shared().ci(&ci_claims());
    for _ in 0..3 {
        get(&dev, "/invoices/1").is(200);
        let text =
            format!("GET /invoices/1 HTTP/1.1\r\nHost: other.acme.test\r\nAuthorization: Bearer {token}\r\n\r\n");
        let mut conn = crate::harness::Conn::open(dev.gateway());
        conn.send(text.as_bytes());
        is_refused(&dev, conn.answer(), "the other id");
    }
    assert_eq!(service.seen()["requests"].as_array().unwrap().len(), 3);
}

#[test]
fn a_kept_connection_ends_with_the_svid_of_the_service() {
    let dev = Dev::serving(&estate());
    let service = Service::start();
    let short = dev.minted("ledger", "ledger", &["--ttl", "4s"]);
    let port = service.listen(&short, json!({"ca": dev.ca()}));
    dev.apply(&at(port, LEDGER));
    get(&dev, "/invoices/1").is(200);
    let refused = until("its end", || Some(get(&dev, "/invoices/1")).filter(|answer| answer.status != 200));
    is_refused(&dev, refused, "expired meanwhile");
    is_refused(&dev, get(&dev, "/invoices/1"), "and it stays so");
}

#[test]
fn an_answer_that_ends_without_a_goodbye_is_cut_short() {
    let dev = Dev::serving(&estate());
    let service = Service::start();
    let port = service.listen(&dev.minted("ledger", "ledger", &[]), json!({"ca": dev.ca()}));
    dev.apply(&at(port, LEDGER));
    let cut = get(&dev, "/invoices/1?cut").is(200);
    assert_eq!(dev.outcome(cut.record())["result"], "failed", "whoever is in between could cut it anywhere");
}

#[test]
fn connections_that_a_service_closed_fail_no_request() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate().upstream(&upstream.url));
    let token = Mint::shared().ci(&ci_claims());
    for round in 0..5 {
        thread::scope(|scope| {
            for one in 0..8 {
                let (dev, token) = (&dev, &token);
                scope.spawn(move || dev.get(&format!("/invoices/{round}-{one}"), token).is(200));
            }
        });
        // all of them are kept now; the service leaves every one
        upstream.hang_up();
    }
    let reached = upstream.reached();
    let targets: std::collections::BTreeSet<_> = reached.iter().map(|reached| reached.target().to_owned()).collect();
    assert_eq!((reached.len(), targets.len()), (40, 40), "each is sent once");
}
