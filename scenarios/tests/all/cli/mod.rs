//! What verbs print for programs: a contract, held by golden files. What differs each time is replaced by its name.

mod health;

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Conn, Dev, Estate, Mint, Ran, Upstream, ci_claims, folder, golden, normal, request, run, until};

/// Compares one document with the file of that name; it stands on one line.
#[track_caller]
fn same(name: &str, ran: &Ran) {
    assert_eq!(ran.out.lines().count(), 1, "one document, one line: {ran:?}");
    golden(&format!("cli/{name}.json"), &normal(&ran.json()));
}

#[test]
fn json_of_offline_verbs_is_as_promised() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    Estate::ours().upstream("http://127.0.0.1:1").write(folder.path());
    same("check-sound", &run(&["check", "-f", path, "--output", "json"], b"").ended(0));
    let token = Mint::shared().ci(&ci_claims());
    let resolve =
        |token: &str| run(&["resolve", "--token-file", "-", "-f", path, "--output", "json"], token.as_bytes());
    same("resolve", &resolve(&token).ended(0));
    let mut other = ci_claims();
    other["repository_id"] = json!("1");
    same("resolve-unknown", &resolve(&Mint::shared().ci(&other)).ended(2));
    other["aud"] = json!("https://other.acme.test");
    same("resolve-audience", &resolve(&Mint::shared().ci(&other)).ended(2));
    same("resolve-malformed", &resolve("x").ended(2));
    let decide = |principal: &str, context: &str| {
        let asked = ["--principal", principal, "--action", "read", "--resource", "billing/invoices", "--context", "-"];
        run(&[&["decide", "-f", path, "--output", "json"], &asked[..]].concat(), context.as_bytes())
    };
    same("decide-allow", &decide("billing-ci", r#"{"evidence": ["protected_ref"]}"#).ended(0));
    same("decide-forbidden", &decide("billing-ci", "{}").ended(2));
    same("decide-no-permit", &decide("human:people:alice", "{}").ended(2));
    Estate::ours().replacing("maxAge: 10m", "maxage: 10m").upstream("http://127.0.0.1:1").write(folder.path());
    same("check-errors", &run(&["check", "-f", path, "--output", "json"], b"").ended(3));
    same("explain-code", &run(&["explain-code", "audience_wrong", "--output", "json"], b"").ended(0));
}

#[test]
fn what_spire_has_is_imported_as_promised_and_what_is_not_carried_is_said() {
    const ENTRIES: &str = r#"{"entries": [
        {"id": "n", "spiffe_id": {"trust_domain": "prod.acme.test", "path": "/nodes"},
         "parent_id": {"trust_domain": "prod.acme.test", "path": "/spire/server"},
         "selectors": [{"type": "k8s_psat", "value": "cluster:a"}]},
        {"id": "w", "spiffe_id": {"trust_domain": "prod.acme.test", "path": "/web"},
         "parent_id": {"trust_domain": "prod.acme.test", "path": "/nodes"},
         "selectors": [{"type": "unix", "value": "uid:1"}], "admin": true, "jwt_svid_ttl": 300, "expires_at": "1796083200"},
        {"id": "s", "spiffe_id": {"trust_domain": "prod.acme.test", "path": "/stored"},
         "parent_id": {"trust_domain": "prod.acme.test", "path": "/nodes"},
         "selectors": [{"type": "aws_secretsmanager", "value": "arn:x"}], "store_svid": true}
    ], "next_page_token": ""}"#;
    let import = |more: &[&str], entries: &str| run(&[&["import", "spire", "-"], more].concat(), entries.as_bytes());
    same("import-spire", &import(&["--output", "json"], ENTRIES).ended(0));
    let text = import(&[], ENTRIES).ended(0);
    golden("cli/import-spire.yaml", &text.out);
    golden("cli/import-spire.txt", &text.err);
    let folder = folder();
    let out = folder.path().join("registrations");
    let to = ["--out", out.to_str().unwrap()];
    let wrote = import(&to, ENTRIES).ended(0);
    assert!(wrote.out.starts_with("1 registration(s) of 3 entries are in 1 file(s) in `"), "{wrote:?}");
    assert_eq!(fs::read_to_string(out.join("registrations-0001.yaml")).unwrap(), text.out);
    let again = import(&to, ENTRIES).ended(3);
    assert!(again.err.ends_with("is not empty: name a new directory\n"), "{again:?}");
    let none = import(&[], "{").ended(3);
    assert!(
        none.err.starts_with("countersign: not what `spire-server entry show -output json` prints: EOF"),
        "{none:?}"
    );
    import(&["--trust-domain", "A"], ENTRIES).ended(64);
}

