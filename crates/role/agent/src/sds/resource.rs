//! What is sent under one name, as Envoy takes it.

use std::sync::Arc;

use issuer::pem;
use model::TrustDomain;
use prost::Message;
use prost_types::Any;
use wire::envoy::config::core::v3::data_source::Specifier;
use wire::envoy::config::core::v3::{DataSource, TypedExtensionConfig};
use wire::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use wire::envoy::extensions::transport_sockets::tls::v3::spiffe_cert_validator_config::TrustDomain as Validated;
use wire::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, SpiffeCertValidatorConfig, TlsCertificate,
};

use super::asked::Validation;
use crate::svids::X509Svid;

/// The one type of resources here.
pub(super) const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
/// The extension of Envoy that chooses authorities by the trust domain of the certificate, and its settings' type.
const VALIDATOR: &str = "envoy.tls.cert_validator.spiffe";
const VALIDATOR_CONFIG: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";

/// A trust domain, and the authorities of its SVIDs in PEM.
pub(super) type Trusted = (TrustDomain, String);

/// An SVID, or bundles.
#[derive(PartialEq, Eq)]
pub(super) enum Resource {
    Svid { name: String, svid: Arc<X509Svid> },
    Bundles { name: String, bundles: Vec<Trusted>, validation: Validation },
}

impl Resource {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Svid { name, .. } | Self::Bundles { name, .. } => name,
        }
    }

    pub(super) fn encoded(&self) -> Any {
        let (name, content) = match self {
            Self::Svid { name, svid } => (name, Type::TlsCertificate(certificate(svid))),
            Self::Bundles { name, bundles, validation } => {
                (name, Type::ValidationContext(context(bundles, *validation)))
            }
        };
        any(SECRET, &Secret { name: name.clone(), r#type: Some(content) })
    }
}

fn certificate(svid: &X509Svid) -> TlsCertificate {
    let chain = svid.certificates.iter().map(|der| pem::encode("CERTIFICATE", der)).collect();
    TlsCertificate {
        certificate_chain: Some(inline(chain)),
        private_key: Some(inline(pem::encode("PRIVATE KEY", &svid.key))),
    }
}

fn context(bundles: &[Trusted], validation: Validation) -> CertificateValidationContext {
    match validation {
        Validation::Authorities => CertificateValidationContext {
            trusted_ca: bundles.first().map(|(_, authorities)| inline(authorities.clone())),
            custom_validator_config: None,
        },
        Validation::Spiffe => {
            let trusted = |(domain, authorities): &Trusted| Validated {
                name: domain.to_string(),
                trust_bundle: Some(inline(authorities.clone())),
            };
            let config = SpiffeCertValidatorConfig { trust_domains: bundles.iter().map(trusted).collect() };
            let typed_config = Some(any(VALIDATOR_CONFIG, &config));
            CertificateValidationContext {
                trusted_ca: None,
                custom_validator_config: Some(TypedExtensionConfig { name: VALIDATOR.to_owned(), typed_config }),
            }
        }
    }
}

fn inline(pem: String) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineBytes(pem.into())) }
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}
