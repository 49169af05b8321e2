//! A control plane below another one of the same trust domain: whoever knows the outer one's bundle accepts what the inner one signs,
//! and nobody is signed for that is not registered for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{standing, text};
use crate::agents::{own_uid, registration};
use crate::harness::{
    Answer, Estate, Greeter, HOST, Identity, Installation, Sockets, finish, request, shake_hands, until, until_renewed,
};

const INNER: &str = "spiffe://prod.acme.test/inner";

/// The outer control plane, with a node whose workload the inner one is.
struct Outer {
    installation: Installation,
    sockets: Sockets,
}

impl Outer {
    fn start() -> Self {
        Self::allowing(1)
    }

    /// So many may stand below it.
    fn allowing(below: u8) -> Self {
        let mut installation = Installation::laid_out("production", "prod.acme.test");
        let below = format!("authority: {{below: {below}}}\nstate: state/state.db");
        installation.edit("server.yaml", &[("state: state/state.db", &below)]);
        installation.start("server");
        installation.apply(&Self::estate(), &[]).ended(0);
        let sockets = Sockets::new();
        installation.join(&sockets, "node-1");
        Self { installation, sockets }
    }

    /// The inner one is a principal, and registered; `reporter` is another one that is not.
    fn estate() -> Estate {
        estate(&registration("web", own_uid(), "")).document(&registration("inner", own_uid(), "  downstream: true\n"))
    }

    /// What `init` laid out lets nothing stand below it.
    fn rotate(&self) {
        for act in ["prepare", "activate"] {
            self.installation.cli(&["authority", act]).ended(0);
        }
    }

    /// What is asked of it over TLS.
    fn asked(&self, who: &Identity, path: &str, body: &Value) -> (u16, Value) {
        let address = self.installation.word("server", "/planes");
        let ca = self.installation.dir().join("ca.pem");
        let mut conn = shake_hands(address.trim_start_matches("https://"), "localhost", &ca, Some(who)).expect("TLS");
        let body = body.to_string();
        let length = format!("Content-Length: {}", body.len());
        let mut bytes = request("POST", path, None, &["Content-Type: application/json", &length]);
        bytes.extend_from_slice(body.as_bytes());
        assert!(conn.send(&bytes), "it is sent to {HOST}");
        let Answer { status, body, .. } = conn.answer();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }
}

fn estate(registrations: &str) -> Estate {
    let principal = |name: &str| {
        format!(
            "kind: Principal\nmetadata: {{name: {name}}}\nspec: {{kind: Workload, id: spiffe://prod.acme.test/{name}, \
             owner: team, purpose: a test, expires: 2027-11-01T00:00:00Z}}"
        )
    };
    Estate::empty().document(registrations).document(&principal("inner")).document(&principal("reporter"))
}

/// An inner control plane that trusts itself, and has a node.
fn inner(outer: &Outer, more: &str) -> (Sockets, Installation) {
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    let (socket, planes) = (outer.sockets.of("node-1"), outer.installation.word("server", "/planes"));
    let settings = format!(
        "upstream: {{spiffe: {{socket: {}, servers: [\"{planes}\"], id: \"{INNER}\"}}}}\n{more}state: state/state.db",
        socket.display()
    );
    installation.edit("server.yaml", &[("state: state/state.db", &settings)]);
    installation.start("server");
    let web = registration("web", own_uid(), "").replace("prod.acme.test/web", "prod.acme.test/below/web");
    // it may have one below itself
    let below = registration("inner", own_uid(), "  downstream: true\n").replace("{name: inner}", "{name: z-inner}");
    installation.apply(&estate(&web).document(&below), &[]).ended(0);
    let sockets = Sockets::new();
    installation.join(&sockets, "node-1");
    (sockets, installation)
}

/// The outer one signs, and nobody else is trusted any more.
fn nested(outer: &Outer) -> (Sockets, Installation) {
    nested_for(outer, "", 2)
}

/// Likewise, with these settings and chains of so many.
fn nested_for(outer: &Outer, more: &str, links: usize) -> (Sockets, Installation) {
    let (sockets, installation) = inner(outer, more);
    for act in ["prepare", "activate", "taint"] {
        installation.cli(&["authority", act]).ended(0);
    }
    until_signed_by(&installation, "node-1", |_| true, links);
    installation.cli(&["authority", "revoke"]).ended(0);
    until("both publish the same", || (keys(&installation) == keys(&outer.installation)).then_some(()));
    (sockets, installation)
}

/// Waits until a plane has a chain of so many, and who signed its SVID is such a one.
fn until_signed_by(installation: &Installation, plane: &str, is_it: impl Fn(&str) -> bool, links: usize) {
    let svid = installation.home(plane).join("svid/svid.pem");
    until_renewed("another SVID", || {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-ext", "authorityKeyIdentifier", "-in", svid.to_str().unwrap()]);
        let by = finish(openssl, b"").ended(0).out;
        let by = by.lines().last().unwrap_or_default().trim().replace(':', "").to_lowercase();
        let found = fs::read_to_string(&svid).unwrap().matches("BEGIN CERTIFICATE").count();
        (found == links && is_it(&by)).then_some(())
    });
}

