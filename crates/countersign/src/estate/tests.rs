//! Estates that do not load, in exact words; and bytes that are no estate.

mod bundle;
mod environments;
mod federations;
mod lint;
mod node_sources;
mod openapi;
mod principals;
mod schema;
mod services;
mod settings;
mod sources;

use std::collections::BTreeMap;

use model::Time;

use super::{Bundle, Change, Estate, Problem, Vars, changes, load};

const QUICKSTART: &str = include_str!("../../../../examples/quickstart/estate.yaml");
const POLICY: &str = include_str!("../../../../examples/quickstart/billing.cedar");
/// A key of nobody, for sources whose keys do not matter here.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fn now() -> Time {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

fn dev() -> Vars {
    let pair = |name: &str| (name.to_owned(), "http://127.0.0.1:7".to_owned());
    Vars::Dev(BTreeMap::from([pair("DEV_ISSUER"), pair("DEV_UPSTREAM")]))
}

fn bundle(yaml: &str, cedar: &str) -> Bundle {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    Bundle::new([file("estate.yaml", yaml), file("billing.cedar", cedar), file("keys/platform.jwks.json", KEYS)])
}

fn loaded(yaml: &str) -> Result<Estate, Vec<Problem>> {
    load(&bundle(yaml, POLICY), &dev(), &[], None, now())
}

