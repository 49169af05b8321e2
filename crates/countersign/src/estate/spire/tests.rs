//! What SPIRE prints, what becomes of it, and what is said of the rest.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Bundle, read_registrations};
use super::{Imported, files, import};

const SAMPLE: &str = include_str!("tests/entries.json");
const DOMAIN: &str = "prod.acme.test";

fn imported(json: &str) -> Imported {
    import(json.as_bytes(), None).unwrap_or_else(|why| panic!("{}", net::causes::chain(&why)))
}

/// Notes, one a line: kind, the end of the entry's id, the path, and the message.
fn notes(imported: &Imported) -> String {
    let mut text = String::new();
    for note in &imported.notes {
        let entry = note.entry.as_deref().and_then(|entry| entry.get(entry.len().saturating_sub(2)..)).unwrap_or("--");
        let id = note.spiffe_id.as_deref().unwrap_or("-").trim_start_matches("spiffe://");
        writeln!(text, "{} {entry} {id}: {}", note.kind.as_str(), note.message).unwrap();
    }
    text
}

/// Reads back what was written, as `registration put` does.
fn read_back(imported: &Imported) -> Vec<super::Registration> {
    let domain = DOMAIN.parse().unwrap();
    let read = read_registrations(&Bundle::new(files(&imported.registrations)), &domain);
    let mut read = read.unwrap_or_else(|problems| panic!("{}", problems[0]));
    read.sort_by(|one, other| one.name.cmp(&other.name));
    read
}

#[track_caller]
fn written_and_read_alike(imported: &Imported) {
    let wrote: Vec<_> = imported.registrations.iter().map(|(registration, _)| registration.clone()).collect();
    assert_eq!(read_back(imported), wrote);
}

/// An entry of this id, below this parent, with these selectors; `more` fields replace those.
fn entry(id: &str, path: &str, parent: &str, selectors: &[&str], more: &Value) -> Value {
    let selectors: Vec<Value> = selectors
        .iter()
        .map(|text| text.split_once(':').unwrap())
        .map(|(kind, value)| json!({"type": kind, "value": value}))
        .collect();
    let named = |path: &str| json!({"trust_domain": DOMAIN, "path": path});
    let mut entry = json!({"id": id, "spiffe_id": named(path), "parent_id": named(parent), "selectors": selectors});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn list(entries: &[Value]) -> String {
    json!({"entries": entries, "next_page_token": ""}).to_string()
}

/// One workload on any node with a name; what is said of it.
#[track_caller]
fn check(more: &Value, expected: &str) {
    let group = entry("group", "/nodes", "/spire/server", &["k8s_psat:cluster:a"], &json!({}));
    let imported = imported(&list(&[group, entry("w", "/w", "/nodes", &["unix:uid:1"], more)]));
    let found: Vec<_> = imported.notes.iter().filter(|note| note.entry.as_deref() == Some("w")).collect();
    let found: Vec<_> = found.iter().map(|note| format!("{}: {}", note.kind.as_str(), note.message)).collect();
    assert_eq!(found.join("\n"), expected);
    written_and_read_alike(&imported);
}

#[track_caller]
fn golden(file: &str, expected: &str, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/estate/spire/tests/");
        std::fs::write(format!("{path}{file}"), text).unwrap();
        return;
    }
    assert_eq!(text, expected, "differs from {file}; UPDATE=1 writes it anew");
}

#[test]
fn a_real_list_becomes_registrations_and_a_line_for_the_rest() {
    let imported = imported(SAMPLE);
    assert_eq!((imported.trust_domain.as_ref().map(|domain| domain.as_str()), imported.entries), (Some(DOMAIN), 17));
    let [(name, text)] = &files(&imported.registrations)[..] else { panic!("one file") };
    assert_eq!(name, "registrations-0001.yaml");
    golden("registrations.yaml", include_str!("tests/registrations.yaml"), text);
    golden("notes.txt", include_str!("tests/notes.txt"), &notes(&imported));
    written_and_read_alike(&imported);
}

