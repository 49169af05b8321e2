//! The other parties: an authority and its certificates, token issuers, and the service behind the gateway.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use issuer::pem;
use model::Time;
use rcgen::SanType;
use serde_json::{Value, json};
use testkit::TestCa;
use tokio::net::TcpListener;
use tokio::runtime;

pub const DOMAIN: &str = "prod.bench.test";
/// Under which everything here is reached.
pub const HOST: &str = "localhost";
pub const AUDIENCE: &str = "https://billing.bench.test";
/// The caller, by certificate and by token.
pub const CALLER: &str = "spiffe://prod.bench.test/billing/reporter";
/// What is asked for.
pub const TARGET: &str = "/invoices/1";
/// Bytes that the service answers with.
const ANSWER: usize = 512;
/// A pause after which whoever accepts tries again.
const BREATH: Duration = Duration::from_millis(10);

/// A certificate and its key in PEM, and the authority's certificate.
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

/// Certificates of a server and of its caller, below one authority, in this folder.
pub fn certificates(folder: &Path) -> (Identity, Identity) {
    let authority = TestCa::new(DOMAIN, now(), |_| {});
    let ca = folder.join("ca.pem");
    fs::write(&ca, pem::encode("CERTIFICATE", &authority.certificate())).expect("a folder of ours");
    let identity = |name: &str, (cert, key): (Vec<u8>, Vec<u8>)| {
        let identity = Identity {
            cert: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
            authority: ca.clone(),
        };
        fs::write(&identity.cert, pem::encode("CERTIFICATE", &cert)).expect("a folder of ours");
        fs::write(&identity.key, pem::encode("PRIVATE KEY", &key)).expect("a folder of ours");
        identity
    };
    let server = authority.leaf(&format!("spiffe://{DOMAIN}/gateway"), now(), |params| {
        params.subject_alt_names.push(SanType::DnsName(HOST.try_into().expect("ASCII")));
    });
    let caller = authority.leaf(CALLER, now(), |_| {});
    (identity("server", server), identity("caller", caller))
}

/// An issuer of tokens.
pub struct Issuer {
    pub name: String,
    key: Key,
    kid: String,
}

enum Key {
    Es256(EcdsaKeyPair),
    Rs256(Box<RsaKeyPair>),
}

impl Issuer {
    pub fn es256(name: &str, kid: &str) -> Self {
        let made = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { name: name.to_owned(), key: Key::Es256(made), kid: kid.to_owned() }
    }

    pub fn rs256(name: &str, kid: &str) -> Self {
        let made = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { name: name.to_owned(), key: Key::Rs256(Box::new(made)), kid: kid.to_owned() }
    }

    pub const fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Es256(_) => "ES256",
            Key::Rs256(_) => "RS256",
        }
    }

    /// What the issuer calls itself.
    pub fn url(&self) -> String {
        format!("https://issuer.bench.test/{}", self.name)
    }

    pub fn key_set(&self) -> Value {
        let mut jwk = json!({"use": "sig", "alg": self.algorithm(), "kid": self.kid});
        match &self.key {
            Key::Es256(key) => {
                // an uncompressed point: 4, x, y
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                (jwk["kty"], jwk["crv"]) = (json!("EC"), json!("P-256"));
                (jwk["x"], jwk["y"]) = (json!(base64url(x)), json!(base64url(y)));
            }
            Key::Rs256(key) => {
                let public = key.public_key();
                jwk["kty"] = json!("RSA");
                jwk["n"] = json!(base64url(public.modulus().big_endian_without_leading_zero()));
                jwk["e"] = json!(base64url(public.exponent().big_endian_without_leading_zero()));
            }
        }
        json!({"keys": [jwk]})
    }

    /// A token of the caller's; `id` makes it unlike every other.
    pub fn token(&self, id: &str) -> String {
        let now = now().as_micros() / 1_000_000;
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.kid});
        let claims = json!({
            "iss": self.url(), "sub": CALLER, "aud": AUDIENCE, "iat": now, "exp": now + 3600, "jti": id,
        });
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Es256(key) => key.sign(&random, signed.as_bytes()).expect("a signature").as_ref().to_vec(),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("a signature");
                signature
            }
        };
        format!("{signed}.{}", base64url(signature))
    }
}

/// A service that gives the same answer to everything, on a thread of its own for as long as this process lives.
pub fn service() -> SocketAddr {
    let body = Bytes::from(vec![b'x'; ANSWER]);
    serve(move |_| body.clone())
}

/// Serves documents by their paths, likewise.
pub fn serve(document: impl Fn(&str) -> Bytes + Clone + Send + 'static) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a socket");
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(BREATH).await;
                    continue;
                };
                stream.set_nodelay(true).expect("a socket");
                let document = document.clone();
                let answer = service_fn(move |request: Request<Incoming>| {
                    let mut answer = Response::new(Full::new(document(request.uri().path())));
                    let json = header::HeaderValue::from_static("application/json");
                    answer.headers_mut().insert(header::CONTENT_TYPE, json);
                    async { Ok::<_, Infallible>(answer) }
                });
                // how it ends is the caller's business
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
    });
    address
}

pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Time::from_micros(i64::try_from(since.as_micros()).expect("a sane clock"))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
