//! What an Envoy is told by secret discovery (SDS), and what is beside it: asked for by gRPC's own client, by Envoy's own
//! definitions.

use serde_json::{Value, json};

use super::watching::Watching;
use super::{as_stranger, estate, joined, own_uid, registration};
use crate::harness::{Estate, Sockets, curl, discovery, finish};

const WEB: &str = "spiffe://prod.acme.test/web";
const DOMAIN: &str = "spiffe://prod.acme.test";
const SECRETS: &str = "envoy.service.secret.v3.SecretDiscoveryService";
const VALIDATOR: &str = "envoy.tls.cert_validator.spiffe";

/// An Envoy's side of a stream.
struct Stream(Watching);

impl Stream {
    fn open(sockets: &Sockets) -> Self {
        Self(Watching::start(discovery(sockets, "node-1", &["stream"])))
    }

    fn ask(&mut self, request: &Value) {
        self.0.say(&request.to_string());
    }

    fn hear(&self) -> Value {
        serde_json::from_str(&self.0.line()).expect("JSON")
    }

    /// Asks first for these.
    fn subscribe(sockets: &Sockets, names: &[&str]) -> (Self, Value) {
        let mut stream = Self::open(sockets);
        stream.ask(&json!({"node": {"id": "envoy"}, "resourceNames": names}));
        let heard = stream.hear();
        (stream, heard)
    }

    /// Says that the last answer was applied, and asks for these from now on.
    fn acknowledge(&mut self, answer: &Value, names: &[&str]) {
        self.ask(&json!({"versionInfo": answer["version"], "responseNonce": answer["nonce"], "resourceNames": names}));
    }
}

fn names(answer: &Value) -> Vec<&str> {
    let secrets = answer["secrets"].as_array().unwrap_or_else(|| panic!("no secrets: {answer}"));
    secrets.iter().map(|secret| secret["name"].as_str().expect("a name")).collect()
}

/// The one answer, or the refusal, where an Envoy asks once.
fn fetch(sockets: &Sockets, request: &Value) -> Value {
    let fetched = finish(discovery(sockets, "node-1", &["fetch"]), request.to_string().as_bytes());
    fetched.lines().into_iter().next().unwrap_or_else(|| panic!("nothing: {fetched:?}"))
}

