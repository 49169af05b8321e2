//! Environments and trust sources that do not load, in exact words.

use credential::CredentialCache;

use super::super::{Jwks, Vars, load};
use super::{POLICY, QUICKSTART, bundle, check, loaded, now, quickstart};

/// The quickstart without an address that only `dev` knows.
fn written_out() -> String {
    QUICKSTART
        .replace("${DEV_ISSUER}", "https://issuer.test")
        .replace("${DEV_UPSTREAM}", "http://127.0.0.1:1")
        .replace("    dangerouslyAllowLoopbackHttp: true         # only where the environment is marked development, or in dev\n", "")
        .replace(", dangerouslyAllowLoopbackHttp: true", "")
}

/// The problems of an estate that another server than `dev` would serve.
#[track_caller]
fn check_served(yaml: &str, expected: &str) {
    let found = load(&bundle(yaml, POLICY), &Vars::Refused, &[], None, now()).err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.join("\n"), expected);
}

#[test]
fn a_document_is_of_an_environment_that_is_declared() {
    check(
        &quickstart("metadata: {name: reporter}", "metadata: {name: reporter, environment: producton}"),
        "estate.yaml:70:41: environment `producton` is not declared here
  help: did you mean `production`?",
    );
    check(
        &quickstart("metadata: {name: reporter}", "metadata: {name: billing-ci}"),
        "estate.yaml:70:18: Principal `billing-ci` is declared at estate.yaml:56 already",
    );
    check(
        &quickstart("countersign.dev/v1", "countersign.dev/v2"),
        "estate.yaml:1:13: unknown version `countersign.dev/v2`
  help: write `countersign.dev/v1`",
    );
}

#[test]
fn plain_http_is_for_loopback_in_development() {
    check_served(&written_out(), "");
    let plain = written_out().replacen("https://issuer.test/github/jwks", "http://127.0.0.1:9/jwks", 1);
    check_served(
        &plain,
        "estate.yaml:16:17: `http://127.0.0.1:9/jwks`: plain HTTP needs `dangerouslyAllowLoopbackHttp: true` in a development environment",
    );
    let allowed = plain.replacen("maxAge: 10m\n", "maxAge: 10m\n    dangerouslyAllowLoopbackHttp: true\n", 1);
    check_served(
        &allowed,
        "estate.yaml:16:17: `http://127.0.0.1:9/jwks`: plain HTTP needs `dangerouslyAllowLoopbackHttp: true` in a development environment
estate.yaml:21:35: `dangerouslyAllowLoopbackHttp` is for environments marked `development: true`",
    );
    check_served(&allowed.replacen("  trustDomain:", "  development: true\n  trustDomain:", 1), "");
}

#[test]
fn keys_are_fetched_from_a_host_and_nothing_cleverer() {
    let jwks = |url: &str| quickstart("\"${DEV_ISSUER}/github/jwks\"", &format!("\"{url}\""));
    let refused = |url: &str, why: &str| check(&jwks(url), &format!("estate.yaml:16:17: `{url}`: {why}"));
    for url in ["https://a.test/jwks", "http://127.9.9.9/jwks", "http://[::1]:8/jwks", "http://localhost/jwks"] {
        assert!(loaded(&jwks(url)).is_ok(), "{url}");
    }
    for url in [
        "http://a.test/jwks",
        "http://127.0.0.1.a.test/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "file://a/etc/passwd",
    ] {
        refused(url, "expected `https://`");
    }
    for url in ["https://u:p@a.test/", "https://a.test/#x", "https://a.test:99999/", "/jwks"] {
        refused(url, "expected a host, perhaps a port, and neither user nor fragment");
    }
}

#[test]
fn keys_are_fetched_from_public_addresses_unless_more_is_written() {
    let served = |url: &str, more: &str| {
        let yaml = written_out().replacen("https://issuer.test/github/jwks", url, 1);
        yaml.replacen("maxAge: 10m\n", &format!("maxAge: 10m\n{more}"), 1)
    };
    let private = "    dangerouslyAllowPrivateAddresses: true\n";
    let refused = "estate.yaml:16:17: `https://10.0.0.1/jwks`: 10.0.0.1 is a private address; write `dangerouslyAllowPrivateAddresses: true` if that is meant";
    check_served(&served("https://10.0.0.1/jwks", ""), refused);
    check_served(&served("https://10.0.0.1/jwks", private), "");
    check_served(
        &served("https://169.254.169.254/jwks", private),
        "estate.yaml:16:17: `https://169.254.169.254/jwks`: 169.254.169.254 is a link-local address, from which nothing is fetched",
    );
    check_served(
        &served("https://2130706433/jwks", private),
        "estate.yaml:16:17: `https://2130706433/jwks`: `2130706433` is neither a host's name nor an address as addresses are written",
    );
    // one danger is not another
    check_served(
        &served("http://127.0.0.1/jwks", private),
        "estate.yaml:16:17: `http://127.0.0.1/jwks`: plain HTTP needs `dangerouslyAllowLoopbackHttp: true` in a development environment",
    );
}

