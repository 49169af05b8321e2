//! An issuer over TLS, served by `openssl`: believed under the roots that the estate names, and from where it says (E40).

use std::fs;

use serde_json::json;

use super::{code, key, reader, token};
use crate::harness::{Dev, Estate, FileServer, folder};

#[test]
fn an_issuer_proves_itself_under_the_roots_that_are_named() {
    let folder = folder();
    let folder = folder.path();
    let server = FileServer::start(folder);
    server.says("jwks", &json!({"keys": [key("tls")]}).to_string());
    let url = format!("url: \"https://localhost:{}/jwks\"", server.port);
    let named = format!("{url}, ca: keys/issuer-ca.pem");
    let private = "    dangerouslyAllowPrivateAddresses: true\n";
    let mut estate =
        Estate::ours().file("keys/issuer-ca.pem", &fs::read_to_string(folder.join("ca.pem")).expect("roots"));
    for (source, jwks, more) in [("believed", &named, private), ("strange", &url, private), ("inside", &named, "")] {
        estate = reader(estate.fetched(source, jwks, more), source);
    }
    let dev = Dev::serving(&estate);
    dev.get("/invoices/1", &token("believed", "tls")).is(200);
    for source in ["strange", "inside"] {
        let refused = dev.get("/invoices/1", &token(source, "tls")).is(401);
        assert_eq!(code(&dev, &refused), "keys_unavailable", "{source}");
    }
    let log = dev.log();
    let inside = "127.0.0.1 is a loopback address; write `dangerouslyAllowPrivateAddresses: true` if that is meant";
    assert!(log.contains(inside) || log.contains("::1 is a loopback address"), "{log}");
    assert!(log.contains("no TLS with the server: ") || log.contains("no root certificates"), "{log}");
}
