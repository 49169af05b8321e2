//! Federations that do not load, in exact words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use testkit::TestCa;

use super::super::{Bundle, Server, Vars, load};
use super::{now, told};

const ESTATE: &str = "apiVersion: countersign.dev/v1
kind: Environment
metadata: {name: production}
spec: {trustDomain: prod.acme.test}
---
apiVersion: countersign.dev/v1
kind: Federation
metadata: {name: other}
spec:
";
const WEB: &str = "  trustDomain: other.test
  endpoint: {url: \"https://other.test/bundle\", profile: https_web}
";
const SPIFFE: &str = "  trustDomain: other.test
  endpoint: {url: \"https://other.test/bundle\", profile: https_spiffe, spiffeId: \"spiffe://other.test/server\"}
  bootstrap: {file: other.json}
";

fn bundle(of: &str) -> String {
    let certificate = STANDARD.encode(TestCa::new(of, now(), |_| {}).certificate());
    format!(r#"{{"keys":[{{"use":"x509-svid","kty":"EC","x5c":["{certificate}"]}}]}}"#)
}

fn estate(spec: &str) -> Bundle {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    Bundle::new([
        file("estate.yaml", &format!("{ESTATE}{spec}")),
        file("other.json", &bundle("other.test")),
        file("evil.json", &bundle("evil.test")),
        file("none.json", "{}"),
    ])
}

#[track_caller]
fn check(spec: &str, expected: &str) {
    let found = load(&estate(spec), &Vars::Refused, &[], None, now()).err().unwrap_or_default();
    assert_eq!(told(&found), expected);
}

#[test]
fn both_profiles_load() {
    let loaded = |spec: &str| load(&estate(spec), &Vars::Refused, &[], None, now()).unwrap().federations.remove(0);
    let (web, spiffe) = (loaded(WEB), loaded(SPIFFE));
    assert_eq!((web.server, web.refresh), (Server::Web, None));
    assert!(matches!(spiffe.server, Server::Spiffe { id, .. } if id.as_str() == "spiffe://other.test/server"));
    assert_ne!(web.terms, spiffe.terms);
    let slower = loaded(&format!("{WEB}  refresh: 1h\n"));
    assert_eq!(slower.terms, web.terms, "what was had still counts");
}

#[test]
fn nothing_is_inferred() {
    check(
        "  {}\n",
        "estate.yaml:10:3: Federation: `endpoint` is missing\nestate.yaml:10:3: Federation: `trustDomain` is missing",
    );
    check(&WEB.replace(", profile: https_web", ""), "estate.yaml:11:13: endpoint: `profile` is missing");
    check(
        &WEB.replace("https_web", "https"),
        "estate.yaml:11:57: `https` is no profile: expected `https_web` or `https_spiffe`",
    );
    check(
        &WEB.replace("https_web", "https_spiffe"),
        "estate.yaml:11:57: `https_spiffe` needs the `spiffeId` of the server",
    );
    check(
        &SPIFFE.replace("  bootstrap: {file: other.json}\n", ""),
        "estate.yaml:6:1: `https_spiffe` needs a `bootstrap`: by it the server is known before its bundle is had",
    );
}

#[test]
fn what_is_of_one_profile_is_not_written_under_the_other() {
    check(
        &SPIFFE.replace("https_spiffe", "https_web"),
        "estate.yaml:11:78: `spiffeId` is for `https_spiffe`: a server of `https_web` is known by its name",
    );
    check(
        &format!("{WEB}  bootstrap: {{file: other.json}}\n"),
        "estate.yaml:12:14: `bootstrap` is for `https_spiffe`: a server of `https_web` is known by its name",
    );
    check(
        &SPIFFE.replace("profile: https_spiffe", "profile: https_spiffe, ca: other.json"),
        "estate.yaml:11:75: `ca` is for `https_web`: a server of `https_spiffe` is known by its SVID",
    );
}

#[test]
fn a_bundle_is_had_over_tls_from_where_the_url_says() {
    for (url, words) in [
        ("http://other.test/bundle", "`http://other.test/bundle`: expected `https://`"),
        (
            "https://me@other.test/",
            "`https://me@other.test/`: expected a host, perhaps a port, and neither user nor fragment",
        ),
        (
            "https://127.0.0.1/",
            "`https://127.0.0.1/`: 127.0.0.1 is a loopback address; write `dangerouslyAllowPrivateAddresses: true` if that is meant",
        ),
    ] {
        check(&WEB.replace("https://other.test/bundle", url), &format!("estate.yaml:11:19: {words}"));
    }
    check(&format!("{WEB}  refresh: 100ms\n"), "estate.yaml:12:12: `refresh` lies between 1 s and 24 h");
}

#[test]
fn a_federation_is_with_one_other_trust_domain() {
    check(
        &WEB.replace("trustDomain: other.test", "trustDomain: prod.acme.test"),
        "estate.yaml:10:16: `prod.acme.test` is this environment's own trust domain",
    );
    check(
        &SPIFFE.replace("spiffe://other.test/server", "spiffe://third.test/server"),
        "estate.yaml:11:81: `spiffe://third.test/server` is no service of the `trustDomain` whose bundle it serves",
    );
    let twice =
        format!("{WEB}---\napiVersion: countersign.dev/v1\nkind: Federation\nmetadata: {{name: again}}\nspec:\n{WEB}");
    check(&twice, "estate.yaml:17:16: Federation `other` is with `other.test` already");
}

#[test]
fn a_bootstrap_is_a_bundle_of_that_trust_domain() {
    for (file, words) in [
        ("evil.json", "the bootstrap has no authority of X.509-SVIDs of `other.test`"),
        (
            "none.json",
            "not a SPIFFE bundle that can be used: expected a JSON object with an array `keys` (SPIFFE_Trust_Domain_and_Bundle.md §4.1.3)",
        ),
    ] {
        check(&SPIFFE.replace("other.json", file), &format!("estate.yaml:12:14: {words}"));
    }
    check(
        &SPIFFE.replace("other.json", "absent.json"),
        "estate.yaml:12:21: the estate has no file `absent.json` beside `estate.yaml`",
    );
    check(&SPIFFE.replace("other.json", "../other.json"), "estate.yaml:12:21: `../other.json` lies outside the estate");
}
