//! Handshakes that are refused: each is recorded with its code, and nothing that comes behind it is read.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::forged::{self, Shape, authority, forge, leaf};
use crate::harness::{Conn, Dev, End, Estate, Identity, REPORTER, Ran, Upstream, finish, request, until};

/// Asks with `openssl s_client`, which takes any certificate that one gives it.
pub fn s_client(dev: &Dev, identity: Option<&Identity>, more: &[&str], stdin: &[u8]) -> Ran {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", dev.secure(), "-servername", "billing.acme.test", "-CAfile"]).arg(dev.ca());
    openssl.args(["-verify_return_error", "-cipher", "DEFAULT@SECLEVEL=0"]);
    if let Some(Identity { cert, key }) = identity {
        openssl.arg("-cert").arg(cert).arg("-key").arg(key);
    }
    openssl.args(more);
    finish(openssl, stdin)
}

fn export() -> Vec<u8> {
    request("GET", "/export", None, &["Connection: close"])
}

/// Records of the gateway that are not among those `known`.
fn new(dev: &Dev, known: &BTreeSet<String>) -> Vec<Value> {
    let judgements = dev.judgements().into_iter().filter(|(id, _)| !known.contains(id));
    judgements.map(|(_, record)| record).filter(|record| record["door"] == "gateway").collect()
}

struct Case {
    what: &'static str,
    identity: Identity,
    /// What is presented beside the leaf.
    above: Option<PathBuf>,
    code: &'static str,
    why: &'static str,
}

fn cases(dev: &Dev, ours: &Identity) -> Vec<Case> {
    let folder = dev.path("forged");
    let stranger = forge(&folder, "stranger", None, &authority("spiffe://prod.acme.test"));
    let mut cases = Vec::new();
    let mut signed = |what: &'static str, shape: Shape, code: &'static str, why: &'static str| {
        let identity = forge(&folder, &what.replace(' ', "-"), Some(ours), &shape);
        cases.push(Case { what, identity, above: None, code, why });
    };
    let of = |id: &str| leaf(id);
    let sound = || leaf(REPORTER);
    let chain = "chain_invalid";
    let two = format!("URI:{REPORTER},URI:spiffe://prod.acme.test/agents/dunning");
    signed("two ids", Shape { names: two, ..sound() }, chain, "it has 2 URI names");
    let twice = format!("URI:{REPORTER},URI:{REPORTER}");
    signed("one id twice", Shape { names: twice, ..sound() }, chain, "it has 2 URI names");
    signed("no name", Shape { names: String::new(), ..sound() }, chain, "it has 0 URI names");
    signed("a host alone", Shape { names: "DNS:billing.acme.test".into(), ..sound() }, chain, "it has 0 URI names");
    signed("a web address", of("https://prod.acme.test/billing/reporter"), chain, "is not a SPIFFE ID");
    signed("a domain in capitals", of("spiffe://PROD.acme.test/billing/reporter"), chain, "is not a SPIFFE ID");
    signed("a scheme in capitals", of("SPIFFE://prod.acme.test/billing/reporter"), chain, "is not a SPIFFE ID");
    signed("a port", of("spiffe://prod.acme.test:443/billing/reporter"), chain, "is not a SPIFFE ID");
    signed("a user", of("spiffe://a@prod.acme.test/billing/reporter"), chain, "is not a SPIFFE ID");
    signed("a query", of("spiffe://prod.acme.test/billing/reporter?a"), chain, "is not a SPIFFE ID");
    signed("two slashes", of("spiffe://prod.acme.test//billing/reporter"), chain, "is not a SPIFFE ID");
    signed("a slash behind", of("spiffe://prod.acme.test/billing/reporter/"), chain, "is not a SPIFFE ID");
    signed("dots", of("spiffe://prod.acme.test/x/../billing/reporter"), chain, "is not a SPIFFE ID");
    signed("percent", of("spiffe://prod.acme.test/billing%2freporter"), chain, "is not a SPIFFE ID");
    signed("no path", of("spiffe://prod.acme.test"), chain, "its SPIFFE ID has no path");
    signed("another domain", of("spiffe://staging.acme.test/billing/reporter"), "issuer_unknown", "staging.acme.test");
    signed("a subdomain", of("spiffe://a.prod.acme.test/billing/reporter"), "issuer_unknown", "a.prod.acme.test");
    signed("a CA", Shape { constraints: "critical,CA:TRUE", ..sound() }, chain, "it is a CA");
    let signs = "critical,digitalSignature,keyCertSign";
    signed("a leaf that signs", Shape { usage: signs, ..sound() }, chain, "keyCertSign or cRLSign");
    let lists = "critical,digitalSignature,cRLSign";
    signed("a leaf that lists", Shape { usage: lists, ..sound() }, chain, "keyCertSign or cRLSign");
    signed("no usage", Shape { usage: "", ..sound() }, chain, "key usage is missing or not critical");
    signed("a usage to ignore", Shape { usage: "digitalSignature", ..sound() }, chain, "missing or not critical");
    signed("no signing", Shape { usage: "critical,keyAgreement", ..sound() }, chain, "no digitalSignature");
    signed("a client only", Shape { extended: "clientAuth", ..sound() }, chain, "lacks serverAuth or clientAuth");
    signed("a server only", Shape { extended: "serverAuth", ..sound() }, chain, "lacks serverAuth or clientAuth");
    signed("no subject", Shape { subject: "/", ..sound() }, chain, "names are not critical");
    let critical = "1.2.3.4 = critical,ASN1:UTF8String:what nobody knows\n";
    signed("a critical extension", Shape { more: critical, ..sound() }, chain, "UnsupportedCriticalExtension");
    signed("expired", Shape { valid: (-7200, -60), ..sound() }, "expired", "expired at");
    signed("not yet valid", Shape { valid: (600, 7200), ..sound() }, "not_yet_valid", "lies ahead");
    signed("a short key", Shape { key: ("RSA", "rsa_keygen_bits:1024"), ..sound() }, chain, "its key is neither RSA");
    signed("SHA-1", Shape { digest: "sha1", ..sound() }, chain, "UnsupportedSignatureAlgorithm");

    let mut case = |what, identity, above: &[&Identity], why| {
        let above = (!above.is_empty()).then(|| forged::above(&folder, &format!("{what} and above"), above));
        cases.push(Case { what, identity, above, code: chain, why });
    };
    case("self-signed", forge(&folder, "self", None, &sound()), &[], "UnknownIssuer");
    let by_stranger = forge(&folder, "by-stranger", Some(&stranger), &sound());
    case("another authority of that name", by_stranger.clone(), &[], "UnknownIssuer");
    case("and its own authority along", by_stranger, &[&stranger], "UnknownIssuer");
    let reporter = dev.svid("reporter");
    let below = forge(&folder, "below-a-leaf", Some(&reporter), &of("spiffe://prod.acme.test/agents/dunning"));
    case("signed by a leaf", below, &[&reporter], "its SPIFFE ID has a path");
    case("nine certificates", forge(&folder, "many", Some(ours), &sound()), &[ours; 8], "9 certificates");
    let mut under = |what: &'static str, shape: Shape, why: &'static str| {
        let name = what.replace(' ', "-");
        let middle = forge(&folder, &format!("{name}-middle"), Some(ours), &shape);
        case(what, forge(&folder, &name, Some(&middle), &sound()), &[&middle], why);
    };
    let middle = || authority("spiffe://prod.acme.test");
    under("an authority with a path", authority("spiffe://prod.acme.test/middle"), "its SPIFFE ID has a path");
    under("an authority of another domain", authority("spiffe://other.test"), "is of trust domain `other.test`");
    under("an authority that is none", Shape { constraints: "critical,CA:FALSE", ..middle() }, "it is not a CA");
    under("an authority that may not sign", Shape { usage: "critical,cRLSign", ..middle() }, "no keyCertSign");
    under("an expired authority", Shape { valid: (-7200, -60), ..middle() }, "CertExpired");
    under(
        "one below one that signs leaves alone",
        middle(),
        "1 authorities stand between it and one that allows fewer",
    );
    cases
}