#[test]
fn keys_that_are_fetched_are_kept_as_written() {
    let jwks = |more: &str| quickstart("github/jwks\"}", &format!("github/jwks\"{more}}}"));
    let kept = |more: &str| match &loaded(&jwks(more)).ok().unwrap().sources[0].1 {
        Jwks::Url(keys) => (keys.refresh.as_secs(), keys.max_stale.as_secs()),
        Jwks::Here(_) | Jwks::Nowhere => panic!("these keys lie elsewhere"),
    };
    assert_eq!(kept(""), (300, 3600));
    assert_eq!(kept(", refresh: 1s, maxStale: 1s"), (1, 1));
    assert_eq!(kept(", maxStale: 20s"), (10, 20));
    assert_eq!(kept(", refresh: 24h, maxStale: 7d"), (86_400, 604_800));
    for wrong in ["500ms", "25h"] {
        check(&jwks(&format!(", refresh: {wrong}")), "estate.yaml:16:55: `refresh` lies between 1 s and 24 h");
    }
    for wrong in ["0s", "8d"] {
        check(&jwks(&format!(", maxStale: {wrong}")), "estate.yaml:16:56: `maxStale` lies between 1 s and 7 d");
    }
    check(
        &jwks(", refresh: 2m, maxStale: 1m"),
        "estate.yaml:16:69: `maxStale` is shorter than `refresh`: keys would die before they are fetched again",
    );
    check(
        &quickstart("keys/platform.jwks.json}", "keys/platform.jwks.json, ca: a.pem, refresh: 1m, maxStale: 1m}"),
        "estate.yaml:34:47: `ca` is for keys that are fetched from a `url`
estate.yaml:34:63: `refresh` is for keys that are fetched from a `url`
estate.yaml:34:77: `maxStale` is for keys that are fetched from a `url`",
    );
}

#[test]
fn roots_are_certificates_of_the_estate() {
    let jwks = |ca: &str| quickstart("github/jwks\"}", &format!("github/jwks\", ca: {ca}}}"));
    check(&jwks("../ca.pem"), "estate.yaml:16:50: `../ca.pem` lies outside the estate");
    check(&jwks("ca.pem"), "estate.yaml:16:50: the estate has no file `ca.pem` beside `estate.yaml`");
    check(
        &jwks("keys/platform.jwks.json"),
        "estate.yaml:16:50: not root certificates that can be used: it holds no certificate",
    );
}

#[test]
fn a_source_says_exactly_what_it_accepts() {
    check(&quickstart("algorithms: [RS256]", "algorithms: []"), "estate.yaml:18:17: expected at least one");
    check(
        &quickstart("audiences: [https://billing.acme.test]", "audiences: [\"\"]"),
        "estate.yaml:17:17: expected text that is not empty",
    );
    check(
        &quickstart("requiredClaims: [iss, sub, aud, exp, iat]", "requiredClaims: [sub]"),
        "estate.yaml:19:21: `requiredClaims` has to name `aud`
estate.yaml:19:21: `requiredClaims` has to name `exp`",
    );
    check(&quickstart("maxAge: 10m", "maxAge: 25h"), "estate.yaml:20:13: `maxAge` lies between 1 ms and 24 h");
    check(
        &quickstart("maxAge: 10m", "maxAge: 10"),
        "estate.yaml:20:13: `10` is not a duration such as `30s`, `5m`, `1h` or `500ms`",
    );
    check(
        &quickstart("proves: [Job]", "proves: [Anonymous]"),
        "estate.yaml:13:12: `Anonymous` is nobody: no estate can declare it",
    );
    check(
        &quickstart("algorithms: [RS256]", "algorithms: [RS256, HS256, none]"),
        "estate.yaml:18:25: `HS256` is not a signature algorithm that is accepted here; expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA
estate.yaml:18:32: `none` is not a signature algorithm that is accepted here; expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA",
    );
    check(
        &quickstart("jwks: {file: keys/platform.jwks.json}", "jwks: {}"),
        "estate.yaml:34:11: jwks: expected exactly one of `url`, `file` and `inline`",
    );
}

#[test]
fn a_token_type_is_compared_without_case_and_can_be_absent() {
    let types =
        |list: &str| quickstart("    algorithms: [PS256]\n", &format!("    algorithms: [PS256]\n    types: {list}\n"));
    let read = |yaml: &str| loaded(yaml).ok().unwrap().sources[1].0.types.clone();
    assert_eq!(read(QUICKSTART), [Some("jwt".to_owned()), Some("at+jwt".to_owned()), None]);
    assert_eq!(read(&types("[AT+JWT, absent]")), [Some("at+jwt".to_owned()), None]);
}