#[test]
fn json_of_an_svid_that_is_explained_is_as_promised() {
    let dev = Dev::start();
    let svid = dev.minted("reporter", "out", &[]);
    let (cert, key) = (fs::read(&svid.cert).unwrap(), fs::read(&svid.key).unwrap());
    let bundle = dev.path("out/bundle.pem");
    let (bundle, estate) = (bundle.to_str().unwrap(), dev.estate().to_str().unwrap());
    let asked = ["resolve", "--cert", "-", "--output", "json"];
    let online = dev.cli_with(&asked, &cert).ended(0);
    same("resolve-cert", &online);
    let offline = |more: &[&str], stdin: &[u8]| run(&[&asked[..], &["-f", estate], more].concat(), stdin);
    assert_eq!(offline(&["--bundle", bundle], &cert).ended(0).json(), online.json());
    same("resolve-cert-without-bundle", &offline(&[], &cert).ended(2));
    let other = dev.minted("spiffe://prod.acme.test/agents/dunning", "other", &[]);
    dev.cli(&["revoke", "principal", "dunning"]).ended(0);
    same("resolve-cert-revoked", &dev.cli_with(&asked, &fs::read(other.cert).unwrap()).ended(2));
    same("resolve-cert-authority", &dev.cli_with(&asked, &fs::read(bundle).unwrap()).ended(2));

    for stdin in [&b"x"[..], &key] {
        let unread = dev.cli_with(&asked, stdin).ended(3);
        assert!(unread.err.contains("cannot use `-`: it holds no certificate in PEM"), "{unread:?}");
    }
    let token = dev.token("ci-main");
    dev.cli_with(&["resolve", "--cert", "-", "--token-file", "-"], token.as_bytes()).ended(64);
    dev.cli_with(&["resolve", "--cert", "-", "--bundle", bundle], &cert).ended(64);
}

#[test]
fn a_key_that_lies_beside_its_certificate_is_not_sent_to_a_server() {
    let dev = Dev::start();
    let svid = dev.minted("reporter", "out", &[]);
    let both = [fs::read_to_string(&svid.key).unwrap(), fs::read_to_string(&svid.cert).unwrap()].concat();
    let socket = dev.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut sent = Vec::new();
        while !sent.ends_with(b"END CERTIFICATE-----\\n\"}") {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the request breaks off");
            sent.extend_from_slice(&part[..read]);
        }
        String::from_utf8(sent).unwrap()
    });
    let server_at = format!("unix:{}", socket.to_str().unwrap());
    run(&["resolve", "--cert", "-", "--server", &server_at], both.as_bytes()).ended(4);
    let sent = server.join().unwrap();
    let secret = both.lines().nth(1).unwrap();
    assert!(
        sent.contains("{\"cert\":\"-----BEGIN CERTIFICATE-----") && !sent.contains("PRIVATE") && !sent.contains(secret)
    );
}

#[test]
fn json_of_records_and_of_what_an_operator_does_is_as_promised() {
    let upstream = Upstream::start();
    let estate = Estate::ours().upstream(&upstream.url);
    let mut dev = Dev::serving(&estate);
    let token = Mint::shared().ci(&ci_claims());
    let allowed = dev.get("/invoices/7?x=1", &token).is(200).record().to_owned();
    dev.outcome(&allowed);
    let unproved = dev.get("/invoices/7", "x").is(401).record().to_owned();
    let denied = dev.get("/export", &token).is(403).record().to_owned();
    let lines = dev.records();
    let line = |field: &str, id: &str| lines.iter().find(|line| line[field] == id).expect("a record");
    for (name, line) in [
        ("record-allowed", line("id", &allowed)),
        ("record-outcome", line("of", &allowed)),
        ("record-unproved", line("id", &unproved)),
        ("record-denied", line("id", &denied)),
        ("record-apply", lines.iter().find(|line| line["operation"] == "apply").expect("the first apply")),
    ] {
        golden(&format!("cli/{name}.json"), &normal(line));
    }
    let explained = dev.cli(&["explain", &allowed, "--output", "json"]).ended(0).json();
    golden("cli/explain.json", &normal(&explained));
    same("replay", &dev.cli(&["replay", &allowed, "--output", "json"]).ended(0));

    estate
        .clone()
        .policy("more", "forbid (principal is Partner, action, resource);")
        .replacing("purpose: reminds late payers", "purpose: reminds")
        .write(dev.estate());
    let estate = dev.estate().to_str().unwrap().to_owned();
    same("apply", &dev.cli(&["apply", "-f", &estate, "--yes", "--output", "json"]).ended(0));
    assert_eq!(dev.stop(), 0);
    let verified = dev.verify().ended(0);
    let mut document = verified.json();
    let through = document["through"].as_object_mut().expect("writers");
    through.values_mut().for_each(|seq| *seq = json!(0));
    golden("cli/ledger-verify.json", &normal(&document));
    assert_eq!(verified.out.lines().count(), 1);
}

