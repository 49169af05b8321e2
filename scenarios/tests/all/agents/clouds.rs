//! Nodes of clouds: each by what its cloud says of it, from fakes that are as strict as the clouds are, and by nothing that
//! somebody else could say.

use serde_json::{Value, json};

use super::attested::agents;
use crate::harness::{Dev, Estate, Installation, Ran, Sockets, command, finish, peer};

const AGENTS: &str = "spiffe://prod.acme.test/countersign/agent";
const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
const ISSUER: &str = "https://0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0.tokens.sts.global.api.aws";
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// Fakes of clouds, and an installation that trusts them.
struct Clouds {
    _dev: Dev,
    url: String,
    sockets: Sockets,
    installation: Installation,
}

fn source(name: &str, spec: &str) -> String {
    format!("kind: TrustSource\nmetadata: {{name: {name}}}\nspec:\n  proves: [Workload]\n  {spec}")
}

impl Clouds {
    /// With this account for instances, and STS at this address instead of where it is.
    fn trusting(account: &str, sts: Option<&str>) -> Self {
        let dev = Dev::with(None, &["--clouds"]);
        let url = dev.info["clouds"].as_str().expect("where the fakes are").to_owned();
        let read = |name: &str| std::fs::read_to_string(dev.dir().join("clouds").join(name)).unwrap();
        let endpoint = sts.unwrap_or(&url);
        let documents = [
            source(
                "aws",
                &format!(
                    "awsInstance: {{accounts: [\"{account}\"], regions: {{eu-central-2: {{certificates: {{file: aws-eu-central-2.pem}}}}}}}}"
                ),
            ),
            source(
                "aws-sts",
                &format!(
                    "awsCaller:\n    roles: [\"{ROLE}\"]\n    regions: [eu-central-2]\n    endpoint: {endpoint}/\n    \
                     dangerouslyAllowLoopbackHttp: true"
                ),
            ),
            source(
                "aws-tokens",
                &format!(
                    "awsToken: {{issuer: \"{ISSUER}\", audience: countersign, roles: [\"{ROLE}\"], jwks: {{file: aws.jwks.json}}}}"
                ),
            ),
            source("google", "google: {audience: countersign, projects: [acme-prod], jwks: {file: google.jwks.json}}"),
            source(
                "azure",
                &format!(
                    "azure: {{audience: \"api://countersign\", tenants: [{TENANT}], jwks: {{file: azure.jwks.json}}}}"
                ),
            ),
        ];
        let estate =
            Estate::empty().replacing("trustDomain: prod.acme.test", "trustDomain: prod.acme.test, development: true");
        let estate = documents.iter().fold(estate, |estate, document| estate.document(document));
        let files = ["aws-eu-central-2.pem", "aws.jwks.json", "google.jwks.json", "azure.jwks.json"];
        let estate = files.iter().fold(estate, |estate, name| estate.file(name, &read(name)));
        let installation = Installation::serving(&estate);
        Self { _dev: dev, url, sockets: Sockets::new(), installation }
    }

    /// The settings of an agent on such a machine; `{url}` is where the cloud is.
    fn settings(&self, node: &str, source: &str, means: &str) {
        let means = means.replace("{url}", &self.url);
        self.installation.attesting(&self.sockets, node, &format!("{{source: {source}, {means}}}"));
    }

    fn attested(&mut self, node: &str, source: &str, means: &str) -> Value {
        self.settings(node, source, means);
        self.installation.start_attested(node);
        let known = agents(&self.installation);
        let of_source = |agent: &&Value| agent["id"].as_str().is_some_and(|id| id.contains(&format!("/{source}/")));
        known.iter().find(of_source).cloned().unwrap_or_else(|| panic!("no agent of {source}: {known:?}"))
    }

    fn refused(&self, node: &str, source: &str, means: &str) -> (Ran, Value) {
        self.settings(node, source, means);
        let ended = self.installation.attempt_attested(node);
        let records = self.installation.records("server");
        let last = records.iter().rfind(|record| record["operation"] == "attest").cloned();
        (ended, last.unwrap_or_default())
    }
}

