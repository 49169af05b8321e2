//! An issuer over TLS, served by `openssl`: believed under the roots that the estate names, and from where it says (E40).

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::json;

use super::{code, key, reader, token};
use crate::harness::{Dev, Estate, command, end, finish, folder};

/// `openssl s_server`, which serves files as they are.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let words = ["s_server", "-accept", "127.0.0.1:0", "-cert", "leaf.pem", "-key", "leaf.key", "-HTTP"];
        let mut openssl = command(Path::new("openssl"), &words);
        openssl.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = openssl.spawn().expect("openssl starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let accepts = lines.find_map(|line| line.ok()?.strip_prefix("ACCEPT ").map(str::to_owned));
        // what it says of each connection has to be read
        std::thread::spawn(move || lines.for_each(drop));
        let port = accepts.and_then(|place| place.rsplit_once(':').map(|(_, port)| port.to_owned()));
        Self { child, port: port.expect("its place") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn openssl(folder: &Path, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let mut openssl = command(Path::new("openssl"), &words);
    openssl.current_dir(folder);
    finish(openssl, b"").ended(0);
}

/// An authority, and a certificate for `localhost` under it.
fn issue(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=issuer-ca"));
    openssl(folder, &format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=issuer"));
    fs::write(folder.join("ext"), "subjectAltName=DNS:localhost\n").expect("it can be written");
    let words = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem";
    openssl(folder, words);
}

#[test]
fn an_issuer_proves_itself_under_the_roots_that_are_named() {
    let folder = folder();
    let folder = folder.path();
    issue(folder);
    let body = json!({"keys": [key("tls")]}).to_string();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    fs::write(folder.join("jwks"), answer).expect("it can be written");
    let server = Server::start(folder);
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
