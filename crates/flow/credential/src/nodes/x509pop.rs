//! A certificate that a machine has already, from an authority that an estate names, and the proof that it holds the key.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use model::{Binding, Digest, SourceName, Time, TrustDomain};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::{EndEntityCert, aws_lc_rs as algorithms};
use x509_parser::certificate::X509Certificate;

use super::chain;
use crate::authorities::Authority;
use crate::certificate::{self, Flaw, hex};
use crate::{BadBundle, Cause, CredentialKind, Finding, digest_of, path};

/// Most authorities of one source.
const MAX_AUTHORITIES: usize = 32;
/// Most certificates between a device's and an authority that is trusted. Looked at before anything is verified: each costs a
/// Longest name that becomes a selector, in bytes.
const MAX_NAME: usize = 256;
/// What a URI name starts with that becomes a selector: `x509pop://TRUST_DOMAIN/key/value`.
const URI_NAME: &str = "x509pop://";
/// Starts every statement: no signature that was made for something else is taken for one.
const CONTEXT: &[u8] = b"countersign/attest/x509pop/1\0";
/// The same for what a request to STS is bound to.
const CONTEXT_OF_STS: &[u8] = b"countersign/attest/aws_sts/1\0";

/// Bytes of a challenge, of either side.
pub const CHALLENGE: usize = 32;
/// Random bytes, new for each attestation.
pub type Challenge = [u8; CHALLENGE];

/// By what a device's key signs the statement: one algorithm a type of key.
const POSSESSION: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
];

/// Authorities whose devices are nodes.
#[derive(Debug, Clone)]
pub struct NodeAuthorities {
    domain: TrustDomain,
    anchors: Vec<Authority>,
    /// Of each of them, SHA-1 of the certificate and what it is by SHA-256.
    fingerprints: Vec<Fingerprints>,
    digest: Digest,
}

#[derive(Debug, Clone)]
struct Fingerprints {
    sha1: String,
    sha256: Digest,
}

/// What a node presents: its certificates in DER, leaf first, and what the leaf's key signed.
#[derive(Debug)]
pub struct Possession<'a> {
    pub chain: &'a [Vec<u8>],
    pub statement: Statement<'a>,
    pub signature: &'a [u8],
}

/// What a node signs: whom it answers, and for which key it asks for an SVID.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The trust domain that it wants to be part of.
    pub domain: &'a TrustDomain,
    pub source: &'a str,
    /// Of the control plane.
    pub challenge: &'a Challenge,
    /// Of the node, so that it never signs what somebody else chose alone.
    pub nonce: &'a Challenge,
    /// The certificate request in DER.
    pub request: &'a [u8],
}

impl Statement<'_> {
    /// The bytes that are signed: each part with its length, so that no two statements have the same.
    pub fn bytes(&self) -> Vec<u8> {
        self.after(CONTEXT)
    }

    /// SHA-256 of the statement, as the header says it that is signed with a request to STS.
    pub fn bound(&self) -> String {
        digest_of(&self.after(CONTEXT_OF_STS)).to_string()
    }

    /// The same for what signs in another way: nothing that is signed for the one is taken by the other.
    pub(super) fn after(&self, context: &[u8]) -> Vec<u8> {
        let request = digest_of(self.request);
        let parts: [&[u8]; 5] =
            [self.domain.as_str().as_bytes(), self.source.as_bytes(), self.challenge, self.nonce, request.as_bytes()];
        let mut bytes = context.to_vec();
        for part in parts {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

impl NodeAuthorities {
    /// Authorities in DER, for nodes of a trust domain.
    ///
    /// # Errors
    /// [`BadBundle`] where one of them may not sign certificates.
    pub fn new(domain: TrustDomain, certificates: &[Vec<u8>]) -> Result<Self, BadBundle> {
        let anchors = chain::authorities(certificates, MAX_AUTHORITIES)?;
        let fingerprints: Vec<Fingerprints> = certificates.iter().map(|der| Fingerprints::of(der)).collect();
        let digests = fingerprints.iter().flat_map(|one| *one.sha256.as_bytes()).collect::<Vec<u8>>();
        Ok(Self { domain, anchors, fingerprints, digest: digest_of(&digests) })
    }

    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Fingerprints {
    fn of(der: &[u8]) -> Self {
        Self { sha1: hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref()), sha256: digest_of(der) }
    }
}

/// Shape and sizes first, then times, the path, and the signature over the statement.
pub(super) fn check(
    source: &SourceName,
    authorities: &NodeAuthorities,
    possession: &Possession<'_>,
    at: Time,
) -> Result<Finding, Cause> {
    let parsed = chain::shaped(possession.chain, certificate::check_device)?;
    let leaf = parsed.as_raw();
    let path = || path::verify(possession.chain, &authorities.anchors, at);
    let (particulars, path) = chain::held(&parsed, at, path)?;
    check_signature(leaf, possession)?;
    Ok(Finding {
        source: source.clone(),
        kind: CredentialKind::X509Pop,
        binding: Binding::Proof,
        key: vec![digest_of(leaf).to_string()],
        display: selectors(authorities, &parsed, &path),
        facts: BTreeSet::new(),
        credential_id: format!("serial:{}", particulars.serial),
        digest: digest_of(leaf),
        issued: Some(particulars.not_before),
        expires: Some(particulars.not_after),
        until: path.ends,
        key_id: certificate::authority_key(&parsed),
        key_thumbprint: Some(particulars.key),
    })
}

fn check_signature(leaf: &[u8], possession: &Possession<'_>) -> Result<(), Cause> {
    let der = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&der)
        .map_err(|error| Cause::ChainInvalid { flaw: Flaw::Path { why: error.to_string() } })?;
    let statement = possession.statement.bytes();
    // an algorithm for another type of key fails before it computes anything
    let holds = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        leaf.verify_signature(*algorithm, &statement, possession.signature).is_ok()
    };
    if POSSESSION.iter().any(holds) { Ok(()) } else { Err(Cause::SignatureInvalid) }
}

/// What is attested of the node, by the names that SPIRE gives it.
fn selectors(authorities: &NodeAuthorities, leaf: &X509Certificate<'_>, path: &path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut add = |name: String, value: &str| {
        if !value.is_empty() && value.len() <= MAX_NAME && !value.chars().any(char::is_control) {
            found.push((name, value.to_owned()));
        }
    };
    let mut names = leaf.subject().iter_common_name();
    // of several names none is the name
    if let (Some(name), None) = (names.next().and_then(|name| name.as_str().ok()), names.next()) {
        add("x509pop:subject:cn".to_owned(), name);
    }
    let serial = hex(leaf.raw_serial());
    add(
        "x509pop:serialnumber".to_owned(),
        serial.strip_prefix("00").filter(|rest| !rest.is_empty()).unwrap_or(&serial),
    );
    let anchors = path.anchors.iter().filter_map(|place| authorities.fingerprints.get(*place));
    for one in path.through.iter().map(|der| Fingerprints::of(der)).chain(anchors.cloned()) {
        add("x509pop:ca:fingerprint".to_owned(), &one.sha1);
        add("x509pop:ca:sha256".to_owned(), &one.sha256.to_string());
    }
    let own = format!("{URI_NAME}{}/", authorities.domain);
    for uri in certificate::uris(leaf).unwrap_or_default() {
        let pair = uri.strip_prefix(&own).and_then(|rest| rest.split_once('/'));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if let Some((key, value)) = pair.filter(|(key, value)| !key.is_empty() && plain(key) && plain(value)) {
            add(format!("x509pop:san:{key}"), value);
        }
    }
    found
}
