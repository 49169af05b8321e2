//! `check` says what is wrong in exact words.

use std::fs;

use crate::harness::{Estate, folder, golden, run};

/// What `check` prints about an estate.
fn said(estate: &Estate) -> (i32, String) {
    let folder = folder();
    estate.write(folder.path());
    let ran = run(&["check", "-f", folder.path().to_str().unwrap()], b"");
    assert!(ran.err.is_empty(), "{ran:?}");
    // notes on ${DEV_…} are not what this is about
    let lines = ran.out.lines().filter(|line| !line.contains("is served by `dev` alone"));
    (ran.code, lines.map(|line| format!("{line}\n")).collect())
}

#[test]
fn each_mistake_is_named_with_its_place_and_how_to_mend_it() {
    let permit =
        "permit (principal in Group::\"ci-billing\", action in Action::\"read\", resource in Resource::\"billing\");";
    let cases: &[(&str, Estate)] = &[
        ("two principals on one key", Estate::ours().principal("twin", "Job", "{source: github, key: [\"9001\", \"4711\"]}", "")),
        ("a principal on a key of a class", Estate::ours().document(
                "kind: Principal\nmetadata: {name: eve}\nspec: {kind: Human, id: \"human:people:boss\", owner: people-team, \
                 purpose: one, expires: 2027-05-01T00:00:00Z, bindings: [{source: people, key: [eve]}]}",
            )),
        ("one id twice", Estate::ours().replacing("spiffe://prod.acme.test/agents/dunning\n", "spiffe://prod.acme.test/ci/billing\n")),
        ("an unknown field", Estate::ours().replacing("maxAge: 10m", "maxage: 10m")),
        ("an unknown kind", Estate::ours().replacing("kind: PrincipalClass", "kind: PrincipalClas")),
        ("a reserved fact", Estate::ours().replacing("protected_ref: {", "approved: {")),
        ("a kind that its source does not prove", Estate::ours().replacing("kind: Agent\n", "kind: Partner\n")),
        ("two sources with one issuer", Estate::ours().replacing("\"https://issuer.acme.test/people\"", "https://issuer.acme.test/github")),
        ("a source that is not there", Estate::ours().replacing("[{source: platform, key", "[{source: platfrom, key")),
        ("an identity key that is too short", Estate::ours().replacing("key: [\"9001\", \"4711\"]", "key: [\"9001\"]")),
        ("a policy without an owner", Estate::ours().replacing("@owner(\"security\") ", "")),
        ("a policy that names who is not there", Estate::ours().replacing("Group::\"ci-billing\"", "Group::\"ci-biling\"")),
        ("a policy that names what is not there", Estate::ours().replacing("Resource::\"billing/invoices\");", "Resource::\"billing/invoice\");")),
        ("two policies of one id", Estate::ours().policy("ci-reads", permit)),
        ("a policy of a base action by name", Estate::ours().policy("by-name", &permit.replace("action in", "action =="))),
        ("a permit by protocol", Estate::ours().policy("by-protocol", &permit.replace(';', " when { context.protocol == \"http\" };"))),
        ("a policy of another type", Estate::ours().policy("typed", &permit.replace(';', " when { context.depth == \"1\" };"))),
        ("a policy that is none", Estate::ours().policy("none", "allow everybody;")),
        ("an operation of no resource", Estate::ours().route("{match: \"GET /x\", action: read, resource: billing/invoice}")),
        ("two operations for one request", Estate::ours().route("{match: \"GET /invoices/{id}\", action: read, resource: billing}")),
        ("a private key", Estate::ours().source("leak", "https://x.test", "RS256", &[serde_json::json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"})], "")),
        ("an algorithm of nobody", Estate::ours().replacing("algorithms: [RS256]", "algorithms: [HS256]")),
        ("an upstream that is not HTTP", Estate::ours().upstream("ftp://127.0.0.1:1")),
        ("an expiry too far away", Estate::ours().replacing("expires: 2027-05-01T00:00:00Z", "expires: 2099-01-01T00:00:00Z")),
    ];
    let mut text = String::new();
    for (name, estate) in cases {
        let (code, said) = said(estate);
        text.push_str(&format!("== {name}\n{said}\n"));
        assert_eq!(code, 3, "{name} loads:\n{said}");
    }
    golden("estate/mistakes.txt", &text);
}

#[test]
fn a_sound_estate_is_sound_and_the_examples_are() {
    assert_eq!(said(&Estate::ours()), (0, "the estate is sound\n".to_owned()));
    let folder = folder();
    let missing = run(&["check", "-f", folder.path().join("none").to_str().unwrap()], b"").ended(3);
    assert!(missing.err.contains("none"), "{missing:?}");
    run(&["check", "-f", folder.path().to_str().unwrap()], b"").ended(3);
    fs::write(folder.path().join("estate.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    let broken = run(&["check", "-f", folder.path().to_str().unwrap()], b"").ended(3);
    assert!(broken.out.contains("estate.yaml") || broken.err.contains("estate.yaml"), "{broken:?}");
}