#[track_caller]
fn check(agent: &Value, id: &str, selectors: &[&str]) {
    assert_eq!(agent["id"], format!("{AGENTS}/{id}"));
    let known: Vec<&str> = agent["selectors"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for selector in selectors {
        assert!(known.contains(selector), "no {selector}: {known:?}");
    }
}

const IID: &str = "aws_iid: {metadata: \"{url}\"}";
const STS: &str = "aws_sts: {region: eu-central-2, metadata: \"{url}\", endpoint: \"{url}/\"}";

#[test]
fn a_machine_of_each_cloud_is_the_node_that_its_cloud_says() {
    let mut clouds = Clouds::trusting("123456789012", None);
    let agent = clouds.attested("node-1", "aws", IID);
    check(
        &agent,
        "aws_iid/aws/123456789012/eu-central-2/i-0b22a22eec53b9321",
        &["aws_iid:az:eu-central-2b", "aws_iid:image:id:ami-5fb8c835", "aws_iid:instance:id:i-0b22a22eec53b9321"],
    );
    let agent = clouds.attested("node-2", "aws-sts", STS);
    check(
        &agent,
        "aws_sts/aws-sts/123456789012/AROACLKWSDQRAOEXAMPLE/i-0b22a22eec53b9321",
        &["aws_sts:iamrole:arn:aws:iam::123456789012:role/agents", "aws_sts:session:i-0b22a22eec53b9321"],
    );
    let means = "aws_jwt: {audience: countersign, region: eu-central-2, metadata: \"{url}\", endpoint: \"{url}/\"}";
    let agent = clouds.attested("node-3", "aws-tokens", means);
    check(
        &agent,
        "aws_jwt/aws-tokens/123456789012/eu-central-2/i-0b22a22eec53b9321",
        &["aws_jwt:iamrole:arn:aws:iam::123456789012:role/agents", "aws_jwt:tag:environment:production"],
    );
    let agent = clouds.attested("node-4", "google", "gcp_iit: {audience: countersign, metadata: \"{url}\"}");
    check(&agent, "gcp_iit/google/acme-prod/8123487236481236481", &["gcp_iit:zone:europe-west6-a"]);
    let agent = clouds.attested("node-5", "azure", "azure_msi: {audience: \"api://countersign\", metadata: \"{url}\"}");
    check(
        &agent,
        &format!("azure_msi/azure/{TENANT}/c3f1c7d2-0d0f-4b57-9a34-0f2f4a7c9b10"),
        &["azure_msi:principal-id:c3f1c7d2-0d0f-4b57-9a34-0f2f4a7c9b10"],
    );
    let records = clouds.installation.records("server");
    let attested: Vec<&Value> = records.iter().filter(|record| record["operation"] == "attest").collect();
    let presented =
        |record: &Value| (record["presented"][0]["kind"].clone(), record["presented"][0]["binding"].clone());
    let kinds: Vec<_> = attested.iter().map(|record| presented(record)).collect();
    let expected =
        [("aws_iid", "bearer"), ("aws_sts", "proof"), ("jwt", "bearer"), ("jwt", "bearer"), ("jwt", "bearer")];
    assert_eq!(kinds, expected.map(|(kind, binding)| (json!(kind), json!(binding))));
    for record in attested {
        assert_eq!(clouds.installation.cli(&["replay", record["id"].as_str().unwrap()]).code, 0);
    }
    // what signs for a machine is in no log and in no record
    let text = format!("{} {}", json!(records), clouds.installation.log("node-2"));
    assert!(!text.contains("AWS4-HMAC-SHA256") && !text.contains("SecretAccessKey"));
}

#[test]
fn a_machine_of_amazon_is_one_agents_until_it_is_evicted() {
    let mut clouds = Clouds::trusting("123456789012", None);
    clouds.attested("node-1", "aws", IID);
    let (ended, _) = clouds.refused("node-2", "aws", IID);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.err.contains("this node was attested by another key, and aws_iid proves no more than to be on it"),
        "{ended:?}"
    );
    assert_eq!(clouds.installation.stop("node-1"), 0);
    let [agent] = agents(&clouds.installation).try_into().unwrap();
    clouds.installation.cli(&["agent", "evict", agent["name"].as_str().unwrap()]).ended(0);
    clouds.installation.start_attested("node-2");
    let [after] = agents(&clouds.installation).try_into().unwrap();
    assert_eq!(after["id"], agent["id"]);
}

