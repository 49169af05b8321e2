//! Trust sources that vouch for nodes: what their agents are called, and what does not load.

use super::{KEYS, QUICKSTART, and, check, loaded};

/// A source that vouches for nodes, by this field.
fn vouching(name: &str, field: &str) -> String {
    format!(
        "apiVersion: countersign.dev/v1\nkind: TrustSource\nmetadata: {{name: {name}}}\nspec:\n  proves: [Workload]\n  {field}\n"
    )
}

const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
const ISSUER: &str = "https://0b1c2d3e.tokens.sts.global.api.aws";

/// Lines before what [`and`] adds.
fn before() -> usize {
    QUICKSTART.lines().count()
}

fn tokens(what: &str, listed: &str) -> String {
    format!("{what}: {{audience: countersign, {listed}, jwks: {{inline: {KEYS}}}}}")
}

#[test]
fn each_method_loads_and_its_agents_have_ids_that_no_other_source_can_give() {
    let documents = [
        vouching("prod-eu", &tokens("kubernetes", "serviceAccounts: [\"countersign:agent\"]")),
        vouching("prod-us", &tokens("kubernetes", "serviceAccounts: [\"countersign:agent\"]")),
        vouching("gce", &tokens("google", "projects: [acme-prod]")),
        vouching("entra", &tokens("azure", "tenants: [6d7b]")),
        vouching("aws", &format!("awsCaller: {{roles: [\"{ROLE}\"], regions: [eu-central-2]}}")),
        vouching("aws-tokens", &tokens("awsToken", &format!("roles: [\"{ROLE}\"], issuer: \"{ISSUER}\""))),
    ];
    let estate = loaded(&and(&documents.join("---\n"))).map_err(|problems| problems[0].to_string()).unwrap();
    assert_eq!(estate.nodes.len(), 6);
    let made = |id: &str| {
        let id = format!("spiffe://prod.acme.test/countersign/agent/{id}").parse().unwrap();
        estate.directory.principal(&id).map(|principal| principal.kind.to_string())
    };
    for id in [
        "k8s_psat/prod-eu/0b1c",
        "k8s_psat/prod-us/0b1c",
        "gcp_iit/gce/acme-prod/8123",
        "azure_msi/entra/6d7b/9e",
        "aws_sts/aws/123456789012/AROA1/i-0b22",
        "aws_jwt/aws-tokens/123456789012/eu-central-2/i-0b22",
    ] {
        assert_eq!(made(id).as_deref(), Some("Workload"), "{id}");
    }
    for id in ["k8s_psat/prod-asia/0b1c", "k8s_psat/prod-eu", "gcp_iit/gce/8123", "x509pop/prod-eu/0b1c"] {
        assert_eq!(made(id), None, "{id}");
    }
}

#[test]
fn a_source_vouches_in_one_way_and_for_agents_alone() {
    let at = before() + 2;
    let both =
        format!("{}  x509pop: {{authorities: {{file: a.pem}}}}\n", vouching("a", &tokens("google", "projects: [p]")));
    let one_of = "a trust source has exactly one of `oidc`, `x509pop`, `kubernetes`, `google`, `azure`, `tpm`, \
                  `awsInstance`, `awsCaller`, `awsToken`";
    check(&and(&both), &format!("estate.yaml:{at}:1: {one_of}"));
    check(&and(&vouching("a", "display: [sub]")), &format!("estate.yaml:{at}:1: {one_of}"));
    let key = vouching("a", &format!("{}\n  identityKey: [sub]", tokens("google", "projects: [p]")));
    check(
        &and(&key),
        &format!("estate.yaml:{}:16: `identityKey` is for sources of tokens; a node's key is its method's", at + 6),
    );
    let jobs = vouching("a", &tokens("google", "projects: [p]")).replace("[Workload]", "[Job]");
    check(
        &and(&jobs),
        &format!("estate.yaml:{}:11: a source that vouches for nodes proves [Workload]: their agents", at + 4),
    );
    check(
        &and(&vouching("a", "x509pop: {authorities: {file: billing.cedar}}")),
        &format!("estate.yaml:{}:26: not certificates of authorities in PEM", at + 5),
    );
}

#[test]
fn nobody_else_is_bound_to_a_source_of_nodes() {
    let class = "---\napiVersion: countersign.dev/v1\nkind: PrincipalClass\nmetadata: {name: mine}\nspec: {source: gce, kind: \
                 Workload, id: \"spiffe://prod.acme.test/mine/{instance}\", owner: a, purpose: b}\n";
    let yaml = and(&format!("{}{class}", vouching("gce", &tokens("google", "projects: [p]"))));
    check(
        &yaml,
        &format!(
            "estate.yaml:{}:16: source `gce` vouches for nodes: their agents have their ids from it alone",
            before() + 12
        ),
    );
}