/// The problems of an estate, one a line.
#[track_caller]
fn check(yaml: &str, expected: &str) {
    let found = match loaded(yaml) {
        Ok(_) => String::new(),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
    };
    assert_eq!(found.trim_end(), expected.trim());
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The quickstart with `change`d text, which has to be in it.
fn quickstart(from: &str, to: &str) -> String {
    assert!(QUICKSTART.contains(from), "`{from}` is not in the quickstart");
    QUICKSTART.replacen(from, to, 1)
}

fn and(document: &str) -> String {
    format!("{QUICKSTART}---\n{document}")
}

#[test]
fn the_quickstart_loads() {
    let estate = loaded(QUICKSTART).map_err(|problems| problems[0].to_string()).unwrap();
    assert_eq!(estate.environment.trust_domain.as_str(), "prod.acme.test");
    assert_eq!(estate.sources.len(), 3);
    assert_eq!(estate.principals["dunning"].as_str(), "spiffe://prod.acme.test/agents/dunning");
    assert_eq!(estate.services[0].routes.iter().count(), 4);
    assert!(estate.documents.contains_key(&("Policy".to_owned(), "ci-reads".to_owned())));
}

#[test]
fn an_unknown_field_is_an_error_with_a_suggestion() {
    check(
        &quickstart("trustDomain:", "trustDomian:"),
        "estate.yaml:5:3: Environment: `trustDomain` is missing
estate.yaml:5:3: Environment: unknown field `trustDomian`
  help: did you mean `trustDomain`?",
    );
    check(
        &quickstart("    maxAge: 10m\n    dangerously", "    maxAgee: 10m\n    dangerously"),
        "estate.yaml:20:5: oidc: unknown field `maxAgee`
  help: did you mean `maxAge`?",
    );
    check(
        &quickstart("kind: Environment", "kind: Enviroment"),
        "estate.yaml:2:7: unknown kind `Enviroment`
  help: did you mean `Environment`?",
    );
}

#[test]
fn an_environment_says_to_how_many_policies_a_question_may_be_put() {
    let with = |policy: &str| {
        quickstart("  trustDomain: prod.acme.test\n", &format!("  trustDomain: prod.acme.test\n  policy: {policy}\n"))
    };
    let most = |yaml: &str| loaded(yaml).map_err(|problems| problems[0].to_string()).unwrap().engine.most_candidates();
    // what is counted is a bound; it is as tight as the limit needs it to be
    assert_eq!((most(QUICKSTART), most(&with("{maxCandidates: 2}"))), (3, 2));
    check(&with("{maxCandidates: 0}"), "estate.yaml:6:27: `maxCandidates` is a number from 1 to 1000000");
    check(&with("{maxCandidates: many}"), "estate.yaml:6:27: `maxCandidates` is a number from 1 to 1000000");
    check(
        &with("{maxCandidates: 1}"),
        "billing.cedar:1:1: one question would be put to 2 policies, at most 1 may be: a `Job` in `ci-billing` asking for `read` on `billing/invoices`; they are `ci-reads`, `jobs-need-protected-ref`
  help: narrow their scopes by principal, action or resource, or raise `policy.maxCandidates` of the Environment",
    );
}

#[test]
fn two_principals_on_one_key_do_not_load() {
    let twin = "apiVersion: countersign.dev/v1
kind: Principal
metadata: {name: twin}
spec:
  kind: Job
  id: spiffe://prod.acme.test/ci/twin
  owner: team-billing
  purpose: same key
  bindings: [{source: github, key: [\"9001\", \"4711\"]}]
";
    let at = QUICKSTART.lines().count() + 2;
    check(
        &and(twin),
        &format!(
            "estate.yaml:{at}:1: `spiffe://prod.acme.test/ci/billing` and `spiffe://prod.acme.test/ci/twin` are bound to one key of source `github`"
        ),
    );
}

#[test]
fn a_reserved_fact_cannot_be_declared() {
    check(
        &quickstart("protected_ref:", "sender_bound:"),
        "estate.yaml:25:5: `sender_bound` is a fact that only Countersign establishes",
    );
}

#[test]
fn names_are_declared_before_they_are_used() {
    check(
        &quickstart("source: github, key", "source: githbu, key"),
        "estate.yaml:66:23: `githbu` is not a trust source here
  help: did you mean `github`?",
    );
    check(
        &quickstart("action: write, resource: billing/invoices}", "action: wrote, resource: billing/invoice}"),
        "estate.yaml:106:41: `wrote` is not an action here
  help: did you mean `write`?
estate.yaml:106:58: `billing/invoice` is not a resource here
  help: did you mean `billing/invoices`?",
    );
}

#[test]
fn yaml_that_two_readers_could_see_differently_does_not_load() {
    let with = |spec: &str| {
        format!("apiVersion: countersign.dev/v1\nkind: Environment\nmetadata: {{name: a}}\nspec: {spec}\n")
    };
    check(&with("{trustDomain: a, trustDomain: b}"), "estate.yaml:4:24: key `trustDomain` stands here twice");
    check(&with("&x {trustDomain: a}"), "estate.yaml:4:7: anchors and aliases are not accepted: write the value out");
    check(&with("{trustDomain: !!str a}"), "estate.yaml:4:21: tags are not accepted");
    check(&with("{[a]: b}"), "estate.yaml:4:8: a key has to be a word");
    check(&with(&"[".repeat(70)), "estate.yaml:4:70: values are nested deeper than 64");
}

#[test]
fn a_number_stays_the_text_that_it_was() {
    let estate = loaded(&quickstart("\"4711\"", "004711")).map_err(|problems| problems[0].to_string()).unwrap();
    let finding = |key: &str| credential_key(&estate, key);
    assert!(finding("004711") && !finding("4711"));
}

/// Whether (9001, `repository`) of source `github` is somebody.
fn credential_key(estate: &Estate, repository: &str) -> bool {
    let finding = credential::Finding {
        source: "github".parse().unwrap(),
        kind: credential::CredentialKind::Jwt,
        binding: model::Binding::Bearer,
        key: vec!["9001".to_owned(), repository.to_owned()],
        display: Vec::new(),
        facts: std::collections::BTreeSet::new(),
        credential_id: "id".to_owned(),
        digest: model::Digest::new([0; 32]),
        issued: None,
        expires: None,
        until: Time::MAX,
        key_id: None,
        key_thumbprint: None,
    };
    let none = credential::Revocations::default();
    let message = Some(finding.into());
    identity::resolve_findings(&estate.directory, &none, None, message, identity::Access::Proved, now()).is_ok()
}

#[test]
fn dev_addresses_are_for_dev_alone() {
    let problems = load(&bundle(QUICKSTART, POLICY), &Vars::Refused, &[], None, now()).err().unwrap();
    assert!(problems.iter().any(|problem| problem.message == "only `dev` knows what `${DEV_ISSUER}` is"));
    let estate = load(&bundle(QUICKSTART, POLICY), &Vars::Noted, &[], None, now()).ok().unwrap();
    let notes: Vec<_> = estate.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes[0], "estate.yaml:15:13: `${DEV_ISSUER}` is served by `dev` alone");
    check(
        &quickstart("${DEV_UPSTREAM}", "${DEV_UPSTRAEM}"),
        "estate.yaml:102:19: `dev` has no `${DEV_UPSTRAEM}`
  help: did you mean `DEV_UPSTREAM`?",
    );
}

#[test]
fn a_key_set_with_a_private_key_does_not_load() {
    let inline = |members: &str| {
        quickstart(
            "{file: keys/platform.jwks.json}",
            &format!("{{inline: {{keys: [{{kty: EC, crv: P-256, {members}}}]}}}}"),
        )
    };
    let point = "x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    check(&inline(point), "");
    let private = inline(&format!("{point}, d: jpsQnnGQmL-YBIffH1136cspYG6-0iY7X5fCE9-E9LI"));
    let problems = loaded(&private).err().unwrap();
    assert!(problems[0].message.starts_with("not a key set that can be used: "), "{}", problems[0]);
}

#[test]
fn a_principal_is_looked_at_again_within_two_years() {
    check(
        &quickstart("expires: 2027-05-01T00:00:00Z", "expires: 2029-05-01T00:00:00Z"),
        "estate.yaml:83:12: `2029-05-01T00:00:00.000000Z` is more than two years ahead; a principal is looked at again before that",
    );
}

#[test]
fn an_id_is_of_the_environment_and_of_its_kind() {
    check(
        &quickstart("id: spiffe://prod.acme.test/ci/billing", "id: spiffe://staging.acme.test/ci/billing"),
        "estate.yaml:59:7: `spiffe://staging.acme.test/ci/billing` is not of this environment's trust domain `prod.acme.test`",
    );
    check(
        &quickstart("id: \"human:people:{sub}\"", "id: \"human:others:{sub}\""),
        "estate.yaml:52:41: `human:others:{sub}`: humans of source `people` have ids that start with `human:people:`",
    );
}

#[test]
fn a_child_resource_is_never_less_strict() {
    check(
        &quickstart("billing/invoices: {}", "billing/invoices: {tiers: {effect: routine}}"),
        "estate.yaml:94:40: `billing/invoices`: `effect` is critical above it, and the strictest wins; routine would not hold",
    );
    check(
        &quickstart("read: routine, write: routine, administer", "read: routine, administer"),
        "estate.yaml:93:5: `billing` is a root and names a tier for every action; write missing",
    );
}

#[test]
fn a_plan_names_what_changes() {
    let before = loaded(QUICKSTART).ok().unwrap().documents;
    let after = loaded(&quickstart("risk: medium\n  expires: 2027-11", "risk: high\n  expires: 2027-11")).ok().unwrap();
    let shown = |list: Vec<Change>| {
        list.iter().map(|one| format!("{:?} {} {}", one.change, one.kind, one.name)).collect::<Vec<_>>()
    };
    assert_eq!(shown(changes(&before, &after.documents)), ["Changed Principal billing-ci"]);
    let moved = loaded(&format!("# a comment\n{QUICKSTART}")).ok().unwrap();
    assert!(changes(&before, &moved.documents).is_empty());
    assert_eq!(changes(&BTreeMap::new(), &before).len(), before.len());
}

#[test]
fn a_policy_is_refused_at_its_place() {
    let refusal = |from: &str, to: &str| {
        assert!(POLICY.contains(from), "`{from}` is not in the policies");
        let problems =
            load(&bundle(QUICKSTART, &POLICY.replacen(from, to, 1)), &dev(), &[], None, now()).err().unwrap();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        refusal(" @owner(\"team-billing\")", ""),
        "billing.cedar:1:1: the policy has no `@owner(\"…\")`
  help: every policy has an `@id`, an `@owner` and a `@purpose`, before `permit` or `forbid`",
    );
    assert_eq!(
        refusal("Agent::\"spiffe://prod.acme.test/agents/dunning", "Agent::\"spiffe://prod.acme.test/agents/duning"),
        "billing.cedar:8:22: the estate declares no `Agent::\"spiffe://prod.acme.test/agents/duning\"`"
    );
    assert_eq!(
        refusal("contains(\"task_capability\")", "contains(\"task_capabilty\")"),
        "billing.cedar:12:34: no trust source of the estate establishes the fact `task_capabilty`
  help: did you mean `task_capability`?",
    );
}

#[test]
fn an_answer_is_never_much_longer_than_its_estate() {
    let fields: String = (0..2_000).map(|index| format!("  field{index}: x\n")).collect();
    let problems = loaded(&quickstart("  trustDomain:", &format!("{fields}  trustDomain:"))).err().unwrap();
    assert_eq!(problems.len(), 1_000);
}

#[test]
fn no_bytes_make_the_loader_panic() {
    testkit::mutate(QUICKSTART.as_bytes(), 1_500, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        // whatever it says of them: that it says something is the point
        let _ = loaded(text);
    });
}

#[test]
fn a_path_never_leaves_the_estate() {
    use super::bundle::beside;
    assert_eq!(beside("estate.yaml", "keys/a.json").as_deref(), Some("keys/a.json"));
    assert_eq!(beside("a/b/estate.yaml", "../keys/a.json").as_deref(), Some("a/keys/a.json"));
    for name in ["../a.json", "/etc/passwd", "keys/../../a", "..\\a"] {
        assert_eq!(beside("estate.yaml", name), None, "{name}");
    }
}
