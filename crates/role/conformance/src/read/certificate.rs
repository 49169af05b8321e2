//! What a certificate says, rule by rule.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Most certificates that are read of one sequence.
const MAX: usize = 256;

/// What one certificate says; of an extension that stands twice, or cannot be read, nothing.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) uris: Vec<String>,
    pub(crate) is_authority: bool,
    pub(crate) usage: Option<Usage>,
    pub(crate) extended: Option<Extended>,
    pub(crate) has_subject: bool,
    /// Of the subject's other names; none without any.
    pub(crate) names_critical: Option<bool>,
    /// The public key, as the certificate's bit string has it.
    pub(crate) key: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) critical: bool,
    pub(crate) digital_signature: bool,
    pub(crate) key_cert_sign: bool,
    pub(crate) crl_sign: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Extended {
    pub(crate) server: bool,
    pub(crate) client: bool,
}

impl Certificate {
    /// The SPIFFE ID, where there is exactly one URI name.
    pub(crate) fn only_uri(&self) -> Option<&str> {
        if let [only] = self.uris.as_slice() { Some(only) } else { None }
    }
}

/// Certificates in DER, one after the other and nothing between.
///
/// # Errors
/// What is there instead.
pub(crate) fn sequence(mut bytes: &[u8]) -> Result<Vec<Certificate>, String> {
    if bytes.starts_with(b"-----BEGIN") {
        return Err("PEM".to_owned());
    }
    let mut read = Vec::new();
    while !bytes.is_empty() {
        let Ok((rest, parsed)) = X509Certificate::from_der(bytes) else {
            let start: String = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            return Err(format!("no DER certificate after {} of them: {start}…", read.len()));
        };
        if read.len() == MAX {
            return Err(format!("more than {MAX} certificates"));
        }
        let der = bytes.get(..bytes.len() - rest.len()).unwrap_or_default().to_vec();
        read.push(facts(&parsed, der));
        bytes = rest;
    }
    Ok(read)
}

fn facts(parsed: &X509Certificate<'_>, der: Vec<u8>) -> Certificate {
    let names = parsed.subject_alternative_name().ok().flatten();
    let uri = |name: &GeneralName<'_>| if let GeneralName::URI(uri) = name { Some((*uri).to_owned()) } else { None };
    let usage = parsed.key_usage().ok().flatten();
    let extended = parsed.extended_key_usage().ok().flatten();
    Certificate {
        der,
        uris: names.iter().flat_map(|names| &names.value.general_names).filter_map(uri).collect(),
        is_authority: parsed.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca),
        usage: usage.map(|usage| Usage {
            critical: usage.critical,
            digital_signature: usage.value.digital_signature(),
            key_cert_sign: usage.value.key_cert_sign(),
            crl_sign: usage.value.crl_sign(),
        }),
        extended: extended
            .map(|extended| Extended { server: extended.value.server_auth, client: extended.value.client_auth }),
        has_subject: parsed.subject().iter().next().is_some(),
        names_critical: names.map(|names| names.critical),
        key: parsed.public_key().subject_public_key.data.to_vec(),
    }
}
