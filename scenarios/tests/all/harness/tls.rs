//! TLS as callers speak it: with a certificate, or with none.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::process::command;
use super::{Conn, Dev, Estate, HOST, Ran, binary, finish};

pub type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A certificate, with what stands above it, and its key; in PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// What `svid mint` leaves in a folder.
    pub fn under(folder: &Path) -> Self {
        Self { cert: folder.join("svid.pem"), key: folder.join("svid.key") }
    }
}

/// Shakes hands with whoever listens at `address` as `host` under `ca`. A server that refuses our certificate says so only
/// after we are done: with the first read.
pub fn shake_hands(address: &str, host: &'static str, ca: &Path, identity: Option<&Identity>) -> io::Result<Conn> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(ca).expect("authorities") {
        roots.add(authority.expect("a CA")).expect("a CA that can be used");
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { cert, key }) => {
            let chain = CertificateDer::pem_file_iter(cert).expect("certificates").map(|der| der.expect("PEM"));
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            config.with_client_auth_cert(chain.collect(), key).expect("a certificate and its key")
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a sound configuration");
    let tcp = TcpStream::connect(address)?;
    tcp.set_nodelay(true)?;
    let mut stream = StreamOwned::new(connection, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Conn::over(stream))
}

impl Dev {
    /// `host:port` of the gateway's TLS port.
    pub fn secure(&self) -> &str {
        self.word("/gateway/https").trim_start_matches("https://")
    }

    pub fn ca(&self) -> PathBuf {
        PathBuf::from(self.word("/ca"))
    }

    /// The SVID of a sample workload.
    pub fn svid(&self, name: &str) -> Identity {
        let file = |what| PathBuf::from(self.word(&format!("/svids/{name}/{what}")));
        Identity { cert: file("cert"), key: file("key") }
    }

    /// Has an SVID minted into a folder of that name.
    pub fn mint(&self, id: &str, folder: &str, more: &[&str]) -> Ran {
        let folder = self.path(folder);
        let args = [&["svid", "mint", id, "--out", folder.to_str().expect("a plain path")], more].concat();
        self.cli(&args)
    }

    /// An SVID of its own for a principal.
    pub fn minted(&self, id: &str, folder: &str, more: &[&str]) -> Identity {
        self.mint(id, folder, more).ended(0);
        Identity::under(&self.path(folder))
    }

    /// A connection over TLS.
    pub fn shake(&self, identity: Option<&Identity>) -> Conn {
        shake_hands(self.secure(), HOST, &self.ca(), identity).expect("hands are shaken")
    }

    /// With the authority that `init` lays out for the first start, of which an insider kept certificate and key.
    pub fn betrayed(estate: Option<&Estate>) -> (Self, Identity) {
        let mut dev = Self::idle(estate, &[]);
        let laid = dev.path("laid");
        let dir = laid.to_str().expect("a plain path");
        let args = ["init", "--environment", "production", "--trust-domain", "prod.acme.test", "--dir", dir];
        let mut init = command(&binary(), &args);
        init.env("COUNTERSIGN_CONTEXT", dev.path("context.json"));
        finish(init, b"").ended(0);
        fs::create_dir_all(dev.dir().join("keys")).expect("a folder");
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(laid.join("keys/issuer")).arg(dev.dir().join("keys"));
        finish(copy, b"").ended(0);
        dev.again();
        let folder = laid.join("keys/issuer/prod.acme.test");
        (dev, Identity { cert: folder.join("authority.pem"), key: folder.join("authority.key") })
    }
}