#[test]
fn what_amazon_does_not_say_of_a_listed_machine_proves_nothing() {
    let clouds = Clouds::trusting("210987654321", None);
    let code = |(ended, record): &(Ran, Value)| {
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("control says: who asks is not proved (record "), "{ended:?}");
        record["verdicts"][0]["code"].clone()
    };
    assert_eq!(code(&clouds.refused("node-1", "aws", IID)), "principal_unknown", "an instance of another account");
    let abroad = STS.replace("eu-central-2", "us-east-1");
    assert_eq!(code(&clouds.refused("node-2", "aws-sts", &abroad)), "principal_unknown", "a region that is not listed");
    // signed for another host: what control sends is not what was signed
    let elsewhere = STS.replace("endpoint: \"{url}/\"", "endpoint: \"http://127.0.0.1:9/\"");
    let refused = clouds.refused("node-3", "aws-sts", &elsewhere);
    assert_eq!(code(&refused), "signature_invalid");
    assert_eq!(refused.1["presented"][0]["source"], "aws-sts");
    assert_eq!(code(&clouds.refused("node-4", "aws", STS)), "issuer_unknown", "another method than the source's");
    assert_eq!(agents(&clouds.installation), Vec::<Value>::new());
}

#[test]
fn where_sts_cannot_be_asked_nobody_is_let_in_and_nobody_gives_up() {
    let mut clouds = Clouds::trusting("123456789012", Some("http://127.0.0.1:9"));
    let means = STS.replace("endpoint: \"{url}/\"", "endpoint: \"http://127.0.0.1:9/\"");
    clouds.settings("node-1", "aws-sts", &means);
    clouds.installation.launch("node-1", &[], &[]);
    clouds.installation.until_logged("node-1", "control says: who asks cannot be proved now (record ");
    clouds.installation.until_logged("node-1", "the node is not attested yet, trying again");
    clouds.installation.until_logged("server", "STS cannot be asked who signed a node's request");
    let records = clouds.installation.records("server");
    let record = records.iter().rfind(|record| record["operation"] == "attest").expect("an attestation");
    assert_eq!(record["verdicts"][0]["code"], "keys_unavailable");
    assert_eq!(agents(&clouds.installation), Vec::<Value>::new());
}

#[test]
fn the_clouds_own_clients_take_the_fakes_for_clouds() {
    let dev = Dev::with(None, &["--clouds"]);
    let url = dev.info["clouds"].as_str().unwrap();
    let clients = peer("COUNTERSIGN_TEST_CLOUDS", "a program of scenarios/peers");
    let mut client = command(&clients, &[url]);
    client.arg(dev.dir().join("clouds"));
    let told = finish(client, b"").ended(0).json();
    assert_eq!(told["aws"]["Arn"], "arn:aws:sts::123456789012:assumed-role/agents/i-0b22a22eec53b9321");
    assert_eq!(told["aws_wrong"], "SignatureDoesNotMatch");
    assert_eq!(told["aws_token"]["sub"], ROLE);
    assert_eq!(told["document"]["instanceId"], "i-0b22a22eec53b9321", "as OpenSSL verifies it");
    assert_eq!(told["google"]["google"]["compute_engine"]["project_id"], "acme-prod");
    assert_eq!(told["azure"]["tid"], TENANT);
}