#[test]
fn the_same_entries_in_another_order_give_the_same_bytes() {
    let mut document: Value = serde_json::from_str(SAMPLE).unwrap();
    document["entries"].as_array_mut().unwrap().reverse();
    let (one, other) = (imported(SAMPLE), imported(&document.to_string()));
    assert_eq!(files(&one.registrations), files(&other.registrations));
    assert_eq!(one.notes, other.notes);
}

#[test]
fn fields_may_have_the_other_names_of_protobuf_and_ids_be_texts() {
    let camel = format!(
        r#"[{{"entryId": "a", "spiffeId": "spiffe://{DOMAIN}/w", "parentId": {{"trustDomain": "{DOMAIN}", "path": "/spire/agent/join_token/t"}},
        "selectors": [{{"type": "unix", "value": "uid:1"}}], "x509SvidTtl": "60", "jwtSvidTtl": 30, "dnsNames": ["w"],
        "federatesWith": ["b.test"], "expiresAt": 1796083200, "storeSvid": null, "revisionNumber": "1", "createdAt": "2"}}]"#
    );
    let imported = imported(&camel);
    let [(registration, entry)] = &imported.registrations[..] else { panic!("{}", notes(&imported)) };
    assert_eq!((registration.name.as_str(), entry.as_str()), ("w", "a"));
    assert_eq!(registration.x509_ttl, Some(Duration::from_secs(60)));
    assert_eq!(registration.expires.unwrap(), "2026-12-01T00:00:00Z".parse().unwrap());
    assert_eq!(imported.notes.len(), 1, "{}", notes(&imported));
    written_and_read_alike(&imported);
}

#[test]
fn what_cannot_be_carried_is_said_in_exact_words() {
    check(&json!({}), "");
    check(
        &json!({"admin": true}),
        "changed: `admin` is not carried: who may operate Countersign is said in its settings and policies",
    );
    check(
        &json!({"downstream": true}),
        "changed: `downstream`: a control plane below has authorities signed once a Principal of the estate has its id",
    );
    check(
        &json!({"store_svid": true}),
        "left out: `store_svid`: its SVID is put into a store outside, and no workload has it",
    );
    check(
        &json!({"selectors": [{"type": "unix", "value": "uid:1"}, {"type": "unix", "value": "sid:4"}]}),
        "left out: nothing attests its selector `unix:sid:4`, and without that it would be given to more",
    );
    check(&json!({"selectors": []}), "left out: it has no selectors");
    check(
        &json!({"selectors": [{"type": "unix", "value": "a\u{7}"}]}),
        "left out: its selector `unix:a\u{7}` is none here: a selector has no control characters",
    );
    check(
        &json!({"selectors": [{"type": "docker", "value": "env:A=${DEV_ISSUER}"}]}),
        "left out: its selector `docker:env:A=${DEV_ISSUER}` would be read as a place of `dev`",
    );
    check(
        &json!({"x509_svid_ttl": 604_800}),
        "changed: `x509_svid_ttl`: 24h instead of 604800s, for no SVID lives longer here",
    );
    check(&json!({"jwt_svid_ttl": -1}), "left out: `jwt_svid_ttl` is negative");
    check(&json!({"expires_at": "-1"}), "left out: `expires_at`: -1 is no time that can be written");
    check(
        &json!({"expires_at": i64::MAX}),
        "left out: `expires_at`: 9223372036854775807 is no time that can be written",
    );
    check(
        &json!({"hint": " "}),
        "changed: `hint` is not carried: it is blank, or has control characters, `${DEV_` or more than 1024 bytes",
    );
    check(
        &json!({"federates_with": ["spiffe://a b"]}),
        "changed: `federates_with`: `spiffe://a b` is not carried: a trust domain has only lower-case letters, digits, `.`, `-` and `_`; found ` `",
    );
    check(
        &json!({"spiffe_id": {"trust_domain": DOMAIN, "path": "/countersign/agent/a"}}),
        "left out: `spiffe://prod.acme.test/countersign/agent/a`: paths under `/countersign` are for Countersign's own parts",
    );
    check(
        &json!({"spiffe_id": {"trust_domain": DOMAIN, "path": ""}}),
        "left out: `spiffe://prod.acme.test` names the trust domain itself; a workload's id has a path",
    );
    check(
        &json!({"parent_id": {"trust_domain": "other.test", "path": "/nodes"}}),
        "left out: its parent is not of `prod.acme.test`",
    );
    let names: Vec<String> = (0..65).map(|nth| format!("h{nth}")).collect();
    check(&json!({"dns_names": names}), "changed: `dns_names`: `h64` is not carried, for an SVID has at most 64");
    check(&json!({"sidecar": 1}), "changed: `sidecar` is a field that is not known here, and not carried");
}