#[test]
fn what_was_counted_is_explained_and_not_replayed() {
    let dev = Dev::start();
    let mut conn = Conn::open(dev.gateway());
    let mut ask = || {
        conn.send(&request("GET", "/invoices/1", None, &[]));
        conn.answer().is(401).record().to_owned()
    };
    let first = ask();
    // over any burst
    let ids: Vec<String> = (0..1500).map(|_| ask()).collect();
    let counted = ids.iter().zip(ids.iter().skip(1)).find(|(one, next)| one == next);
    let counted = counted.expect("many answers have one id").0.clone();
    let explained = until("the counter is written", || {
        Some(dev.cli(&["explain", &counted, "--output", "json"])).filter(|ran| ran.code == 0)
    });
    let mut document = explained.json();
    for varies in ["first", "last", "count"] {
        document["counters"][0][varies] = json!(format!("<{varies}>"));
    }
    golden("cli/explain-counted.json", &normal(&document));
    let text = dev.cli(&["explain", &counted]).ended(0).out;
    let counter = &explained.json()["counters"][0];
    let shown = |text: String, field: &str| {
        let value = counter[field].to_string();
        text.replacen(value.trim_matches('"'), &format!("<{field}>"), 1)
    };
    let fields = ["time", "id", "seq", "writer", "count", "first", "last"];
    golden("cli/explain-counted.txt", &fields.into_iter().fold(text.clone(), shown));
    assert_eq!(run(&["explain", &counted, "--ledger", dev.ledger().to_str().unwrap()], b"").ended(0).out, text);

    let refused = dev.cli(&["replay", &counted]).ended(3);
    assert!(refused.err.contains("this id is of counters"), "{refused:?}");
    assert!(dev.cli(&["explain", "ffffffff"]).ended(3).err.contains("no judgement and no counter has this id"));
    let replayed = dev.cli(&["replay", "--since", "1h", "--output", "json"]).ended(0).json();
    assert_eq!(replayed["checked"], replayed["agreed"]);
    assert_eq!(dev.record(&first)["verdicts"][0]["code"], "credential_missing", "the first are recorded in full");
    let lines = dev.cli(&["ledger", "tail", "--denied"]).ended(0).out;
    let line = lines.lines().find(|line| line.contains(&counted)).expect("what was counted was denied");
    assert!(line.contains("credential_missing") && line.contains("times since"), "{line}");
}

#[test]
fn a_tail_in_json_is_one_record_a_line_and_filters() {
    let dev = Dev::start();
    let (ci, fork) = (dev.token("ci-main"), dev.token("ci-fork"));
    dev.get("/invoices/1", &ci).is(200);
    dev.get("/invoices/1", &fork).is(403);
    dev.call("GET", "/invoices/1", None).is(401);
    let tail = |args: &[&str]| dev.cli(&[&["ledger", "tail", "--output", "json"], args].concat()).ended(0).lines();
    let all = tail(&[]);
    let seqs: Vec<u64> = all.iter().map(|line| line["seq"].as_u64().expect("a number")).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "every record, in order");
    let denied = tail(&["--denied"]);
    assert_eq!(denied.len(), 2);
    let of = tail(&["--principal", crate::harness::CI]);
    assert!(of.len() >= 2 && of.iter().all(|r| r["kind"] == "outcome" || r["principal"]["id"] == crate::harness::CI));
    assert!(tail(&["--since", "2099-01-01T00:00:00Z"]).is_empty());
    assert!(tail(&["--since", "1h"]).len() >= all.len());
    dev.cli(&["ledger", "tail", "--since", "yesterday"]).ended(3);
}

#[test]
fn dev_says_in_json_what_its_file_says() {
    let dev = Dev::with(None, &["--output", "json"]);
    // the file is there first: what is printed follows it
    let said =
        until("it is said", || dev.log().lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok()));
    assert_eq!(said, dev.info);
    let file: Value = serde_json::from_slice(&fs::read(dev.dir().join("dev.json")).unwrap()).unwrap();
    assert_eq!(said, file);
}