#[test]
fn whoever_measures_can_turn_the_credential_cache_off() {
    let cache = |more: &str| {
        let yaml = quickstart("    algorithms: [PS256]\n", &format!("    algorithms: [PS256]\n{more}"));
        loaded(&yaml).ok().unwrap().sources[1].0.cache
    };
    assert_eq!(cache(""), CredentialCache::On);
    assert_eq!(cache("    credentialCache: true\n"), CredentialCache::On);
    assert_eq!(cache("    credentialCache: false\n"), CredentialCache::Off);
}

#[test]
fn an_issuer_belongs_to_one_source() {
    check(
        &quickstart("issuer: workload-identity-issuer ", "issuer: \"${DEV_ISSUER}/github\" "),
        "estate.yaml:27:1: trust sources `github` and `platform` have the same issuer `http://127.0.0.1:7/github`",
    );
    check(
        &quickstart("metadata: {name: platform}", "metadata: {name: local}"),
        "estate.yaml:29:18: `local` is the source that speaks for the kernel; choose another name
estate.yaml:84:23: `platform` is not a trust source here",
    );
    check(
        &quickstart("metadata: {name: platform}", "metadata: {name: operators}"),
        "estate.yaml:29:18: `operators` is the source of operators' certificates; choose another name
estate.yaml:84:23: `platform` is not a trust source here",
    );
}

#[test]
fn a_fact_has_conditions_and_a_name_of_its_own() {
    let fact = |text: &str| {
        quickstart("protected_ref: {ref_protected: [\"true\"], event_name: [push, workflow_dispatch]}", text)
    };
    check(&fact("protected_ref: {}"), "estate.yaml:25:20: `protected_ref` without a condition would always hold");
    check(&fact("protected_ref: {ref_protected: []}"), "estate.yaml:25:36: expected at least one");
    check(
        &fact("protected_ref: yes"),
        "estate.yaml:25:20: `protected_ref`: expected conditions, such as `ref_protected: [\"true\"]`",
    );
    check(
        &fact("ProtectedRef: {a: [b]}"),
        "estate.yaml:25:5: `ProtectedRef`: expected lower-case letters, digits and `_`, starting with a letter",
    );
    for fact in model::Fact::BUILT_IN {
        let yaml = quickstart("protected_ref:", &format!("{fact}:"));
        check(&yaml, &format!("estate.yaml:25:5: `{fact}` is a fact that only Countersign establishes"));
    }
}

#[test]
fn a_bad_key_set_is_reported_once_and_where_it_stands() {
    let inline = |keys: &str| quickstart("{file: keys/platform.jwks.json}", &format!("{{inline: {{keys: [{keys}]}}}}"));
    let at = |why: &str| format!("estate.yaml:34:20: not a key set that can be used: {why}");
    let key = "kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    check(
        &inline(&format!("{{{key}, d: AQ}}")),
        &at("key number 1 has the private member `d`; a key set holds public keys only"),
    );
    check(
        &inline("{kty: oct, k: AQ}"),
        &at("key number 1 is symmetric (`kty` is `oct`); a key set holds public keys only"),
    );
    check(&inline(&format!("{{{key}, kid: 010}}, {{{key}, kid: \"010\"}}")), &at("two keys have the `kid` `010`"));
    // and a key id that looks like a number stays what was written
    let estate = loaded(&inline(&format!("{{{key}, kid: 010}}, {{{key}, kid: \"8\"}}"))).ok().unwrap();
    assert!(matches!(&estate.sources[1].1, Jwks::Here(_)));
}

#[test]
fn names_that_only_dev_knows_are_known_to_the_check_too() {
    let yaml = quickstart("${DEV_UPSTREAM}", "${DEV_UPSTRAEM}");
    let problems = load(&bundle(&yaml, POLICY), &Vars::Noted, &[], None, now()).err().unwrap();
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["estate.yaml:102:19: `dev` has no `${DEV_UPSTRAEM}`\n  help: did you mean `DEV_UPSTREAM`?"]);
    check(&quickstart("${DEV_UPSTREAM}", "${DEV_UPSTREAM"), "estate.yaml:102:19: `${DEV_` without its `}`");
}

#[test]
fn what_an_estate_says_cannot_forge_a_line_on_a_terminal() {
    check(
        &quickstart("id: spiffe://prod.acme.test/ci/billing", "id: \"\\e[2J\\nall is well\""),
        "estate.yaml:59:7: `\\u{1b}[2J\\nall is well`: expected `spiffe://…` or `human:<source>:<key>`",
    );
}