#[test]
fn a_cluster_is_known_by_its_keys_or_by_its_api_server_or_by_both() {
    let with = |more: &str| {
        let more = more.replace("KEYS", KEYS);
        and(&vouching("a", &format!("kubernetes: {{audience: countersign, serviceAccounts: [\"n:a\"]{more}}}")))
    };
    for sound in [", tokenReview: {}", ", jwks: {inline: KEYS}, tokenReview: {nodeLabels: [zone]}"] {
        loaded(&with(sound)).map_err(|problems| problems[0].to_string()).unwrap();
    }
    let line = before() + 7;
    check(&with(""), &format!("estate.yaml:{line}:15: kubernetes: expected `jwks`, `tokenReview` or both"));
    check(
        &with(", tokenReview: {nodelabels: [a]}"),
        &format!("estate.yaml:{line}:79: tokenReview: unknown field `nodelabels`\n  help: did you mean `nodeLabels`?"),
    );
}

#[test]
fn tpms_are_listed_or_somebody_vouches_for_them() {
    let key = "ab".repeat(32);
    let with = |more: &str| and(&vouching("machines", &format!("tpm: {{{more}}}")));
    let estate = loaded(&with(&format!("keys: [{key}]"))).map_err(|problems| problems[0].to_string()).unwrap();
    let id = format!("spiffe://prod.acme.test/countersign/agent/tpm/machines/{key}").parse().unwrap();
    assert!(estate.directory.principal(&id).is_some());
    let line = before() + 7;
    check(&with(""), &format!("estate.yaml:{line}:8: tpm: expected `authorities`, `keys` or both"));
    check(&with("keys: []"), &format!("estate.yaml:{line}:15: expected at least one"));
    check(&with("keys: [abc]"), &format!("estate.yaml:{line}:16: expected 64 lower-case hex digits"));
    check(
        &with("authorities: {file: billing.cedar}"),
        &format!("estate.yaml:{line}:22: not certificates of authorities in PEM"),
    );
}

#[test]
fn what_amazon_vouches_for_is_written_as_amazon_can_say_it() {
    let instance = |accounts: &str, regions: &str| {
        and(&vouching("a", &format!("awsInstance: {{accounts: [{accounts}], regions: {regions}}}")))
    };
    let file = "{certificates: {file: billing.cedar}}";
    let refused = |yaml: &str, expected: &str| {
        let problems = loaded(yaml).err().unwrap();
        assert!(problems.iter().any(|problem| problem.message == expected), "no `{expected}`: {}", problems[0]);
    };
    refused(
        &instance("\"1234\"", &format!("{{eu-central-2: {file}}}")),
        "`1234` is no account: expected twelve digits, in quotes",
    );
    refused(&instance("\"123456789012\"", &format!("{{eu-central-2: {file}}}")), "not certificates of a region in PEM");
    refused(
        &instance("\"123456789012\"", &format!("{{\"eu/../x\": {file}}}")),
        "`eu/../x` is no region, such as `eu-central-2`",
    );
    refused(&instance("\"123456789012\"", "{}"), "`regions` names no region, so that there is no node");
    let caller = |role: &str, more: &str| {
        and(&vouching("a", &format!("awsCaller: {{roles: [\"{role}\"], regions: [eu-central-2]{more}}}")))
    };
    refused(
        &caller("arn:aws:iam::123456789012:role/team/agents", ""),
        &format!("`arn:aws:iam::123456789012:role/team/agents` has a path, which STS does not tell: write `{ROLE}`"),
    );
    // where STS is decides who is believed
    for url in ["https://sts.evil.test/", "http://127.0.0.1:9/"] {
        refused(
            &caller(ROLE, &format!(", endpoint: \"{url}\"")),
            "`endpoint` is for an STS of this machine: it is `http://` and a loopback address, with \
             `dangerouslyAllowLoopbackHttp: true` in a development environment",
        );
    }
    let issuer = tokens("awsToken", &format!("roles: [\"{ROLE}\"], issuer: \"https://tokens.sts.global.api.aws\""));
    refused(
        &and(&vouching("a", &issuer)),
        "`https://tokens.sts.global.api.aws` is no account's issuer: expected `https://ID.tokens.sts.global.api.aws`",
    );
}
