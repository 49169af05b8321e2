//! One credential, one caller, or a refusal.

use std::collections::BTreeSet;
use std::sync::Arc;

use credential::{CredentialKind, Finding, Revocable, Revocations, Standing};
use model::{Binding, Code, Digest, PrincipalId, PrincipalKind, Risk, Time};

use crate::{Access, BadTemplate, Class, Directory, Principal, Template, resolve_findings};

const NOW: Time = Time::from_unix_seconds(1_800_000_000);

fn principal(id: &str, kind: PrincipalKind) -> Principal {
    Principal {
        id: id.parse().unwrap(),
        kind,
        owner: "team".parse().unwrap(),
        purpose: "test".to_owned(),
        tenant: None,
        risk: Risk::Low,
        expires: None,
        groups: Arc::from([]),
    }
}

fn class(name: &str, source: &str, kind: PrincipalKind, template: &str, key: &[&str]) -> Class {
    Class {
        name: name.to_owned(),
        source: source.parse().unwrap(),
        kind,
        template: Template::new(template, key).unwrap(),
        owner: "team".parse().unwrap(),
        purpose: "test".to_owned(),
        tenant: None,
        risk: Risk::Low,
        groups: Arc::from([]),
    }
}

fn finding(source: &str, key: &[&str]) -> Finding {
    Finding {
        source: source.parse().unwrap(),
        kind: CredentialKind::Jwt,
        binding: Binding::Bearer,
        key: key.iter().map(|part| (*part).to_owned()).collect(),
        display: Vec::new(),
        facts: BTreeSet::new(),
        credential_id: "id".to_owned(),
        digest: Digest::new([0; 32]),
        issued: None,
        expires: None,
        until: NOW.plus(std::time::Duration::from_secs(60)),
        key_id: None,
        key_thumbprint: None,
    }
}

type Bound<'a> = (&'a str, PrincipalKind, &'a [(&'a str, &'a [&'a str])]);

