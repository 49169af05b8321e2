//! An issuer that is not ours, and a client that is not ours: oauth2-mock-server signs, curl asks.

mod own_api;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::harness::{AUDIENCE, CI, Dev, Ran, command, end, finish, folder, peer};

/// The issuer behind its wrapper, which sets the claims that a CI system would.
struct Issuer {
    child: Child,
    url: String,
}

impl Issuer {
    fn start() -> Self {
        let modules = peer("COUNTERSIGN_TEST_NODE_MODULES", "a `node_modules` with oauth2-mock-server 8.2.3");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/issuer.mjs");
        let mut node = command(Path::new("node"), &[script.to_str().expect("a plain path")]);
        node.env("MODULES", modules).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node starts; `./test` says how to install it");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it is");
        let said: Value = serde_json::from_str(&line).expect("its address, as JSON");
        Self { child, url: said["url"].as_str().expect("an address").to_owned() }
    }

    /// A token as a client of the issuer gets it, for these claims.
    fn token(&self, claims: &Value) -> String {
        let claims = format!("claims={claims}");
        let url = format!("{}/token", self.url);
        let form = ["--data-urlencode", &claims, "-d", "grant_type=client_credentials", &url];
        let said: Value = serde_json::from_str(&curl(&form).ended(0).out).expect("a token response");
        said["access_token"].as_str().unwrap_or_else(|| panic!("no token: {said}")).to_owned()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn curl(args: &[&str]) -> Ran {
    finish(command(Path::new("curl"), &[&["-sS", "--max-time", "10"], args].concat()), b"")
}

/// A release job of the repository.
fn claims(over: &Value) -> Value {
    let mut claims = json!({
        "aud": AUDIENCE, "sub": "repo:acme/billing:ref:refs/heads/main", "repository": "acme/billing",
        "repository_owner": "acme", "repository_id": "4711", "repository_owner_id": "9001", "ref": "refs/heads/main",
        "ref_protected": "true", "event_name": "push", "run_id": "1001",
    });
    for (name, value) in over.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn an_issuer_and_a_client_of_others_get_the_same_answers() {
    let issuer = Issuer::start();
    let dev = Dev::start();
    let file = dev.estate().join("estate.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let edited = yaml.replacen("issuer: ${DEV_ISSUER}/github ", &format!("issuer: {} ", issuer.url), 1).replacen(
        "\"${DEV_ISSUER}/github/jwks\"",
        &format!("\"{}/jwks\"", issuer.url),
        1,
    );
    assert_eq!(edited.matches(&issuer.url).count(), 2, "{edited}");
    std::fs::write(&file, edited).unwrap();
    let folder = folder();
    let asked = |token: &str| {
        let head = folder.path().join("head");
        let authorization = format!("Authorization: Bearer {token}");
        let url = format!("http://{}/invoices/1", dev.gateway());
        let body = curl(&["-D", head.to_str().unwrap(), "-H", &authorization, &url]).ended(0).out;
        let head = std::fs::read_to_string(head).unwrap();
        let record = head.lines().find_map(|line| line.strip_prefix("countersign-record: ")).expect("a record");
        (head.split(' ').nth(1).unwrap().to_owned(), body, dev.record(record.trim()))
    };
    let main = issuer.token(&claims(&json!({})));
    let (status, _, record) = asked(&main);
    assert_eq!((status.as_str(), &record["verdicts"][0]["code"]), ("401", &"issuer_unknown".into()), "not trusted yet");

    dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().unwrap()]).ended(0);
    let (status, body, record) = asked(&main);
    assert_eq!(status, "200", "{record}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["invoice"], "1");
    assert_eq!(record["principal"]["id"], CI);

    let fork = claims(&json!({"ref": "refs/pull/7/merge", "ref_protected": "false", "event_name": "pull_request"}));
    let (status, body, record) = asked(&issuer.token(&fork));
    assert_eq!((status.as_str(), &record["principal"]["id"]), ("403", &CI.into()), "{record}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&problem["code"], &problem["missing"]), (&"forbidden".into(), &json!(["evidence"])));

    let (status, _, record) = asked(&issuer.token(&claims(&json!({"repository_id": "4712"}))));
    assert_eq!((status.as_str(), &record["verdicts"][0]["code"]), ("401", &"principal_unknown".into()));
    let ours = dev.token("ci-main");
    let (status, _, record) = asked(&ours);
    assert_eq!((status.as_str(), &record["verdicts"][0]["code"]), ("401", &"issuer_unknown".into()), "the old issuer");
}
