//! A workload in Rust, with the crate `spiffe` as it is published. The Workload API is where `SPIFFE_ENDPOINT_SOCKET` says.
//!
//! `spiffe-peer AUDIENCE COUNT` fetches, verifies, waits for COUNT different X.509-SVIDs, and does mutual TLS with itself.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use spiffe::{JwtSource, JwtSvid, WorkloadApiClient, X509Source};
use spiffe_rustls::{authorizer, mtls_client, mtls_server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_parser::parse_x509_certificate;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, audience, count] = args.as_slice() else { return Err("expected an audience and a count".into()) };
    timeout(Duration::from_secs(60), run(audience, count.parse()?)).await?
}

async fn run(audience: &str, count: usize) -> Outcome<()> {
    let client = WorkloadApiClient::connect_env().await?;
    x509(&client).await?;
    jwt(&client, audience).await?;
    let source = X509Source::new().await?;
    rotation(&source, count).await?;
    mtls(&source).await
}

async fn x509(client: &WorkloadApiClient) -> Outcome<()> {
    let context = client.fetch_x509_context().await?;
    for svid in context.svids() {
        let domain = svid.spiffe_id().trust_domain();
        let bundle = context.bundle_set().get(domain).ok_or("no bundle")?;
        let leaf = svid.cert_chain().first().ok_or("no leaf")?;
        let (_, leaf) = parse_x509_certificate(leaf.as_bytes())?;
        let issued = |authority: &spiffe::Certificate| {
            parse_x509_certificate(authority.as_bytes())
                .is_ok_and(|(_, authority)| authority.subject() == leaf.issuer())
        };
        assert!(bundle.authorities().iter().any(issued), "no issuer of it");
        println!("svid {}", svid.spiffe_id());
    }
    for (domain, bundle) in context.bundle_set().iter() {
        println!("bundle {domain} {}", bundle.authorities().len());
    }
    println!("bundles {}", client.fetch_x509_bundles().await?.len());
    Ok(())
}

async fn jwt(client: &WorkloadApiClient, audience: &str) -> Outcome<()> {
    let source = JwtSource::new().await?;
    let svid = source.fetch_jwt_svid([audience]).await?;
    let here = JwtSvid::parse_and_validate(svid.token(), &source, &[audience])?;
    let there = client.validate_jwt_token(audience, svid.token()).await?;
    println!("jwt {} {} {}", here.spiffe_id(), there.spiffe_id(), here.audience().join(" "));
    let other = client.validate_jwt_token("another", svid.token()).await;
    println!("another audience: {}", word(other.is_err()));
    Ok(())
}

async fn rotation(source: &X509Source, count: usize) -> Outcome<()> {
    let mut updates = source.updated();
    let mut seen = BTreeSet::new();
    loop {
        let svid = source.svid()?;
        let leaf = svid.cert_chain().first().ok_or("no leaf")?;
        let (_, leaf) = parse_x509_certificate(leaf.as_bytes())?;
        assert!(leaf.validity().is_valid(), "an SVID that has ended");
        seen.insert(leaf.raw_serial_as_string());
        if seen.len() >= count {
            println!("rotated {count}");
            return Ok(());
        }
        updates.changed().await?;
    }
}

async fn mtls(source: &X509Source) -> Outcome<()> {
    let own = source.svid()?.spiffe_id().to_string();
    let server = mtls_server(source.clone()).authorize(authorizer::exact([own.as_str()])?).build()?;
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let _ = tls.write_all(b"hello").await;
                let _ = tls.shutdown().await;
            }
        }
    });
    let dial = async |id: &str| -> Outcome<String> {
        let client = mtls_client(source.clone()).authorize(authorizer::exact([id])?).build()?;
        let name = ServerName::try_from("localhost")?;
        let mut tls = TlsConnector::from(Arc::new(client)).connect(name, TcpStream::connect(address).await?).await?;
        let mut said = String::new();
        tls.read_to_string(&mut said).await?;
        Ok(said)
    };
    println!("mtls {} {own}", dial(&own).await?);
    println!("another server: {}", word(dial("spiffe://other.test/x").await.is_err()));
    Ok(())
}

fn word(refused: bool) -> &'static str {
    if refused { "refused" } else { "accepted" }
}
