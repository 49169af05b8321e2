//! A TPM 2.0: a node is the machine whose TPM has an endorsement key that somebody vouches for.
//!
//! The control plane seals random bytes to the endorsement key, for the name of an attestation key (`TPM2_MakeCredential`): only the TPM
//! that has the one gives them out, and only where it has the other (`TPM2_ActivateCredential`). The attestation key, which signs nothing
//! but what its TPM says, then quotes a digest over these bytes and the certificate request. So a quote over them shows that both
//! keys are of one TPM, in this exchange, and for whose key the SVID is.

mod structures;

use std::collections::BTreeSet;

use model::{Binding, Digest, SourceName, Time};

use super::chain;
use super::x509pop::Statement;
use crate::authorities::Authority;
use crate::certificate::{self, hex};
use crate::{BadBundle, Cause, CredentialKind, Finding, digest_of, path};

use self::structures::{AttestationKey, Quote};

pub use structures::{EndorsementKey, EndorsementPublic, Point, TpmHash, tpm_name};

/// Most authorities of one source: makers of TPMs have many.
const MAX_AUTHORITIES: usize = 512;
/// Starts every statement that a TPM quotes.
const CONTEXT: &[u8] = b"countersign/attest/tpm/1\0";

/// Whose TPMs are nodes: those that an authority vouches for, those that are listed, or those of the list that one vouches for.
#[derive(Debug, Clone)]
pub struct TpmTrust {
    anchors: Option<Vec<Authority>>,
    listed: Option<BTreeSet<Digest>>,
    digest: Digest,
}

/// What a node presents.
pub struct TpmProof<'a> {
    /// Of the endorsement key in DER, leaf first.
    pub certificates: &'a [Vec<u8>],
    /// Both keys, each as a `TPMT_PUBLIC`.
    pub endorsement: &'a [u8],
    pub attestation: &'a [u8],
    /// None where nothing could be sealed to the endorsement key.
    pub quote: Option<TpmQuote<'a>>,
}

/// What the attestation key signed.
pub struct TpmQuote<'a> {
    /// Its challenge is what was sealed.
    pub statement: Statement<'a>,
    /// `TPMS_ATTEST` and `TPMT_SIGNATURE`.
    pub quoted: &'a [u8],
    pub signature: &'a [u8],
}

/// What is wrong with keys of a TPM, or with what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TpmFlaw {
    #[error("the endorsement key is none that can be used: a restricted decryption key of RSA 2048, P-256 or P-384")]
    Endorsement,
    #[error(
        "the attestation key is none: it is made in its TPM, never leaves it, signs what that says alone, and is of P-256"
    )]
    Attestation,
    #[error("the certificate is for another endorsement key")]
    OtherKey,
    #[error("the TPM's quote is of another exchange, or for another request, or is none")]
    OtherStatement,
}

impl TpmTrust {
    /// Authorities in DER, and digests (SHA-256 of SubjectPublicKeyInfo) of endorsement keys: both have to hold where both are given.
    ///
    /// # Errors
    /// [`BadBundle`] where one of the authorities may not sign certificates.
    pub fn new(authorities: Option<&[Vec<u8>]>, listed: Option<BTreeSet<Digest>>) -> Result<Self, BadBundle> {
        let certificates = authorities.unwrap_or_default();
        let anchors = chain::authorities(certificates, MAX_AUTHORITIES)?;
        let digests = certificates.iter().map(|der| digest_of(der)).chain(listed.iter().flatten().copied());
        let digest = digest_of(&digests.flat_map(|one| *one.as_bytes()).collect::<Vec<u8>>());
        Ok(Self { anchors: authorities.map(|_| anchors), listed, digest })
    }

    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }
}

/// The digest that an attestation key quotes.
pub fn tpm_qualifying(statement: &Statement<'_>) -> Digest {
    digest_of(&statement.after(CONTEXT))
}

/// The keys' shapes, whose TPM it is, and then that it answered this exchange.
pub(super) fn check(source: &SourceName, trust: &TpmTrust, proof: &TpmProof<'_>, at: Time) -> Result<Finding, Cause> {
    let flawed = |flaw| Cause::Tpm { flaw };
    let endorsement = EndorsementKey::read(proof.endorsement).and_then(|key| key.info());
    let endorsement = endorsement.ok_or(flawed(TpmFlaw::Endorsement))?;
    let key = digest_of(&endorsement);
    let attestation = AttestationKey::read(proof.attestation).ok_or(flawed(TpmFlaw::Attestation))?;
    if trust.listed.as_ref().is_some_and(|listed| !listed.contains(&key)) {
        return Err(Cause::NotListed { found: key.to_string() });
    }
    let mut display = vec![("tpm:pub_hash".to_owned(), key.to_string())];
    let mut endorsed = None;
    match &trust.anchors {
        Some(anchors) => {
            let certificate = chain::shaped(proof.certificates, certificate::check_endorsement)?;
            if certificate.public_key().raw != endorsement {
                return Err(flawed(TpmFlaw::OtherKey));
            }
            let path = || path::verify_endorsement(proof.certificates, anchors, at);
            let (particulars, path) = chain::held(&certificate, at, path)?;
            for der in &path.through {
                display.push(("tpm:ca:sha256".to_owned(), digest_of(der).to_string()));
            }
            endorsed = Some((particulars, path.ends));
        }
        // neither is never made: nobody would vouch for anybody
        None if trust.listed.is_none() => return Err(Cause::NotListed { found: key.to_string() }),
        None => {}
    }
    let pcrs = quoted(&attestation, proof)?;
    display.extend(pcrs.map(|pcrs| ("tpm:pcrs:sha256:0-7".to_owned(), hex(pcrs))));
    let serial = endorsed.as_ref().map(|(particulars, _)| format!("serial:{}", particulars.serial));
    Ok(Finding {
        source: source.clone(),
        kind: CredentialKind::Tpm,
        binding: Binding::Proof,
        key: vec![key.to_string()],
        display,
        facts: BTreeSet::new(),
        credential_id: serial.unwrap_or_else(|| format!("sha256:{}", digest_of(proof.endorsement))),
        digest: digest_of(proof.endorsement),
        issued: endorsed.as_ref().map(|(particulars, _)| particulars.not_before),
        expires: endorsed.as_ref().map(|(particulars, _)| particulars.not_after),
        until: endorsed.map_or(Time::MAX, |(_, ends)| ends),
        key_id: None,
        key_thumbprint: Some(key),
    })
}

/// What the PCRs were, if the quote is of this exchange and of the PCRs that are of interest.
fn quoted<'a>(attestation: &AttestationKey, proof: &TpmProof<'a>) -> Result<Option<&'a [u8]>, Cause> {
    let other = Cause::Tpm { flaw: TpmFlaw::OtherStatement };
    let Some(TpmQuote { statement, quoted, signature }) = &proof.quote else { return Err(other) };
    let quote = Quote::read(quoted).filter(|quote| quote.qualifying == tpm_qualifying(statement).as_bytes());
    let quote = quote.ok_or(other)?;
    if attestation.signed(quoted, signature) { Ok(quote.pcrs) } else { Err(Cause::SignatureInvalid) }
}