#[test]
fn what_is_no_list_is_refused_in_exact_words() {
    let refused = |json: &str, domain: Option<&str>| {
        let domain = domain.map(|domain| domain.parse().unwrap());
        import(json.as_bytes(), domain.as_ref()).map(|_| ()).map_err(|why| net::causes::chain(&why)).unwrap_err()
    };
    let not = "not what `spire-server entry show -output json` prints: ";
    assert_eq!(refused("", None), format!("{not}EOF while parsing a value at line 1 column 0"));
    assert_eq!(refused("{}", None), format!("{not}missing field `entries` at line 1 column 2"));
    assert_eq!(refused(r#"[{"id": "a", "id": "b"}]"#, None), format!("{not}duplicate field `id` at line 1 column 17"));
    assert_eq!(
        refused(r#"[{"spiffe_id": {"path": "/a", "path": "/b"}}]"#, None),
        format!("{not}`path` stands here twice at line 1 column 36")
    );
    let two = r#"[{"spiffe_id": "spiffe://a.test/w"}, {"spiffe_id": "spiffe://b.test/w"}]"#;
    assert_eq!(refused(two, None), "entries are of `a.test` and of `b.test`: say by `--trust-domain` whose are meant");
    let one = import(two.as_bytes(), Some(&"b.test".parse().unwrap())).unwrap();
    assert_eq!(
        notes(&one),
        "left out  a.test/w: its SPIFFE ID is not of `b.test`\nleft out  b.test/w: its parent is none: a SPIFFE ID starts with `spiffe://`\n"
    );
    let more = imported(r#"{"entries": [], "next_page_token": "x"}"#);
    assert_eq!(notes(&more), "list -- -: there are more pages (`next_page_token`): what is on them is not here\n");
}

#[test]
fn a_group_of_nodes_stands_in_what_is_below_it_however_deep_and_a_ring_ends() {
    let mut entries = vec![
        entry("g1", "/nodes", "/spire/server", &["k8s_psat:cluster:a"], &json!({})),
        entry("g2", "/nodes", "/spire/server", &["k8s_psat:cluster:a", "k8s_psat:agent_ns:spire"], &json!({})),
        entry("0", "/chain/0", "/nodes", &["unix:uid:0"], &json!({})),
        // below the chain's end, and above its beginning: a ring with a way out
        entry("r", "/nodes", "/chain/5", &["unix:uid:9"], &json!({})),
    ];
    for nth in 1..6 {
        let (path, parent) = (format!("/chain/{nth}"), format!("/chain/{}", nth - 1));
        entries.push(entry(&nth.to_string(), &path, &parent, &["unix:uid:1"], &json!({})));
    }
    let imported = imported(&list(&entries));
    assert_eq!(imported.registrations.len(), 7, "{}", notes(&imported));
    // what asks for more than another group asks for adds no node
    assert!(imported.registrations.iter().all(|(one, _)| one.nodes.len() == 1), "{:?}", imported.registrations);
}

#[test]
fn what_a_group_of_nodes_says_beyond_its_selectors_is_told_too() {
    let group = |id: &str, selectors: &[&str], more| entry(id, "/nodes", "/spire/server", selectors, &more);
    let entries = [
        group("g1", &["k8s_psat:cluster:a"], json!({"admin": true, "x509_svid_ttl": 60})),
        group("g2", &["x509pop:"], json!({})),
        entry("w", "/w", "/nodes", &["unix:uid:1"], &json!({})),
    ];
    let imported = imported(&list(&entries));
    assert_eq!(imported.registrations.len(), 1);
    assert_eq!(
        notes(&imported),
        "changed g1 prod.acme.test/nodes: `admin` is not carried: who may operate Countersign is said in its settings and policies
left out g2 prod.acme.test/nodes: its selector `x509pop:` is none here: a selector is `type:value`, such as `unix:uid:1000`
nodes -- prod.acme.test/nodes: nodes of which `k8s_psat:cluster:a` hold: let them be attested anew; stands in 1 registration(s)
"
    );
}

#[test]
fn names_are_readable_unique_and_no_longer_than_a_name_may_be() {
    let below = |id: &str, path: &str| entry(id, path, "/spire/agent/join_token/t", &["unix:uid:1"], &json!({}));
    let long = format!("/{}", "a/".repeat(400) + "b");
    let (other, long) = (format!("{long}c"), long);
    let entries = [
        below("2", "/ns/a/sa/b"),
        below("1", "/ns/a/sa/b"),
        below("3", "/ns/a/sa/b-2"),
        below("4", "/NS/a/sa/b"),
        below("5", "/_"),
        below("6", &long),
        below("7", &other),
    ];
    let imported = imported(&list(&entries));
    let named: Vec<_> = imported.registrations.iter().map(|(one, entry)| (one.name.as_str(), entry.as_str())).collect();
    let a = format!("{}a", "a.".repeat(119));
    let a2 = format!("{a}-2");
    let expected = [
        (&*a, "6"),
        (&a2, "7"),
        ("entry", "5"),
        ("ns.a.sa.b", "4"),
        ("ns.a.sa.b-2", "3"),
        ("ns.a.sa.b-3", "1"),
        ("ns.a.sa.b-4", "2"),
    ];
    assert_eq!(named, expected);
    written_and_read_alike(&imported);
}

#[test]
fn almost_what_spire_prints_is_read_or_refused_and_whatever_is_written_loads() {
    let domain = DOMAIN.parse().unwrap();
    testkit::mutate(SAMPLE.as_bytes(), 500, |bytes| {
        if let Ok(imported) = import(bytes, Some(&domain)) {
            written_and_read_alike(&imported);
        }
    });
    let small = list(&[entry(
        "a",
        "/w",
        "/spire/agent/join_token/t",
        &["docker:label:é\u{2028}:\u{1f980}"],
        &json!({"hint": "\u{feff}\"'#{"}),
    )]);
    testkit::mutate(small.as_bytes(), 5_000, |bytes| {
        if let Ok(imported) = import(bytes, Some(&domain)) {
            written_and_read_alike(&imported);
        }
    });
}

#[test]
fn ten_thousand_entries_fit_into_files_that_can_be_put() {
    let mut entries = vec![entry("g", "/nodes", "/spire/server", &["k8s_psat:cluster:a"], &json!({}))];
    for nth in 0..10_000 {
        let path = format!("/ns/{}/sa/{nth}", nth % 100);
        entries.push(entry(&nth.to_string(), &path, "/nodes", &["k8s:ns:a", "k8s:sa:b"], &json!({})));
    }
    let imported = imported(&list(&entries));
    let files = files(&imported.registrations);
    assert_eq!((imported.registrations.len(), files.len()), (10_000, 10));
    assert!(files.iter().all(|(_, text)| text.matches("\nkind: Registration\n").count() == 1_000));
    // a chain without end is looked at once, and no further than it may go
    let ring = |nth: usize| {
        entry(&nth.to_string(), &format!("/{nth}"), &format!("/{}", (nth + 1) % 10_000), &["unix:uid:1"], &json!({}))
    };
    let none = self::imported(&list(&(0..10_000).map(ring).collect::<Vec<_>>()));
    assert_eq!((none.registrations.len(), none.notes.len()), (0, 10_000));
    assert!(none.notes[0].message.starts_with("more than 100 ids are above"), "{}", none.notes[0].message);
}