#[test]
fn certificates_that_are_no_svid_of_ours_shake_no_hands() {
    let upstream = Upstream::start();
    let (dev, ours) = Dev::betrayed(Some(&Estate::ours().upstream(&upstream.url)));
    // what an insider signs soundly is an SVID like any other: the refusals below are of what differs
    let sound = forge(&dev.path("forged"), "sound", Some(&ours), &leaf(REPORTER));
    let answered = s_client(&dev, Some(&sound), &["-quiet"], &export());
    assert!(answered.out.starts_with("HTTP/1.1 200"), "{answered:?}");
    let reached = upstream.reached().len();

    let mut wrong = Vec::new();
    for Case { what, identity, above, code, why } in cases(&dev, &ours) {
        let known = dev.judgements().into_keys().collect();
        let above = above.iter().flat_map(|above| ["-cert_chain", above.to_str().expect("a plain path")]);
        let tried = s_client(&dev, Some(&identity), &above.chain(["-quiet"]).collect::<Vec<_>>(), &export());
        if tried.out.contains("HTTP/") {
            wrong.push(format!("{what}: answered {}", tried.out));
            continue;
        }
        let records = until(what, || Some(new(&dev, &known)).filter(|records| !records.is_empty()));
        let verdict = &records[0]["verdicts"][0];
        let (found, reason) = (verdict["code"].as_str().unwrap_or("-"), verdict["reason"].as_str().unwrap_or("-"));
        let whole = records.len() == 1 && records[0]["operation"].is_null() && records[0]["principal"].is_null();
        if found != code || !reason.contains(why) || !whole {
            wrong.push(format!("{what}: expected {code} ({why}), found {found} ({reason})\n{}", records[0]));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(upstream.reached().len(), reached, "something went on");
    dev.get("/invoices/1", "no-token").is(401);
    dev.verify().ended(0);
}

#[test]
fn a_principal_that_nobody_knows_shakes_hands_and_is_refused() {
    let (dev, ours) = Dev::betrayed(None);
    for id in ["spiffe://prod.acme.test/nobody", "spiffe://prod.acme.test/countersign/gateway"] {
        let nobody = forge(&dev.path("forged"), id.rsplit('/').next().unwrap(), Some(&ours), &leaf(id));
        let mut conn = dev.shake(Some(&nobody));
        // the connection is kept: the estate may know it by the next request
        for _ in 0..2 {
            conn.send(&request("GET", "/healthz", None, &[]));
            let record = dev.record(conn.answer().is(401).record());
            assert_eq!(record["verdicts"][0]["code"], "principal_unknown", "{record}");
        }
    }
    assert!(dev.reached().is_empty());
}

#[test]
fn what_is_no_handshake_is_recorded_and_closed() {
    let upstream = Upstream::start();
    let estate = Estate::ours().upstream(&upstream.url).service("timeouts: {header: 500ms, idle: 500ms}");
    let dev = Dev::serving(&estate);
    let hello = client_hello();
    let mut damaged = hello.clone();
    damaged.iter_mut().skip(60).step_by(7).for_each(|byte| *byte ^= 0x55);
    let cases: [(&str, &[u8]); 6] = [
        ("plain HTTP", b"GET /healthz HTTP/1.1\r\nHost: billing.acme.test\r\n\r\n"),
        ("garbage", &[0xff; 300]),
        ("a record that is too long", b"\x16\x03\x01\xff\xff"),
        ("a damaged hello", &damaged),
        ("half a hello, and silence", &hello[..hello.len() / 2]),
        ("a hello, and silence", &hello),
    ];
    for (what, bytes) in cases {
        let known = dev.judgements().into_keys().collect();
        let mut conn = Conn::open(dev.secure());
        conn.send(bytes);
        let answer = conn.answer();
        assert!(matches!(answer.end, End::Closed | End::Garbage), "{what}: {answer:?}");
        let records = until(what, || Some(new(&dev, &known)).filter(|records| !records.is_empty()));
        assert_eq!(records.len(), 1, "{what}: {records:?}");
        assert_eq!(records[0]["verdicts"][0]["code"], "request_malformed", "{what}");
        assert!(records[0]["operation"].is_null(), "{what}");
    }
    // whoever connects and says nothing is nobody's request
    let known = dev.judgements().into_keys().collect();
    drop(TcpStream::connect(dev.secure()).expect("it listens"));
    assert_eq!(Conn::open(dev.secure()).answer().end, End::Closed, "silence has an end too");
    dev.shake(None);
    dev.call("GET", "/healthz", None).is(200);
    let records = new(&dev, &known);
    assert_eq!(records.len(), 1, "{records:?}");
}

/// The first flight of a client.
fn client_hello() -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &listener.local_addr().expect("an address").to_string()]);
    openssl.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut client = openssl.spawn().expect("openssl");
    let (mut stream, _) = listener.accept().expect("it connects");
    let mut hello = vec![0; 16 * 1024];
    let read = std::io::Read::read(&mut stream, &mut hello).expect("its hello");
    hello.truncate(read);
    // an alert would do as well; it has to end
    let _ = stream.write_all(b"no");
    drop(stream);
    crate::harness::end(&mut client);
    hello
}

