//! Several environments in one estate: each is loaded by itself, and nothing of another is seen in it.

use std::path::Path;

use super::super::document::pages;
use super::super::environment::Environments;
use super::super::{Bundle, Estate, Finding, Severity, Vars, lint, load, load_all};
use super::now;

/// Two environments, with a source and a principal of one name in each.
const YAML: &str = "\
apiVersion: countersign.dev/v1
kind: Environment
metadata: {name: production}
spec: {trustDomain: prod.acme.test}
---
apiVersion: countersign.dev/v1
kind: Environment
metadata: {name: staging}
spec: {trustDomain: staging.acme.test}
---
apiVersion: countersign.dev/v1
kind: Principal
metadata: {name: reporter, environment: production}
spec: {kind: Workload, id: spiffe://prod.acme.test/reporter, owner: a, purpose: a}
---
apiVersion: countersign.dev/v1
kind: Principal
metadata: {name: reporter, environment: staging}
spec: {kind: Workload, id: spiffe://staging.acme.test/reporter, owner: a, purpose: a}
---
apiVersion: countersign.dev/v1
kind: Group
metadata: {name: readers, environment: staging}
spec: {members: [reporter]}
";

const CEDAR: &str = "\
@id(\"all\") @owner(\"a\") @purpose(\"a\") @environment(\"production\")
permit (principal == Workload::\"spiffe://prod.acme.test/reporter\", action, resource);
@id(\"all\") @owner(\"a\") @purpose(\"a\") @environment(\"staging\")
permit (principal in Group::\"readers\", action, resource);
";

fn files(files: &[(&str, &str)]) -> Bundle {
    Bundle::new(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
}

fn two(from: &str, to: &str) -> Bundle {
    let (yaml, cedar) = (YAML.replacen(from, to, 1), CEDAR.replacen(from, to, 1));
    assert!(from.is_empty() || yaml != YAML || cedar != CEDAR, "`{from}` is in neither file");
    files(&[("estate.yaml", &yaml), ("a.cedar", &cedar)])
}

/// The problems of one environment, or of all, one a line.
fn problems(bundle: &Bundle, environment: Option<&str>) -> String {
    let found = match environment {
        Some(_) => load(bundle, &Vars::Refused, &[], environment, now()).map(drop),
        None => load_all(bundle, &Vars::Refused, &[], now()).map(drop),
    };
    let problems = found.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What is wrong with an estate, told once by a check of all, and in every environment that it concerns.
#[track_caller]
fn check(bundle: &Bundle, concerned: &[&str], expected: &str) {
    assert_eq!(problems(bundle, None), expected);
    for name in ["production", "staging"] {
        let expected = if concerned.contains(&name) { expected } else { "" };
        assert_eq!(problems(bundle, Some(name)), expected, "{name}");
    }
}

#[test]
fn an_environment_has_its_own_documents_and_policies_and_no_others() {
    let alone = |name| load(&two("", ""), &Vars::Refused, &[], Some(name), now()).ok().unwrap();
    let shown = |estate: &Estate| {
        let keys = estate.documents.keys().map(|(kind, name)| format!("{kind} {name}"));
        (estate.principals["reporter"].to_string(), keys.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(
        shown(&alone("production")),
        (
            "spiffe://prod.acme.test/reporter".to_owned(),
            "Environment production, Policy all, Principal reporter".to_owned()
        )
    );
    assert_eq!(
        shown(&alone("staging")),
        (
            "spiffe://staging.acme.test/reporter".to_owned(),
            "Environment staging, Group readers, Policy all, Principal reporter".to_owned()
        )
    );
    let stranger = "spiffe://staging.acme.test/reporter".parse().unwrap();
    assert!(alone("production").directory.principal(&stranger).is_none());
}

#[test]
fn one_of_several_environments_is_chosen_by_name() {
    let told = |bundle: &Bundle, name| {
        let problems = load(bundle, &Vars::Refused, &[], name, now()).err().unwrap();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        told(&two("", ""), None),
        "estate.yaml:8:18: the estate has several environments: `production`, `staging`
  help: choose one with --environment NAME, of an offline verb or of the server that is to serve it"
    );
    assert_eq!(
        told(&two("", ""), Some("prod")),
        "estate.yaml:8:18: the estate has no environment `prod`\n  help: it has `production`, `staging`"
    );
    let one = files(&[("estate.yaml", YAML.split_once("---").unwrap().0)]);
    assert_eq!(
        told(&one, Some("staging")),
        "estate.yaml:3:18: the estate has no environment `staging`\n  help: it has `production`"
    );
    for name in [None, Some("production")] {
        assert!(load(&one, &Vars::Refused, &[], name, now()).is_ok());
    }
}

#[test]
fn every_document_says_of_which_of_several_environments_it_is() {
    let both = &["production", "staging"];
    check(
        &two("{name: readers, environment: staging}", "{name: readers}"),
        both,
        "estate.yaml:21:1: `metadata.environment` is missing: the estate has several environments
  help: say which one it is of: `production` or `staging`",
    );
    check(
        &two("environment: production}", "environment: prodction}"),
        both,
        "estate.yaml:13:41: environment `prodction` is not declared here\n  help: did you mean `production`?",
    );
    check(
        &two("{name: staging}", "{name: staging, environment: production}"),
        &["staging"],
        "estate.yaml:8:40: environment `staging` is of no other one",
    );
    check(
        &two("@environment(\"production\")", ""),
        both,
        "a.cedar:1:1: the policy has no `@environment(\"…\")`, and the estate has several environments
  help: say which one it is for: `@environment(\"production\")` or `@environment(\"staging\")`",
    );
}

#[test]
fn what_is_wrong_in_one_environment_keeps_no_other_from_loading() {
    check(
        &two("members: [reporter]", "members: [reproter]"),
        &["staging"],
        "estate.yaml:24:18: `reproter` is neither a principal, a class nor a group here\n  help: did you mean `reporter`?",
    );
    check(
        &two("Group::\"readers\"", "Group::\"reader\""),
        &["staging"],
        "a.cedar:4:22: the estate declares no `Group::\"reader\"`\n  help: did you mean `Group::\"readers\"`?",
    );
    check(
        &two("spec: {members", "sepc: {members"),
        &["staging"],
        "estate.yaml:21:1: document: `spec` is missing
estate.yaml:24:1: document: unknown field `sepc`\n  help: did you mean `spec`?",
    );
    check(
        &two(
            "purpose: a}\n---\napiVersion: countersign.dev/v1\nkind: Group",
            "purpose: \"${DEV_ISSUER}\"}\n---\napiVersion: countersign.dev/v1\nkind: Group",
        ),
        &["staging"],
        "estate.yaml:19:84: only `dev` knows what `${DEV_ISSUER}` is\n  help: write the value",
    );
}

#[test]
fn a_trust_domain_and_what_is_in_it_are_of_one_environment() {
    check(
        &two("trustDomain: staging.acme.test", "trustDomain: prod.acme.test"),
        &["production", "staging"],
        "estate.yaml:9:21: `prod.acme.test` is the trust domain of environment `production` already
  help: an environment is a world of its own, and so is its trust domain",
    );
    check(
        &two("id: spiffe://prod.acme.test/reporter", "id: spiffe://staging.acme.test/reporter"),
        &["production"],
        "estate.yaml:14:28: `spiffe://staging.acme.test/reporter` is not of this environment's trust domain `prod.acme.test`",
    );
}

#[test]
fn a_document_that_is_in_no_environment_is_never_passed_over() {
    let twice = format!("{YAML}---\n{}", YAML.split("---\n").nth(1).unwrap());
    check(
        &files(&[("estate.yaml", &twice), ("a.cedar", CEDAR)]),
        &["staging"],
        "estate.yaml:28:18: Environment `staging` is declared at estate.yaml:8 already",
    );
    let nameless = two("{name: staging}", "{name: Staging}");
    let told = "estate.yaml:8:18: `Staging`: expected lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit
estate.yaml:18:41: environment `staging` is not declared here
estate.yaml:23:40: environment `staging` is not declared here";
    assert_eq!(problems(&nameless, None), told);
    assert_eq!(problems(&nameless, Some("production")), told);
}

#[test]
fn no_bytes_hide_a_page_from_every_environment() {
    testkit::mutate(YAML.as_bytes(), 2_000, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok((pages, _)) = pages(&files(&[("estate.yaml", text)])) else { return };
        let all = Environments::of(&pages).all();
        assert!(pages.iter().all(|page| all.iter().any(|choice| choice.takes(page))), "{text}");
    });
}

#[test]
fn the_example_of_two_environments_loads_and_leaves_little_to_look_at() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/two-environments"));
    let bundle = Bundle::read(folder).unwrap();
    let estates = load_all(&bundle, &Vars::Refused, &[], now()).map_err(|problems| problems[0].to_string()).unwrap();
    let names: Vec<_> = estates.iter().map(|estate| estate.environment.name.to_string()).collect();
    assert_eq!(names, ["production", "staging"]);
    assert!(lint(&estates, &bundle).iter().all(|finding| finding.severity == Severity::Note));
}

#[test]
fn a_token_that_is_a_credential_in_two_environments_is_pointed_out() {
    let source = |environment: &str, audiences: &str| {
        format!(
            "---\napiVersion: countersign.dev/v1\nkind: TrustSource\nmetadata: {{name: ci, environment: {environment}}}\n\
             spec: {{proves: [Job], identityKey: [sub], oidc: {{issuer: \"https://ci.test\", audiences: {audiences}, \
             algorithms: [RS256], jwks: {{url: \"https://ci.test/jwks\"}}}}}}\n"
        )
    };
    let found = |staging: &str| {
        let yaml = format!("{YAML}{}{}", source("production", "[a, b]"), source("staging", staging));
        let bundle = files(&[("estate.yaml", &yaml), ("a.cedar", CEDAR)]);
        let estates =
            load_all(&bundle, &Vars::Refused, &[], now()).map_err(|problems| problems[0].to_string()).unwrap();
        let warning = |finding: Finding| (finding.severity == Severity::Warning).then(|| finding.problem.to_string());
        lint(&estates, &bundle).into_iter().filter_map(warning).collect::<Vec<_>>()
    };
    assert_eq!(
        found("[c, b]"),
        ["estate.yaml:31:1: a token of issuer `https://ci.test` for `b` is a credential in `staging` and in `production`
  help: give each environment an audience of its own"]
    );
    assert_eq!(found("[c]"), [""; 0]);
}

#[test]
fn an_api_that_only_another_environment_describes_is_no_stray_file() {
    let service = "---\napiVersion: countersign.dev/v1\nkind: Service\nmetadata: {name: api, environment: staging}\n\
                   spec: {hosts: [a.test], upstream: {url: \"http://127.0.0.1:1\"}, openapi: {file: api.yaml, unmapped: refuse}}\n";
    let bundle = |yaml: &str| {
        files(&[("estate.yaml", yaml), ("a.cedar", CEDAR), ("api.yaml", "openapi: 3.1.0\npaths: {/a: {get: {}}}\n")])
    };
    check(&bundle(&format!("{YAML}{service}")), &[], "");
    check(
        &bundle(YAML),
        &["production", "staging"],
        "api.yaml:1:1: an OpenAPI file that no Service names\n  help: name it: `openapi: {file: …}` in the Service that it describes",
    );
}
