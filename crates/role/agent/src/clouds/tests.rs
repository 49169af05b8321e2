//! What is said to clouds, what is made of their answers, and what settings may say of them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use net::Metadata;
use net::causes::chain;

use super::{KeySource, Keys, encoded};
use crate::evidence::Means;
use crate::settings::agent_settings;

#[test]
fn an_audience_is_one_value_of_a_query_whatever_stands_in_it() {
    assert_eq!(encoded("https://a.test/b c&d=é#"), "https%3A%2F%2Fa.test%2Fb%20c%26d%3D%C3%A9%23");
    assert_eq!(encoded("aZ09-._~"), "aZ09-._~");
}

/// A metadata service that gives these answers, each on a connection of its own; and what it was asked.
fn saying(answers: &[(&'static str, &'static str)]) -> (Metadata, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let metadata = Metadata::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let answers = answers.to_vec();
    let asked = thread::spawn(move || {
        let answer = |(status, body): (&str, &str)| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap();
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..read]).lines().next().unwrap_or_default().to_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (metadata, asked)
}

#[tokio::test]
async fn a_role_whose_name_is_a_path_is_not_asked_for() {
    let (metadata, asked) = saying(&[("200 OK", "session"), ("200 OK", "../../user-data")]);
    let failed = Keys::find(&KeySource::Metadata(metadata)).await.err().unwrap();
    assert_eq!((chain(&failed).as_str(), failed.passes()), ("what the metadata service says is not understood", false));
    assert_eq!(
        asked.join().unwrap(),
        ["PUT /latest/api/token HTTP/1.1", "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1"]
    );
}

#[tokio::test]
async fn a_metadata_service_that_is_not_ready_yet_is_asked_again() {
    for (status, passes) in [
        ("404 Not Found", true),
        ("503 Unavailable", true),
        ("429 Slow", true),
        ("403 Forbidden", false),
        ("302 Found", false),
    ] {
        let (metadata, _asked) = saying(&[(status, "")]);
        let failed = Keys::find(&KeySource::Metadata(metadata)).await.err().unwrap();
        assert_eq!(failed.passes(), passes, "{}", chain(&failed));
    }
    let nobody = Metadata::new("http://127.0.0.1:9").unwrap();
    let failed = Keys::find(&KeySource::Metadata(nobody)).await.err().unwrap();
    assert!(failed.passes() && chain(&failed).starts_with("the metadata service does not answer: cannot connect: "));
}

/// What settings with this under `attestation` say, or the problem with them.
fn settings(attestation: &str) -> Result<Means, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.yaml");
    let text = format!(
        "environment: production\ntrustDomain: prod.acme.test\ndirectory: agent\nservers: [\"https://127.0.0.1:8444\"]\nca: ca.pem\n\
         socket: agent.sock\nattestation:\n  source: cloud\n  {attestation}\n"
    );
    std::fs::write(&path, text).unwrap();
    agent_settings(&path).map(|settings| settings.attestation.unwrap().by).map_err(|bad| chain(&bad))
}

#[test]
fn a_cloud_is_where_it_is_unless_settings_say_otherwise() {
    let metadata = Metadata::new(Metadata::DEFAULT).unwrap();
    assert_eq!(settings("aws_iid: {}").unwrap(), Means::AwsIid { metadata: metadata.clone() });
    let audience = "countersign".to_owned();
    assert_eq!(settings("gcp_iit: {audience: countersign}").unwrap(), Means::Google { audience, metadata });
    let Means::AwsSts { sts } = settings("aws_sts: {region: cn-north-1, credentials: environment}").unwrap() else {
        panic!("another method")
    };
    assert_eq!((sts.remote.url(), sts.keys), ("https://sts.cn-north-1.amazonaws.com.cn/", KeySource::Environment));
    assert!(matches!(settings("azure_msi: {tokenFile: token}").unwrap(), Means::Token { .. }));
}

#[test]
fn settings_that_would_send_keys_elsewhere_are_refused() {
    for (attestation, expected) in [
        (
            "aws_iid: {metadata: \"http://metadata.test\"}",
            "`http://metadata.test` is no metadata service: expected `http://`",
        ),
        ("aws_sts: {region: \"eu.evil.test/\"}", "`eu.evil.test/` is no region, such as `eu-central-2`"),
        ("aws_sts: {region: eu-central-2, endpoint: \"http://sts.test/\"}", "`http://sts.test/`: expected `https://`"),
        ("aws_sts: {region: eu-central-2, credentials: anywhere}", "expected `metadata` or `environment`"),
        ("aws_jwt: {region: eu-central-2}", "audience"),
        (
            "aws_iid: {}\n  gcp_iit: {audience: a}",
            "a node proves itself in exactly one way: `x509pop`, `tpm`, `k8s_psat`, `gcp_iit`, ",
        ),
    ] {
        let refused = settings(attestation).unwrap_err();
        assert!(refused.contains(expected), "{attestation}: {refused}");
    }
}