#[test]
fn no_session_is_ever_resumed() {
    let dev = Dev::start();
    let reporter = dev.svid("reporter");
    for version in ["-tls1_2", "-tls1_3"] {
        let again = s_client(&dev, Some(&reporter), &[version, "-reconnect"], b"").ended(0);
        assert!(!again.out.contains("Reused"), "{again:?}");
        let new = again.out.matches("\nNew, TLSv1").count();
        assert_eq!(new, 6, "{version}: {again:?}");
        let kept = dev.path(&format!("session{version}"));
        let stdin = export();
        let file = kept.to_str().expect("a plain path");
        let first = s_client(&dev, Some(&reporter), &[version, "-ign_eof", "-sess_out", file], &stdin).ended(0);
        assert!(first.out.contains("HTTP/1.1 200"), "{first:?}");
        assert!(!first.out.contains("New Session Ticket") && !first.out.contains("Max Early Data: 1"), "{first:?}");
        if kept.exists() {
            // TLS 1.2: what the client keeps is of no use
            let second = s_client(&dev, Some(&reporter), &[version, "-ign_eof", "-sess_in", file], &stdin).ended(0);
            assert!(second.out.contains("\nNew, TLSv1") && !second.out.contains("Reused"), "{second:?}");
        }
    }
    // older versions of the protocol are not spoken
    for version in ["-tls1", "-tls1_1"] {
        let old = s_client(&dev, Some(&reporter), &[version], b"");
        assert_ne!(old.code, 0, "{old:?}");
    }
}