fn directory(principals: &[Bound<'_>], classes: Vec<Class>) -> Result<Directory, Vec<String>> {
    let bindings = |list: &[(&str, &[&str])]| {
        let key = |key: &[&str]| key.iter().map(|part| (*part).to_owned()).collect();
        list.iter().map(|(source, parts)| (source.parse().unwrap(), key(parts))).collect()
    };
    let principals = principals.iter().map(|(id, kind, list)| (principal(id, *kind), bindings(list)));
    Directory::new(principals, classes).map_err(|all| all.iter().map(ToString::to_string).collect())
}

fn people() -> Class {
    class("people", "people", PrincipalKind::Human, "human:people:{sub}", &["sub"])
}

/// The id of who acts, or the code of the refusal.
fn resolved(directory: &Directory, channel: Option<Finding>, message: Option<Finding>, access: Access) -> String {
    match resolve_findings(
        directory,
        &Revocations::default(),
        channel.map(Arc::new),
        message.map(Arc::new),
        access,
        NOW,
    ) {
        Ok(resolution) => resolution.actor.id.to_string(),
        Err(why) => why.code().to_string(),
    }
}

#[test]
fn a_credential_is_one_principal_or_none() {
    const CI: Bound<'_> = ("spiffe://td/ci", PrincipalKind::Job, &[("github", &["9001", "4711"])]);
    let directory = directory(&[CI], vec![people()]).unwrap();
    for (source, key, expected) in [
        ("github", &["9001", "4711"][..], "spiffe://td/ci"),
        ("github", &["4711", "9001"], "principal_unknown"),
        ("github", &["9001"], "principal_unknown"),
        ("github", &["9001", "4711", ""], "principal_unknown"),
        ("github", &["90014711"], "principal_unknown"),
        ("gitlab", &["9001", "4711"], "principal_unknown"),
        ("people", &["alice"], "human:people:alice"),
        ("people", &["a/b"], "human:people:a%2Fb"),
        ("people", &[""], "principal_unknown"),
    ] {
        assert_eq!(
            resolved(&directory, None, Some(finding(source, key)), Access::Proved),
            expected,
            "{source} {key:?}"
        );
    }
}

#[test]
fn without_a_credential_only_a_public_operation_has_a_caller() {
    let directory = directory(&[], vec![people()]).unwrap();
    assert_eq!(resolved(&directory, None, None, Access::Proved), "credential_missing");
    assert_eq!(resolved(&directory, None, None, Access::Public), "anonymous");
    let alice = || Some(finding("people", &["alice"]));
    assert_eq!(resolved(&directory, None, alice(), Access::Public), "human:people:alice");
    let stranger = Some(finding("github", &["1"]));
    assert_eq!(resolved(&directory, None, stranger, Access::Public), "principal_unknown");
}

#[test]
fn neither_the_channel_nor_the_token_wins() {
    let directory = directory(
        &[
            ("spiffe://td/a", PrincipalKind::Workload, &[("x", &["a"]), ("y", &["a"])]),
            ("spiffe://td/b", PrincipalKind::Agent, &[("y", &["b"])]),
        ],
        vec![people()],
    )
    .unwrap();
    let channel = || Some(finding("x", &["a"]));
    for (message, expected) in [
        (finding("y", &["a"]), "spiffe://td/a"),
        (finding("y", &["b"]), "conflicting_credentials"),
        (finding("y", &["c"]), "principal_unknown"),
        (finding("people", &["alice"]), "kind_mismatch"),
    ] {
        assert_eq!(resolved(&directory, channel(), Some(message), Access::Proved), expected);
    }
}

#[test]
fn a_principal_is_refused_from_the_instant_it_expires() {
    let mut expiring = principal("spiffe://td/a", PrincipalKind::Workload);
    let binding = || vec![("x".parse().unwrap(), vec!["a".to_owned()])];
    for (expires, expected) in
        [(NOW, Err(Code::PrincipalExpired)), (Time::from_micros(NOW.as_micros() + 1), Ok("spiffe://td/a"))]
    {
        expiring.expires = Some(expires);
        let directory = Directory::new([(expiring.clone(), binding())], vec![]).unwrap();
        let resolution = resolve_findings(
            &directory,
            &Revocations::default(),
            None,
            Some(finding("x", &["a"]).into()),
            Access::Proved,
            NOW,
        );
        match resolution {
            Ok(resolution) => {
                assert_eq!(Ok(resolution.actor.id.as_str()), expected);
                assert_eq!(resolution.until, expires, "nothing outlives the principal");
            }
            Err(why) => assert_eq!(Err(why.code()), expected),
        }
    }
}

#[test]
fn overlap_is_found_when_an_estate_loads() {
    const A: Bound<'_> = ("spiffe://td/a", PrincipalKind::Workload, &[("x", &["1"])]);
    const B: Bound<'_> = ("spiffe://td/b", PrincipalKind::Workload, &[("x", &["1"])]);
    const FREE: Bound<'_> = ("spiffe://td/a", PrincipalKind::Workload, &[]);
    let jobs = |name, source, template| class(name, source, PrincipalKind::Job, template, &["id"]);
    let cases: Vec<(Vec<Bound<'_>>, Vec<Class>, &str)> = vec![
        (vec![A, B], vec![], "`spiffe://td/a` and `spiffe://td/b` are bound to one key of source `x`"),
        (vec![FREE, FREE], vec![], "two principals have the id `spiffe://td/a`"),
        (
            vec![A],
            vec![jobs("all", "x", "spiffe://td/all/{id}")],
            "`spiffe://td/a` is bound to source `x`, all of whose keys fall under class `all`",
        ),
        (
            vec![],
            vec![jobs("one", "x", "spiffe://td/one/{id}"), jobs("two", "x", "spiffe://td/two/{id}")],
            "classes `one` and `two` both take every key of source `x`",
        ),
        (
            vec![FREE],
            vec![jobs("all", "y", "spiffe://td/{id}")],
            "class `all` could make `spiffe://td/a`, which is a principal of its own",
        ),
        (
            vec![],
            vec![jobs("one", "x", "spiffe://td/j/{id}"), jobs("two", "y", "spiffe://td/j/{id}")],
            "classes `one` and `two` could make one id",
        ),
        (
            vec![],
            vec![jobs("one", "x", "spiffe://td/j-{id}"), jobs("two", "y", "spiffe://td/{id}-k")],
            "classes `one` and `two` could make one id",
        ),
    ];
    for (principals, classes, expected) in cases {
        assert_eq!(directory(&principals, classes).unwrap_err(), [expected]);
    }
    let apart = vec![jobs("one", "x", "spiffe://td/j/{id}"), jobs("two", "y", "spiffe://td/k/{id}")];
    assert!(directory(&[A], vec![]).is_ok() && directory(&[], apart).is_ok());
}

#[test]
fn a_class_makes_exactly_the_ids_of_its_template() {
    let directory = directory(&[], vec![people()]).unwrap();
    let kind = |id: &str| directory.principal(&id.parse::<PrincipalId>().unwrap()).map(|principal| principal.kind);
    assert_eq!(kind("human:people:alice"), Some(PrincipalKind::Human));
    assert_eq!(kind("human:people:alice:x"), None);
    assert_eq!(kind("human:other:alice"), None);
    assert_eq!(kind("spiffe://td/people/alice"), None);
}

#[test]
fn a_template_gives_different_ids_for_different_keys_or_does_not_load() {
    let make = |text: &str, key: &[&str]| Template::new(text, key);
    let two = make("spiffe://td/ci/{owner}/{repo}", &["owner", "repo"]).unwrap();
    let fill = |key: [&str; 2]| two.fill(&key.map(str::to_owned)).map(|id| id.to_string());
    assert_eq!(fill(["9001", "4711"]).unwrap(), "spiffe://td/ci/9001/4711");
    for key in [["a/b", "c"], ["", "c"], ["..", "c"], ["a%2fb", "c"], ["é", "c"], ["a b", "c"], ["%", "c"]] {
        assert_eq!(fill(key), None, "{key:?}");
    }
    let spiffe = |text| make(text, &["sub"]).unwrap_err().to_string();
    for (text, expected) in [
        (
            "spiffe://td/ci",
            "`{sub}` has to stand in the template exactly once, so that different keys give different ids",
        ),
        (
            "spiffe://td/{sub}/{sub}",
            "`{sub}` has to stand in the template exactly once, so that different keys give different ids",
        ),
        ("spiffe://td/{other}", "`{other}` is not one of the source's `identityKey` claims"),
        ("spiffe://{sub}/x", "a claim cannot stand in the trust domain"),
        ("human:{sub}:x", "a claim cannot stand in the trust domain"),
        ("spiffe://td/{sub", "`spiffe://td/{sub`: a `{` or `}` without its pair"),
        ("spiffe://td/sub}", "`spiffe://td/sub}`: a `{` or `}` without its pair"),
        ("alice/of/people/{sub}", "the template does not make ids"),
    ] {
        assert_eq!(spiffe(text), expected, "{text}");
    }
    assert_eq!(make("spiffe://td/{a}-{b}", &["a", "b"]), Err(BadTemplate::SharedSegment));
}

#[test]
fn a_revoked_principal_is_nobody_until_it_is_restored_for_what_is_issued_later() {
    let bound: Bound<'_> = ("spiffe://prod.acme.test/a", PrincipalKind::Job, &[("x", &["a"])]);
    let directory = directory(&[bound], vec![]).unwrap();
    let id: PrincipalId = "spiffe://prod.acme.test/a".parse().unwrap();
    let code = |standing: Standing, issued: Option<Time>| {
        let revocations = Revocations::new(1, [(Revocable::Principal(id.clone()), NOW, standing)]);
        let message = Finding { issued, ..finding("x", &["a"]) };
        let found = resolve_findings(&directory, &revocations, None, Some(message.into()), Access::Proved, NOW);
        found.map_or_else(|why| format!("{}: {why}", why.code()), |resolution| resolution.actor.id.to_string())
    };
    let refused = "revoked: principal `spiffe://prod.acme.test/a` is revoked";
    let later = NOW.plus(std::time::Duration::from_micros(1));
    assert_eq!(code(Standing::Revoked, Some(later)), refused);
    assert_eq!(code(Standing::Restored, Some(later)), id.as_str());
    assert_eq!(code(Standing::Restored, Some(NOW)), refused);
    assert_eq!(code(Standing::Restored, None), refused);
}
