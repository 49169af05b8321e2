//! TLS against real servers, under an authority of the test's own (made with `openssl`).

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::{Fetched, Plain, Reach, Remote, Roots, fetch};
use super::server;
use crate::causes::chain;

/// Makes a certificate for `name` under an authority called `ca`, both new, in `folder`.
fn issue(folder: &Path, ca: &str, name: &str) {
    let ask = |arguments: &str| {
        let words = arguments.split(' ').map(|word| word.replace('~', " "));
        let ran = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
        assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    ask(&format!("req -x509 {key} -keyout {ca}.key -out {ca}.pem -days 2 -subj /CN={ca}"));
    ask(&format!("req {key} -keyout {ca}-leaf.key -out {ca}-leaf.csr -subj /CN=leaf"));
    std::fs::write(folder.join("ext"), format!("subjectAltName=DNS:{name},IP:127.0.0.1\n")).unwrap();
    ask(&format!(
        "x509 -req -in {ca}-leaf.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 2 -extfile ext -out {ca}-leaf.pem"
    ));
}

/// Serves one document over TLS; gives its port.
async fn serve(folder: &Path, ca: &str) -> u16 {
    let certificate = CertificateDer::from_pem_file(folder.join(format!("{ca}-leaf.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{ca}-leaf.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // a client that does not believe us leaves
            let Ok(mut stream) = TlsAcceptor::from(Arc::new(config.clone())).accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

fn roots(folder: &Path, ca: &str) -> Roots {
    Roots::only(&std::fs::read_to_string(folder.join(format!("{ca}.pem"))).unwrap()).unwrap()
}

#[tokio::test]
async fn a_server_proves_its_name_under_the_roots_that_were_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    issue(folder, "ours", "localhost");
    issue(folder, "theirs", "elsewhere.test");
    let port = serve(folder, "ours").await;
    let fetched = async |url: &str, roots: Roots| {
        let remote = Remote::new(url, Reach::Loopback, Plain::Refused, roots).unwrap();
        fetch(&remote).await.map_err(|failed| chain(&failed))
    };
    let document = Ok(Fetched { document: "{}".into(), max_age: None });
    let by_name = format!("https://localhost:{port}/jwks");
    assert_eq!(fetched(&by_name, roots(folder, "ours")).await, document);
    assert_eq!(fetched(&format!("https://127.0.0.1:{port}/jwks"), roots(folder, "ours")).await, document);
    for unknown in [roots(folder, "theirs"), Roots::Platform] {
        let said = fetched(&by_name, unknown).await.unwrap_err();
        assert!(said.starts_with("no TLS with the server: ") || said.contains("no root certificates"), "{said}");
    }
    let other = serve(folder, "theirs").await;
    let said = fetched(&format!("https://localhost:{other}/jwks"), roots(folder, "theirs")).await.unwrap_err();
    assert!(said.starts_with("no TLS with the server: ") && said.contains("not valid for name"), "{said}");
    assert_eq!(fetched(&format!("https://localhost:{other}/jwks"), Roots::DangerouslyAnyone).await, document);
    let (unsecured, _heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "").await;
    let said = fetched(&format!("https://{unsecured}/"), roots(folder, "ours")).await.unwrap_err();
    assert!(said.starts_with("no TLS with the server: "), "{said}");
}

#[test]
fn a_file_of_roots_holds_certificates_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path(), "ours", "localhost");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let refused = |text: &str| Roots::only(text).map_or_else(|bad| chain(&bad), |_| String::new());
    let certificate = read("ours.pem");
    assert_eq!(refused(&certificate), "");
    assert_eq!(refused(&format!("{certificate}{certificate}")), "");
    assert_eq!(refused(""), "it holds no certificate");
    assert_eq!(
        refused(&format!("{certificate}{}", read("ours.key"))),
        "part 2 is not a certificate; a file of roots holds certificates only"
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(broken).starts_with("certificate 1 cannot be a root: "), "{}", refused(broken));
    assert!(refused("-----BEGIN CERTIFICATE-----\n*\n").starts_with("it cannot be read as PEM: "));
    assert_eq!(refused(&certificate.repeat(101)), "it holds more than 100 certificates");
}
