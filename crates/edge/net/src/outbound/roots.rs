//! Whose word is taken for a server's name: the platform's root certificates, or exactly those that an estate names.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::{ClientConfig, RootCertStore};

use super::anyone::Anyone;

/// Most certificates in a file of roots.
const MAX_ROOTS: usize = 100;

/// Root certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// What the platform trusts, read for every fetch: a root that its operator removed is gone.
    Platform,
    /// These and no others.
    Only(Arc<[CertificateDer<'static>]>),
    /// None: whoever answers is believed. Only for what settings say in words that start with `dangerously`.
    DangerouslyAnyone,
}

/// Why certificates cannot be roots.
#[derive(Debug, thiserror::Error)]
pub enum BadRoots {
    #[error("it cannot be read as PEM")]
    Pem(#[source] pem::Error),
    #[error("part {place} is not a certificate; a file of roots holds certificates only")]
    NotACertificate { place: usize },
    #[error("certificate {place} cannot be a root")]
    Certificate { place: usize, source: rustls::Error },
    #[error("it holds no certificate")]
    None,
    #[error("it holds more than {MAX_ROOTS} certificates")]
    TooMany,
    #[error("the platform has no root certificates; name a file of them as `ca`")]
    Platform,
    #[error("the platform's protocol versions cannot be used")]
    Versions(#[source] rustls::Error),
    #[error("reading the platform's root certificates was stopped")]
    Stopped(#[from] tokio::task::JoinError),
}

impl Roots {
    /// Exactly the certificates of a PEM text.
    ///
    /// # Errors
    /// [`BadRoots`].
    pub fn only(text: &str) -> Result<Self, BadRoots> {
        let mut certificates = Vec::new();
        for (place, part) in (1..).zip(<(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes())) {
            let (SectionKind::Certificate, der) = part.map_err(BadRoots::Pem)? else {
                return Err(BadRoots::NotACertificate { place });
            };
            let certificate = CertificateDer::from(der);
            let accepted = RootCertStore::empty().add(certificate.clone());
            accepted.map_err(|source| BadRoots::Certificate { place, source })?;
            certificates.push(certificate);
            if certificates.len() > MAX_ROOTS {
                return Err(BadRoots::TooMany);
            }
        }
        if certificates.is_empty() { Err(BadRoots::None) } else { Ok(Self::Only(certificates.into())) }
    }

    /// TLS 1.2 and 1.3 towards a server under these roots.
    ///
    /// # Errors
    /// [`BadRoots`].
    pub(super) async fn config(&self) -> Result<ClientConfig, BadRoots> {
        let mut store = RootCertStore::empty();
        match self {
            Self::Platform => {
                // what cannot be read of the platform's is left out: a name under it is then not believed
                let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await?;
                store.add_parsable_certificates(found.certs);
            }
            Self::Only(certificates) => {
                store.add_parsable_certificates(certificates.iter().cloned());
            }
            Self::DangerouslyAnyone => {}
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(BadRoots::Versions)?;
        let builder = if *self == Self::DangerouslyAnyone {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        } else if store.is_empty() {
            return Err(BadRoots::Platform);
        } else {
            builder.with_root_certificates(store)
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
