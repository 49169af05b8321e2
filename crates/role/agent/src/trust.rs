//! Whom the agent trusts: the authorities of its trust domain, as its settings name them at first contact and control says
//! them from then on. They are kept on disk: by the time that the agent is started again, those of the settings may be gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use credential::{Authorities, BadBundle, Bundle};
use issuer::BACKDATE;
use model::TrustDomain;
use net::causes::chain;
use net::files::write_whole;
use net::{Connections, Stop};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::known::Known;
use crate::workload::Node;

/// What control said last, beside the agent's SVID.
const KEPT: &str = "svid/bundle.pem";
const PUBLIC: u32 = 0o644;

/// Why a file names nobody to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    #[error("cannot read `{}`", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` holds no certificates of trust domain `{domain}` in PEM", .path.display())]
    None { path: PathBuf, domain: TrustDomain },
    #[error("`{}` holds a certificate that is no authority's", .path.display())]
    Bundle { path: PathBuf, source: BadBundle },
}

/// The authorities of the settings' file, and those that control said last.
///
/// # Errors
/// [`Untrusted`]; what control said last and cannot be read is passed over.
pub(crate) fn known_before(ca: &Path, directory: &Path, domain: &TrustDomain) -> Result<Authorities, Untrusted> {
    let pem = std::fs::read(ca).map_err(|source| Untrusted::Io { path: ca.to_owned(), source })?;
    let mut certificates = read(&pem);
    if certificates.is_empty() {
        return Err(Untrusted::None { path: ca.to_owned(), domain: domain.clone() });
    }
    for kept in std::fs::read(directory.join(KEPT)).map(|pem| read(&pem)).unwrap_or_default() {
        if !certificates.contains(&kept) {
            certificates.push(kept);
        }
    }
    let bundle = bundle(domain, &certificates);
    Ok(Authorities::new([bundle.map_err(|source| Untrusted::Bundle { path: ca.to_owned(), source })?]))
}

/// The bundle of a trust domain, from certificates in DER.
///
/// # Errors
/// [`BadBundle`].
pub(crate) fn bundle(domain: &TrustDomain, certificates: &[Vec<u8>]) -> Result<Bundle, BadBundle> {
    #[expect(clippy::expect_used, reason = "a literal of lower-case letters, which every source's name may be")]
    let source = credential::SVIDS.parse().expect("a source's name");
    Bundle::new(source, domain.clone(), certificates, BACKDATE)
}

/// The authorities of the agent's own trust domain, as control said last; none before it has said anything.
pub(crate) fn own(known: &Known, domain: &TrustDomain) -> Option<Authorities> {
    Some(Authorities::new([known.bundles.get(domain)?.authorities.clone()]))
}

/// Trusts whom control says, and forgets what tainted keys signed, until asked to stop.
pub(crate) async fn keep(node: Arc<Node>, ways: [Connections; 2], directory: PathBuf, mut stop: Stop) {
    let mut known = node.known.clone();
    let (mut written, mut tainted) = (String::new(), Vec::new());
    loop {
        tokio::select! {
            () = stop.asked() => return,
            changed = known.changed() => if changed.is_err() { return },
        }
        let now = known.borrow_and_update().clone();
        let Some(bundle) = now.bundles.get(&node.domain) else { continue };
        if bundle.pem != written {
            for connections in &ways {
                connections.trust(Authorities::new([bundle.authorities.clone()]));
            }
            if let Err(error) = write_whole(&directory.join(KEPT), bundle.pem.as_bytes(), PUBLIC) {
                tracing::error!(error = chain(&error), "whom to trust is not kept");
            }
            written.clone_from(&bundle.pem);
        }
        if bundle.tainted != tainted {
            tainted.clone_from(&bundle.tainted);
            node.tokens.forget();
        }
    }
}

fn read(pem: &[u8]) -> Vec<Vec<u8>> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    found.unwrap_or_default().iter().map(|der| der.to_vec()).collect()
}