#[test]
fn svids_and_bundles_have_the_names_that_spire_gives_them() {
    let (sockets, _installation) = joined(&estate("").document(&registration("other", own_uid(), "")));
    let other = "spiffe://prod.acme.test/other";
    let all = fetch(&sockets, &json!({}));
    assert_eq!(names(&all), [DOMAIN, other, WEB]);
    assert_eq!((&all["version"], &all["nonce"]), (&json!(""), &json!("")));
    for (asked, given) in [
        (&[WEB][..], &[WEB][..]),
        (&["default"], &["default"]),
        (&["ROOTCA"], &["ROOTCA"]),
        (&["ALL"], &["ALL"]),
        (&[DOMAIN], &[DOMAIN]),
        (&["default", "ALL"], &["ALL", "default"]),
    ] {
        assert_eq!(names(&fetch(&sockets, &json!({"resourceNames": asked}))), given);
    }
    let default = fetch(&sockets, &json!({"resourceNames": ["default", other]}));
    assert_eq!(default["secrets"][0]["chain"], default["secrets"][1]["chain"], "the first by its name is the default");
    let svid = &default["secrets"][0];
    assert!(svid["chain"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"), "{svid}");
    assert!(svid["key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"), "{svid}");
    for name in ["ROOTCA", "ALL", DOMAIN] {
        let bundle = &fetch(&sockets, &json!({"resourceNames": [name]}))["secrets"][0];
        assert_eq!(bundle["validator"], VALIDATOR);
        let authorities = bundle["domains"]["prod.acme.test"].as_str().unwrap();
        assert!(authorities.starts_with("-----BEGIN CERTIFICATE-----\n"), "{bundle}");
        assert_eq!(bundle.get("trusted"), None);
    }
}

#[test]
fn an_envoy_whose_metadata_says_so_is_given_authorities_without_the_validator() {
    let (sockets, _installation) = joined(&estate(""));
    let ask = |said: Value, name: &str| {
        let node = json!({"id": "envoy", "metadata": {"disable_spiffe_cert_validation": said}});
        fetch(&sockets, &json!({"node": node, "resourceNames": [name]}))
    };
    for said in [json!(true), json!("true"), json!("1")] {
        let bundle = &ask(said, "ROOTCA")["secrets"][0];
        assert!(bundle["trusted"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"), "{bundle}");
        assert_eq!(bundle.get("validator"), None);
    }
    for said in [json!(false), json!("false"), json!("yes"), json!(1), json!(null), json!({})] {
        assert_eq!(ask(said, "ROOTCA")["secrets"][0]["validator"], VALIDATOR);
    }
    assert_eq!(
        ask(json!(true), "ALL"),
        json!({
            "code": "INVALID_ARGUMENT",
            "details": "`ALL` needs Envoy's SPIFFE validator: without it, authorities of one trust domain sign for another",
        })
    );
}

#[test]
fn what_a_workload_does_not_have_is_refused_whatever_else_is_asked_with_it() {
    let (sockets, _installation) = joined(&estate(""));
    let refused = |request: Value| {
        let answer = fetch(&sockets, &request);
        assert_eq!(answer["code"], "INVALID_ARGUMENT", "{answer}");
        answer["details"].as_str().expect("a reason").to_owned()
    };
    let other = "spiffe://prod.acme.test/other";
    assert_eq!(refused(json!({"resourceNames": [WEB, other]})), format!("the workload has no resource {other:?}"));
    assert_eq!(
        refused(json!({"resourceNames": ["spiffe://elsewhere.test"]})),
        "the workload has no resource \"spiffe://elsewhere.test\""
    );
    assert_eq!(refused(json!({"resourceNames": ["a\nb"]})), "the workload has no resource \"a\\nb\"");
    let many: Vec<String> = (0..257).map(|number| number.to_string()).collect();
    let most = "at most 256 resources can be asked for at once, by names of 2048 bytes";
    assert_eq!(refused(json!({"resourceNames": many})), most);
    assert_eq!(refused(json!({"resourceNames": ["a".repeat(2_049)]})), most);
    assert_eq!(
        refused(json!({"typeUrl": "type.googleapis.com/envoy.config.cluster.v3.Cluster"})),
        "only resources of type `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret` are served"
    );
    if let Some(stranger) = as_stranger(&sockets, curl(&sockets, &format!("{SECRETS}/FetchSecrets"), &[]), &[0; 5]) {
        assert!(stranger.out.contains("grpc-status: 7\r\ngrpc-message: no%20identity%20issued\r\n"), "{stranger:?}");
    }
    let delta = finish(discovery(&sockets, "node-1", &["delta"]), b"{}");
    let unserved = json!({"code": "UNIMPLEMENTED", "details": "`DeltaSecrets` is not served: use `StreamSecrets`"});
    assert_eq!(delta.lines()[0], unserved);
}

#[test]
fn a_stream_is_told_what_it_asks_for_and_each_change_of_that() {
    let (sockets, installation) = joined(&estate("  x509: {ttl: 3s}\n"));
    let (mut stream, first) = Stream::subscribe(&sockets, &[WEB]);
    assert_eq!((names(&first), &first["version"]), (vec![WEB], &json!("1")));
    stream.acknowledge(&first, &[WEB]);
    // renewed: said without being asked
    let second = stream.hear();
    assert_eq!((names(&second), &second["version"]), (vec![WEB], &json!("2")));
    assert_ne!(first["secrets"], second["secrets"]);
    // what answers an earlier answer is not heard
    stream.acknowledge(&first, &["ROOTCA"]);
    stream.acknowledge(&second, &["ROOTCA"]);
    let third = stream.hear();
    assert_eq!(names(&third), ["ROOTCA"]);
    // what is refused is logged, and not sent again
    stream.ask(&json!({
        "versionInfo": second["version"], "responseNonce": third["nonce"], "resourceNames": ["ROOTCA"],
        "errorDetail": {"code": 13, "message": "no such\nvalidator"},
    }));
    installation.until_logged("node-1", "an Envoy refuses what it was sent");
    let log = installation.log("node-1");
    let line = log.lines().find(|line| line.contains("an Envoy refuses")).expect("logged");
    assert!(line.contains("no such\\\\nvalidator") || line.contains("no such\\nvalidator"), "{line}");
    stream.ask(&json!({"responseNonce": third["nonce"], "resourceNames": ["default"]}));
    let fourth = stream.hear();
    assert_eq!((names(&fourth), &fourth["nonce"]), (vec!["default"], &json!("4")));
    stream.acknowledge(&fourth, &["default", "nobody"]);
    assert_eq!(
        stream.hear(),
        json!({"code": "INVALID_ARGUMENT", "details": "the workload has no resource \"nobody\""})
    );
}

#[test]
fn a_stream_ends_with_what_its_workload_is_registered_for() {
    let (sockets, installation) = joined(&estate(""));
    let (mut stream, first) = Stream::subscribe(&sockets, &[WEB]);
    stream.acknowledge(&first, &[WEB]);
    installation.apply(&Estate::empty(), &[]).ended(0);
    assert_eq!(stream.hear(), json!({"code": "PERMISSION_DENIED", "details": "no identity issued"}));
}

#[test]
fn health_and_reflection_need_no_security_header() {
    let (sockets, _installation) = joined(&estate(""));
    let ask = |args: &[&str]| finish(discovery(&sockets, "node-1", args), b"").lines();
    for service in ["", "SpiffeWorkloadAPI", SECRETS] {
        assert_eq!(ask(&["health", service])[0], json!({"status": "SERVING"}));
    }
    let unknown = json!({"code": "NOT_FOUND", "details": "there is no such service here"});
    assert_eq!(ask(&["health", "elsewhere"])[0], unknown);
    let watching = Watching::start(discovery(&sockets, "node-1", &["watch", ""]));
    assert_eq!(watching.line(), "{\"status\": \"SERVING\"}");
    let watching = Watching::start(discovery(&sockets, "node-1", &["watch", "elsewhere"]));
    assert_eq!(watching.line(), "{\"status\": \"SERVICE_UNKNOWN\"}");
    let reflected = &ask(&["services"])[0];
    let served = ["SpiffeWorkloadAPI", SECRETS, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    assert_eq!(reflected["services"], json!(served));
    assert_eq!(reflected["methods"].as_array().map(Vec::len), Some(7));
}

/// HTTP/2 lets a connection have 100 streams, so that a process needs several to have too many.
#[test]
fn a_process_that_opens_too_many_streams_is_refused_and_others_are_served() {
    let (sockets, _installation) = joined(&estate(""));
    let greedy = Watching::start(discovery(&sockets, "node-1", &["flood", "256"]));
    assert_eq!(greedy.line(), "{\"open\": 256}");
    let refused: Value = serde_json::from_str(&greedy.line()).expect("JSON");
    let why = "the process has too many requests open: at most 256 at once";
    assert_eq!(refused, json!({"code": "UNAVAILABLE", "details": why}));
    sockets.go("node-1", &["x509"]).ended(0);
}
