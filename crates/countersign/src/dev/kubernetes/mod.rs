//! A slice of a Kubernetes API server, for trying node attestation without a cluster: nodes, service accounts and pods as objects, tokens
//! for pods (`TokenRequest`), what holds of a token (`TokenReview`), and the keys that sign them. It refuses what a real one
//! refuses: a stranger, a right that is not given, a token of a pod that is gone, an audience that is not asked for.

mod door;
mod tokens;
mod world;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use net::files::write_whole;
use net::tls::{self, BadSvid, OwnSvid};
use net::{Listener, challenge, interrupted, serve, stop};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;

use self::door::ApiServer;
use self::tokens::Signing;
use crate::fakes::BadKey;

/// What a program finds in the directory once it accepts.
const READY: &str = "kubernetes.json";

/// How it was asked to run.
#[derive(Debug, Clone)]
pub struct KubernetesOptions {
    pub directory: PathBuf,
    pub listen: SocketAddr,
    /// A certificate and its key in PEM; without them, plain HTTP.
    pub pair: Option<(PathBuf, PathBuf)>,
}

/// Where it is, and by which tokens it is used.
#[derive(Debug, Serialize)]
pub struct KubernetesReady {
    pub pid: u32,
    pub url: String,
    /// A file with the token of who may do everything.
    pub admin: PathBuf,
    /// A file with the token of who may review tokens, and read pods and nodes.
    pub reviewer: PathBuf,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesFailed {
    #[error("{address} is not a loopback address; `dev` is for this machine alone")]
    NotLoopback { address: SocketAddr },
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot use its key")]
    Key(#[from] BadKey),
    #[error("`{}` cannot be read as PEM", .path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("the certificate cannot be used")]
    Pair(#[from] BadSvid),
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
}

/// Runs until interrupted. `ready` hears when it accepts.
///
/// # Errors
/// [`KubernetesFailed`].
pub async fn kubernetes(
    options: KubernetesOptions,
    ready: impl FnOnce(&KubernetesReady),
) -> Result<(), KubernetesFailed> {
    let KubernetesOptions { directory, listen, pair } = options;
    if !listen.ip().is_loopback() {
        return Err(KubernetesFailed::NotLoopback { address: listen });
    }
    let mut interrupted = interrupted().map_err(KubernetesFailed::Signals)?;
    std::fs::create_dir_all(&directory).map_err(|source| KubernetesFailed::Io { path: directory.clone(), source })?;
    let (admin, reviewer) = (secret(&directory, "admin.token")?, secret(&directory, "reviewer.token")?);
    let failed = |source| KubernetesFailed::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (scheme, listener) = match pair {
        None => ("http", Listener::Tcp(listener)),
        Some((cert, key)) => ("https", Listener::Tls(listener, tls::open(installed(&cert, &key)?))),
    };
    let url = format!("{scheme}://{address}");
    let door = ApiServer::new(Signing::open(&directory)?, &url, [admin.1, reviewer.1]);
    let (stopper, stopped) = stop();
    let serving = tokio::spawn(serve(listener, Arc::new(door), stopped));
    let about = KubernetesReady { pid: std::process::id(), url, admin: admin.0, reviewer: reviewer.0 };
    let path = directory.join(READY);
    write_whole(&path, format!("{}\n", json!(about)).as_bytes(), 0o644)
        .map_err(|source| KubernetesFailed::Io { path: path.clone(), source })?;
    ready(&about);
    interrupted.asked().await;
    let _ = std::fs::remove_file(&path);
    stopper.stop();
    // it ends once nobody is served any more
    let _ = serving.await;
    Ok(())
}

/// A token of 32 random bytes in a file that its owner alone reads, made anew with each start.
fn secret(directory: &Path, name: &str) -> Result<(PathBuf, String), KubernetesFailed> {
    let path = directory.join(name);
    let token: String = challenge().iter().map(|byte| format!("{byte:02x}")).collect();
    write_whole(&path, token.as_bytes(), 0o600)
        .map_err(|source| KubernetesFailed::Io { path: path.clone(), source })?;
    Ok((path, token))
}

fn installed(cert: &Path, key: &Path) -> Result<Arc<OwnSvid>, KubernetesFailed> {
    let unread = |path: &Path| {
        let path = path.to_owned();
        |source| KubernetesFailed::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain: Vec<Vec<u8>> = chain.map_err(unread(cert))?.iter().map(|der| der.to_vec()).collect();
    let key = PrivatePkcs8KeyDer::from_pem_file(key).map_err(unread(key))?;
    let own = Arc::<OwnSvid>::default();
    own.install(&chain, key.secret_pkcs8_der())?;
    Ok(own)
}
