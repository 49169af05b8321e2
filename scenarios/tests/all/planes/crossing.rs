//! Two environments in one estate, each with a control plane and keys of its own: what is good in staging opens nothing in
//! production, by trust domain, by key and by audience.

use serde_json::{Value, json};

use super::doors::try_at_gateway;
use crate::harness::{Estate, HOST, Installation, Mint, Upstream, ci_claims, epoch_seconds};

/// One document of an environment.
fn document(environment: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: countersign.dev/v1\nkind: {kind}\nmetadata: {{name: {name}, environment: {environment}}}\nspec:\n{spec}\n"
    )
}

/// Both environments: the same issuer signs for both, with a key for each, and for an audience for each.
fn both(upstream: &str) -> Estate {
    let mut estate = Estate::ours();
    (estate.yaml, estate.cedar) = (String::new(), String::new());
    for (name, domain, key, audience) in [
        ("production", "prod.acme.test", "github", "https://billing.acme.test"),
        ("staging", "staging.acme.test", "stranger", "https://billing.staging.acme.test"),
    ] {
        let keys = json!({"keys": [Mint::shared().key(key)]});
        estate.yaml.push_str(&format!(
            "---\napiVersion: countersign.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec: {{trustDomain: {domain}, development: true}}\n"
        ));
        let documents = [
            (
                "TrustSource",
                "github",
                format!(
                    "  proves: [Job]\n  oidc: {{issuer: https://issuer.acme.test/github, audiences: [{audience}], algorithms: [RS256], \
                     requiredClaims: [iss, sub, aud, exp, iat], maxAge: 10m, jwks: {{inline: {keys}}}}}\n  \
                     identityKey: [repository_owner_id, repository_id]"
                ),
            ),
            (
                "Principal",
                "billing-ci",
                format!(
                    "  {{kind: Job, id: spiffe://{domain}/ci/billing, owner: team-billing, purpose: release checks, \
                     expires: 2027-11-01T00:00:00Z, bindings: [{{source: github, key: [\"9001\", \"4711\"]}}]}}"
                ),
            ),
            (
                "Principal",
                "reporter",
                format!(
                    "  {{kind: Workload, id: spiffe://{domain}/billing/reporter, owner: team-billing, purpose: monthly report, \
                     expires: 2027-11-01T00:00:00Z}}"
                ),
            ),
            (
                "ResourceTree",
                "billing",
                "  {owner: team-billing, resources: {billing: {sensitivity: internal, tiers: {read: routine, write: routine, \
                 administer: critical, effect: critical}}}}"
                    .to_owned(),
            ),
            (
                "Service",
                "billing-api",
                format!(
                    "  hosts: [{HOST}, 127.0.0.1]\n  upstream: {{url: \"{upstream}\"}}\n  http:\n    \
                     - {{match: \"GET /invoices/{{invoice}}\", action: read, resource: billing}}"
                ),
            ),
        ];
        for (kind, document_name, spec) in documents {
            estate.yaml.push_str(&document(name, kind, document_name, &spec));
        }
        estate.cedar.push_str(&format!(
            "@id(\"{name}-reads\") @owner(\"team-billing\") @purpose(\"reads\") @environment(\"{name}\")\n\
             permit (principal, action in Action::\"read\", resource in Resource::\"billing\");\n"
        ));
    }
    estate
}

fn installed(environment: &str, domain: &str, estate: &Estate) -> Installation {
    let mut installation = Installation::laid_out(environment, domain);
    installation.start("server");
    installation.apply(estate, &[]).ended(0);
    installation.enrol("edge-1");
    installation
}

/// A token of the issuer for an audience, by a key.
fn token(key: &str, audience: &str) -> String {
    let mut claims = ci_claims();
    (claims["iat"], claims["aud"]) = (json!(epoch_seconds()), json!(audience));
    Mint::shared().token(key, "RS256", &json!({"kid": "gh-1"}), &claims)
}

#[test]
fn what_is_good_in_staging_opens_nothing_in_production() {
    let upstream = Upstream::start();
    let estate = both(&upstream.url);
    let production = installed("production", "prod.acme.test", &estate);
    let staging = installed("staging", "staging.acme.test", &estate);
    let ask = |installation: &Installation, token: &str| installation.call("edge-1", "GET", "/invoices/1", Some(token));
    let (own, other) = ("https://billing.acme.test", "https://billing.staging.acme.test");

    let staged = token("stranger", other);
    assert_eq!(ask(&staging, &staged).status, 200);
    let good = token("github", own);
    assert_eq!(ask(&production, &good).status, 200);
    let refused = |token: &str| -> Value {
        let answer = ask(&production, token).is(401);
        production.code("edge-1", &answer)
    };
    // by key: the same issuer, the same name of a key
    assert_eq!(refused(&token("stranger", own)), "signature_invalid");
    // by audience
    assert_eq!(refused(&token("github", other)), "audience_wrong");
    assert_eq!(refused(&staged), "signature_invalid");

    // by trust domain: the handshake is refused, and recorded
    let reporter = staging.minted("reporter", "reporter", &[]);
    assert_eq!(try_at_gateway(&staging, "edge-1", &reporter, "/invoices/1").map(|answer| answer.status), Some(200));
    let there = try_at_gateway(&production, "edge-1", &reporter, "/invoices/1").map_or(0, |answer| answer.status);
    assert_eq!(there, 0);
    let records = production.records("edge-1");
    let last = records.iter().rev().find(|record| record["door"] == "gateway").expect("it is recorded");
    assert_eq!((&last["verdicts"][0]["code"], &last["principal"]), (&json!("issuer_unknown"), &Value::Null), "{last}");
    // what is of staging is seen in neither's production
    let listed = production.cli(&["get", "principals", "--output", "json"]).ended(0).out;
    assert!(listed.contains("spiffe://prod.acme.test/ci/billing") && !listed.contains("staging"), "{listed}");
}