/// What is published, in no order.
fn keys(installation: &Installation) -> Vec<String> {
    let admin = installation.word("server", "/admin");
    let bundle = crate::harness::call(admin.trim_start_matches("http://"), "GET", "/bundle", None, &[]).is(200).text();
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    let mut keys: Vec<String> = bundle["keys"].as_array().unwrap().iter().map(Value::to_string).collect();
    keys.sort();
    keys
}

/// A token of the workload at one node, for this audience.
fn jwt(sockets: &Sockets) -> String {
    sockets.go("node-1", &["token", "billing"]).ended(0).out.trim().to_owned()
}

#[test]
fn workloads_of_both_control_planes_know_each_other_by_the_outer_bundle() {
    let outer = Outer::start();
    let (sockets, installation) = inner(&outer, "");
    let said = installation.cli(&["authority", "prepare"]).ended(1).err;
    assert!(said.contains("1 are to stand below it, and 0 may") && !said.contains("502"), "{said}");
    drop((sockets, installation));
    outer.rotate();
    let (sockets, installation) = nested(&outer);

    // X.509: each verifies the other, and go-spiffe verifies itself against the bundle that it is given
    let said = || sockets.go("node-1", &["x509"]).ended(0).out;
    until("workloads hear of nobody else", || said().contains("bundle prod.acme.test 2").then_some(()));
    assert!(said().contains("svid spiffe://prod.acme.test/below/web"), "{}", said());
    sockets.go("node-1", &["mtls"]).ended(0);
    let greeted = |at: &Sockets, from: &Sockets, id: &str| {
        let greeter = Greeter::start(at, "prod.acme.test");
        let ran = from.go("node-1", &["call", &greeter.address, id]);
        ran.out + &ran.err
    };
    assert!(
        greeted(&sockets, &outer.sockets, "spiffe://prod.acme.test/below/web")
            .contains("hello spiffe://prod.acme.test/")
    );
    assert!(
        greeted(&outer.sockets, &sockets, "spiffe://prod.acme.test/inner")
            .contains("hello spiffe://prod.acme.test/below/web")
    );
    // JWT likewise
    for (of, at) in [(&sockets, &outer.sockets), (&outer.sockets, &sockets)] {
        let token = jwt(of);
        let said = || at.go("node-1", &["validate", &token, "billing"]);
        until("the other one knows the key", || said().out.contains("valid spiffe://prod.acme.test/").then_some(()));
    }
    // a key of the inner one that is revoked there is unknown at the outer one
    let token = jwt(&sockets);
    for act in ["prepare", "activate", "taint", "revoke"] {
        installation.cli(&["authority", act, "--kind", "jwt"]).ended(0);
    }
    let said = || outer.sockets.go("node-1", &["validate", &token, "billing"]);
    until("it counts nowhere", || (!said().out.contains("valid ")).then_some(()));
    until("both publish the same", || (keys(&installation) == keys(&outer.installation)).then_some(()));

    // what the outer one did is in its ledger, and whose it was
    let records = outer.installation.records("server");
    let signed = records.iter().filter(|record| record["operation"] == "nested authority");
    let signed: Vec<&Value> = signed.filter(|record| record["kind"] == "judgement").collect();
    assert!(!signed.is_empty() && signed.iter().all(|record| record["principal"]["id"] == INNER), "{signed:?}");
    // who stands below no more is neither signed for nor published
    let without = estate(&registration("web", own_uid(), "")).document(&registration("inner", own_uid(), ""));
    outer.installation.apply(&without, &[]).ended(0);
    let said = installation.cli(&["authority", "prepare"]).ended(1).err;
    assert!(said.contains(&format!("`{INNER}` is no control plane below this one")), "{said}");
    let nested = || {
        let shown = outer.installation.cli(&["authority", "show", "--output", "json"]).ended(0).json();
        shown["items"].as_array().unwrap().iter().filter(|item| item["standing"] == "nested").count()
    };
    until("its keys are withdrawn", || (nested() == 0).then_some(()));
}

