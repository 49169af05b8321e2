//! Whom the agent trusts: the authorities of its trust domain, as its settings name them at first contact and control says
//! them from then on. They are kept on disk: by the time that the agent is started again, those of the settings may be gone, or
//! revoked. The settings' file counts again only once somebody has written another one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credential::{Authorities, BadBundle, Bundle, digest_of};
use issuer::BACKDATE;
use model::TrustDomain;
use net::causes::chain;
use net::files::write_whole;
use net::{Connections, Stop};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::sleep;

use crate::known::Known;
use crate::workload::Node;

/// What control said last, beside the agent's SVID.
const KEPT: &str = "svid/bundle.pem";
/// And the digest of the settings' file of that moment.
const BESIDE: &str = "svid/bundle.ca";
/// How often it is looked whether the settings' file is another.
const LOOK: Duration = Duration::from_secs(5);
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

/// The file of the settings, and where the agent keeps what control said.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub ca: PathBuf,
    pub directory: PathBuf,
    pub domain: TrustDomain,
}

impl Places {
    /// The authorities that control said last. Those of the settings' file count beside them where it is another one than it was
    /// then, and alone where control has said nothing yet.
    ///
    /// # Errors
    /// [`Untrusted`]; what control said last and cannot be read is passed over.
    pub(crate) fn known_before(&self) -> Result<Authorities, Untrusted> {
        let Self { ca, directory, domain } = self;
        let pem = std::fs::read(ca).map_err(|source| Untrusted::Io { path: ca.to_owned(), source })?;
        let mut certificates = std::fs::read(directory.join(KEPT)).map(|pem| read(&pem)).unwrap_or_default();
        if certificates.is_empty() || self.is_another(&pem) {
            let named = read(&pem);
            if named.is_empty() {
                return Err(Untrusted::None { path: ca.to_owned(), domain: domain.clone() });
            }
            certificates.extend(named.into_iter().filter(|der| !certificates.contains(der)).collect::<Vec<_>>());
        }
        let bundle = bundle(domain, &certificates);
        Ok(Authorities::new([bundle.map_err(|source| Untrusted::Bundle { path: ca.to_owned(), source })?]))
    }

    /// Whether this is not what the settings' file was when control spoke last.
    fn is_another(&self, pem: &[u8]) -> bool {
        let then = std::fs::read_to_string(self.directory.join(BESIDE)).unwrap_or_default();
        then != digest_of(pem).to_string()
    }

    /// Keeps what control says.
    fn keep(&self, pem: &str) -> std::io::Result<()> {
        write_whole(&self.directory.join(KEPT), pem.as_bytes(), PUBLIC)?;
        let named = std::fs::read(&self.ca)?;
        write_whole(&self.directory.join(BESIDE), digest_of(&named).to_string().as_bytes(), PUBLIC)
    }
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
pub(crate) fn own(known: &Known, domain: &TrustDomain) -> Option<Arc<Authorities>> {
    Some(Arc::clone(&known.bundles.get(domain)?.authorities))
}

/// Trusts whom control says, and forgets what tainted keys signed, until asked to stop.
pub(crate) async fn keep(node: Arc<Node>, ways: [Connections; 2], places: Places, mut stop: Stop) {
    let mut known = node.known.clone();
    let (mut written, mut tainted, mut seen) = (String::new(), Vec::new(), Vec::new());
    loop {
        tokio::select! {
            () = stop.asked() => return,
            changed = known.changed() => if changed.is_err() { return },
            () = sleep(LOOK) => {
                let named = std::fs::read(&places.ca).unwrap_or_default();
                if named != seen && places.is_another(&named)
                    && let Ok(trusted) = places.known_before()
                {
                    tracing::info!(ca = %places.ca.display(), "the settings' file is another one: whom it names is trusted, too");
                    ways.iter().for_each(|way| way.trust(trusted.clone()));
                    // until control speaks again
                    written.clear();
                }
                seen = named;
                continue;
            }
        }
        let now = known.borrow_and_update().clone();
        let Some(bundle) = now.bundles.get(&node.domain) else { continue };
        if bundle.pem != written {
            for connections in &ways {
                connections.trust(Arc::clone(&bundle.authorities));
            }
            if let Err(error) = places.keep(&bundle.pem) {
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

#[cfg(test)]
mod tests;
