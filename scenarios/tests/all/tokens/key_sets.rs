//! Key sets from afar: what is not exactly a set of public keys makes its source answer `keys_unavailable`, for all the
//! others nothing changes, and `apply` is not held up by it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{changed, job};
use crate::harness::{Dev, Estate, Mint, ci_claims};

/// Serves a document for each path; other paths get what their name says.
fn publisher(documents: Vec<(String, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let documents = documents.clone();
            thread::spawn(move || {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                let found = documents.iter().find(|(name, _)| path == format!("/{name}"));
                let answer = match (found, path.as_str()) {
                    (Some((_, body)), _) => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
                    (None, "/redirect") => {
                        "HTTP/1.1 302 Found\r\nlocation: /good\r\ncontent-length: 0\r\n\r\n".to_owned()
                    }
                    (None, "/silent") => {
                        thread::sleep(Duration::from_secs(15));
                        String::new()
                    }
                    (None, "/failing") => "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
                    (None, _) => "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n".to_owned(),
                };
                // whoever hung up wanted no answer
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    url
}

#[test]
fn a_set_that_is_not_exactly_public_keys_is_no_set() {
    let key = Mint::shared().key("github");
    let with = |over: Value| changed(key.clone(), &over);
    let set = |keys: &[Value]| json!({ "keys": keys }).to_string();
    let good = set(std::slice::from_ref(&key));
    let named = |name: &str, document: String| (name.to_owned(), document);
    let mut documents = vec![
        // A7
        named("private", set(&[with(json!({"d": "AQAB"}))])),
        named("symmetric", set(&[key.clone(), json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"})])),
        named("repeated", set(&[key.clone(), with(json!({"alg": "PS256"}))])),
        named("many", set(&(0..101).map(|n| with(json!({"kid": format!("k{n}")}))).collect::<Vec<_>>())),
        named("huge", format!("{}{}", " ".repeat(2 << 20), good)),
        named("twins", good.replacen('{', "{\"keys\":[],", 1)),
        named("empty", set(&[])),
        named("text", "not JSON".to_owned()),
        named("small", set(&[with(json!({"n": "AQAB"}))])),
        named("list", format!("[{key}]")),
        named("good", good.clone()),
    ];
    documents.extend(["redirect", "silent", "failing", "missing"].map(|name| named(name, String::new())));
    let served: Vec<(String, String)> = documents.iter().filter(|(_, text)| !text.is_empty()).cloned().collect();
    let url = publisher(served);
    let mut estate = Estate::ours();
    for (name, _) in &documents {
        estate = estate.document(&format!(
            "kind: TrustSource\nmetadata: {{name: {name}}}\nspec:\n  proves: [Job]\n  oidc: {{issuer: \"https://issuer.acme.test/{name}\", \
             jwks: {{url: \"{url}/{name}\"}}, audiences: [https://billing.acme.test], algorithms: [RS256], \
             requiredClaims: [iss, sub, aud, exp, iat], maxAge: 10m, dangerouslyAllowLoopbackHttp: true}}\n  \
             identityKey: [repository_owner_id, repository_id]"
        ));
    }
    let dev = Dev::serving(&estate);
    let mint = Mint::shared();
    let answers: Vec<String> = documents
        .iter()
        .map(|(name, _)| {
            let token = mint.ci(&job(&json!({"iss": format!("https://issuer.acme.test/{name}")})));
            dev.get("/invoices/1", &token).is(401).record().to_owned()
        })
        .collect();
    dev.get("/invoices/1", &mint.ci(&ci_claims())).is(200);
    let judgements = dev.judgements();
    for ((name, _), id) in documents.iter().zip(&answers) {
        // the good one has keys, and nobody is bound to what they prove
        let code = if name == "good" { "principal_unknown" } else { "keys_unavailable" };
        assert_eq!(judgements[id]["verdicts"][0]["code"], code, "{name}");
    }
}