#[test]
fn an_outer_authority_that_is_tainted_is_left_by_all_that_stands_below_it() {
    let outer = Outer::start();
    outer.rotate();
    let (sockets, installation) = nested(&outer);
    let [before] = standing(&installation, "active").try_into().unwrap();
    let [leaked] = standing(&outer.installation, "active").try_into().unwrap();
    outer.rotate();
    // both of the outer one count, and nothing below changes for it
    until("both publish the same", || (keys(&installation) == keys(&outer.installation)).then_some(()));
    assert_eq!(standing(&installation, "active"), std::slice::from_ref(&before));
    outer.installation.cli(&["authority", "taint", &leaked]).ended(0);
    until("another one signs below", || {
        (standing(&installation, "active") != std::slice::from_ref(&before)).then_some(())
    });
    let [after] = standing(&installation, "active").try_into().unwrap();
    until("what was below is tainted", || standing(&installation, "tainted").contains(&before).then_some(()));
    until_signed_by(&installation, "node-1", |by| by == after, 2);
    sockets.go("node-1", &["mtls"]).ended(0);
    outer.installation.cli(&["authority", "revoke", &leaked]).ended(0);
    until("what was below is revoked", || standing(&installation, "tainted").is_empty().then_some(()));
    until("both publish the same", || (keys(&installation) == keys(&outer.installation)).then_some(()));
    sockets.go("node-1", &["mtls"]).ended(0);

    // while the outer one is away, the inner one goes on with what it has, and says what it lacks
    let mut outer = outer;
    assert_eq!(outer.installation.stop("server"), 0);
    sockets.go("node-1", &["mtls"]).ended(0);
    sockets.go("node-1", &["jwt", "billing"]).ended(0);
    let said = installation.cli(&["authority", "prepare"]).ended(1).err;
    assert!(said.contains("the outer control plane does not do it: cannot connect to control at 127.0.0.1:"), "{said}");
}

#[test]
fn one_below_another_below_a_third_has_the_same_bundle_and_nobody_stands_below_that() {
    let outer = Outer::allowing(2);
    outer.rotate();
    let (sockets, installation) = nested_for(&outer, "authority: {below: 1}\n", 2);
    let between = Outer { installation, sockets };
    let (sockets, installation) = nested_for(&between, "", 3);
    until("all publish the same", || (keys(&installation) == keys(&outer.installation)).then_some(()));
    let works = || (sockets.go("node-1", &["mtls"]).code == 0).then_some(());
    until("workloads know each other", works);
    let token = jwt(&sockets);
    let said = || outer.sockets.go("node-1", &["validate", &token, "billing"]).out;
    until("the outermost one knows the key", || said().contains("valid spiffe://prod.acme.test/").then_some(()));
    let inmost = Outer { installation, sockets };
    let (_sockets, deeper) = inner(&inmost, "");
    let said = deeper.cli(&["authority", "prepare"]).ended(1).err;
    assert!(said.contains("1 are to stand below it, and 0 may"), "{said}");
}

/// A certificate request that asks for what nobody is given, in PEM.
fn wishing(folder: &Path) -> String {
    let config = folder.join("wish.cnf");
    let wish = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,digitalSignature\n\
                subjectAltName=URI:spiffe://other.test,URI:spiffe://prod.acme.test/countersign/server,DNS:other.test\n\
                extendedKeyUsage=serverAuth";
    fs::write(&config, format!("[req]\ndistinguished_name=dn\nreq_extensions=v3\n[dn]\n[v3]\n{wish}\n")).unwrap();
    let mut openssl = Command::new("openssl");
    let new = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other";
    openssl.args(new.split(' ')).arg("-config").arg(&config).arg("-keyout").arg(folder.join("wish.key"));
    finish(openssl, b"").ended(0).out
}

/// What `openssl` says of a certificate.
fn shown(certificate: &Path, what: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout"]).args(what.split(' ')).arg("-in").arg(certificate);
    finish(openssl, b"").ended(0).out
}

/// A certificate of a new key, by the authority in `by` with its chain and key; it lies beside that, named `name`.
fn certified(by: &Path, key: &Path, extensions: &str, name: &str) -> Identity {
    let folder = by.parent().unwrap();
    let (path, config) = (folder.join(name), folder.join("certified.cnf"));
    fs::write(&config, format!("[req]\ndistinguished_name=dn\n[dn]\n[v3]\n{extensions}\n")).unwrap();
    let mut openssl = Command::new("openssl");
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=x -extensions v3 -days 1";
    openssl.args(new.split(' ')).arg("-config").arg(&config).arg("-CA").arg(by).arg("-CAkey").arg(key);
    openssl.arg("-keyout").arg(path.with_extension("key")).arg("-out").arg(&path);
    finish(openssl, b"").ended(0);
    let chain = fs::read_to_string(&path).unwrap() + &fs::read_to_string(by).unwrap();
    fs::write(&path, chain).unwrap();
    Identity { key: path.with_extension("key"), cert: path }
}

/// What an authority signs that stands below the outer one counts there, and nothing else that its key could sign does.
fn assert_bounded(outer: &Outer, signed: &Path, key: &Path) {
    let counts = |who: &Identity| {
        let (planes, ca) = (outer.installation.word("server", "/planes"), outer.installation.dir().join("ca.pem"));
        let shaken = shake_hands(planes.trim_start_matches("https://"), "localhost", &ca, Some(who));
        shaken.is_ok_and(|mut conn| conn.send(&request("GET", "/v1/whoami", None, &[])) && conn.answer().status == 403)
    };
    let leaf = |id: &str| {
        format!("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectAltName=URI:{id}")
    };
    let reporter = leaf("spiffe://prod.acme.test/reporter");
    assert!(counts(&certified(signed, key, &reporter, "leaf.pem")));
    assert!(!counts(&certified(signed, key, &leaf("spiffe://other.test/reporter"), "stranger.pem")));
    let authority = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n\
                     subjectAltName=URI:spiffe://prod.acme.test";
    let deeper = certified(signed, key, authority, "deeper.pem");
    assert!(!counts(&deeper));
    assert!(!counts(&certified(&deeper.cert, &deeper.key, &reporter, "deep.pem")));
}

#[test]
fn nobody_is_signed_for_that_is_not_registered_for_it_and_nobody_for_more_than_it_may() {
    let outer = Outer::start();
    outer.rotate();
    let folder = tempfile::tempdir().unwrap();
    let csr = wishing(folder.path());
    let order = |below: u8, life: &str| json!({"csr": csr, "below": below, "life": life});
    let minted = |name: &str| outer.installation.minted(name, name, &[]);
    let (below, reporter) = (minted("inner"), minted("reporter"));
    let sign = "/v1/nested/authority";

    let (status, said) = outer.asked(&reporter, sign, &order(0, "1h"));
    assert_eq!((status, text(&said["code"])), (403, "no_permit".to_owned()), "{said}");
    let why = "`spiffe://prod.acme.test/reporter` is no control plane below this one: no registration of it that is in force says `downstream`";
    assert_eq!(text(&said["error"]), why);
    let (status, said) = outer.asked(&reporter, "/v1/nested/bundle", &json!({"jwt": []}));
    assert_eq!((status, text(&said["error"])), (403, why.to_owned()));
    let records = outer.installation.records("server");
    let refused = records.iter().find(|record| record["kind"] == "outcome" && record["code"] == "no_permit");
    assert!(refused.is_some(), "the refusal stands in the ledger");

    // one level is allowed, and not two
    let (status, said) = outer.asked(&below, sign, &order(1, "1h"));
    assert_eq!((status, text(&said["code"])), (403, "no_permit".to_owned()), "{said}");
    assert!(text(&said["error"]).starts_with("2 are to stand below it, and 1 may"), "{said}");
    // what the request wishes for is not looked at: names, lifetimes and flags are ours
    let (status, said) = outer.asked(&below, sign, &order(0, "8760h"));
    assert_eq!(status, 200, "{said}");
    let signed = folder.path().join("signed.pem");
    fs::write(&signed, text(&said["chain"])).unwrap();
    let says = shown(&signed, "-text");
    for holds in ["CA:TRUE, pathlen:0", "URI:spiffe://prod.acme.test\n", "Certificate Sign, CRL Sign\n"] {
        assert!(says.contains(holds), "{holds}: {says}");
    }
    for never in ["other", "countersign/server", "Digital Signature", "TLS Web Server"] {
        assert!(!says.contains(never), "{never}: {says}");
    }
    let listed = outer.installation.cli(&["authority", "show", "--kind", "x509", "--output", "json"]).ended(0).json();
    let active = listed["items"].as_array().unwrap().iter().find(|item| item["standing"] == "active").unwrap();
    let end = shown(&signed, "-enddate -dateopt iso_8601");
    let end = end.trim().trim_start_matches("notAfter=").replace(' ', "T");
    assert!(end[..19] <= text(&active["ends"])[..19], "{end} {active}");
    assert_bounded(&outer, &signed, &folder.path().join("wish.key"));

    // no other registration gives anybody the id of who stands below
    let twin = registration("twin", own_uid(), "").replace("prod.acme.test/twin", "prod.acme.test/inner");
    outer.installation.apply(&Outer::estate().document(&twin), &[]).ended(0);
    until("it is refused", || {
        let _ = outer.sockets.go("node-1", &["x509"]);
        let log = outer.installation.log("server");
        log.contains(&format!(
            "`{INNER}` is a control plane below this one, and the registration `twin` does not say so"
        ))
        .then_some(())
    });
    let sly = "kind: Registration\nmetadata: {name: sly}\nspec:\n  id: spiffe://prod.acme.test/{unix:user}\n  \
               nodes: [\"node:name:node-1\"]\n  selectors: [\"unix:user:inner\"]\n  downstream: true\n";
    let said = outer.installation.apply(&Outer::estate().document(sly), &[]).ended(3).err;
    assert!(said.contains("downstream: `spiffe://prod.acme.test/{unix:user}` may be many"), "{said}");
}
