//! Signed messages (CMS, RFC 5652), as clouds sign documents about their machines: BER, one signer, and what is signed inside.
//!
//! Only bytes that the signature covers leave this file. Certificates in a message are not looked at: whose signature counts
//! is the estate's word alone.

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use webpki::{EndEntityCert, aws_lc_rs as algorithms};
use x509_parser::asn1_rs::{Any, Class, FromBer, Length, Tag};

use crate::Cause;

/// OIDs, as their contents stand in DER.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const OF_SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];

/// Most attributes of a signer, and most parts that the content may come in.
const MAX_PARTS: usize = 64;
/// What a message that is refused was expected to be.
const EXPECTED: &str = "a signed message of one signer, with its content inside, by RSA and SHA-256";

/// A message whose shape is sound. Its content is nobody's word until [`Message::signed_by`] holds.
pub(super) struct Message<'a> {
    /// What the signer says of the content, as it is signed: a SET in DER.
    attributes: Vec<u8>,
    signature: &'a [u8],
    content: Vec<u8>,
}

impl<'a> Message<'a> {
    /// # Errors
    /// [`Cause::EvidenceMalformed`]; also where the signer says of another content than the one inside.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Cause> {
        Self::of(bytes).ok_or(Cause::EvidenceMalformed { expected: EXPECTED })
    }

    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut info = Parts::within(&only(bytes)?, Tag::Sequence)?;
        info.oid(SIGNED_DATA)?;
        let inside = info.tagged(0)?;
        info.end()?;
        let mut data = Parts::within(&only(inside.any.data)?, Tag::Sequence)?;
        data.universal(Tag::Integer)?;
        data.universal(Tag::Set)?;
        let mut encapsulated = Parts::within(&data.next()?, Tag::Sequence)?;
        encapsulated.oid(DATA)?;
        let content = content(&only(encapsulated.tagged(0)?.any.data)?)?;
        encapsulated.end()?;
        // certificates and revocation lists of whoever sent it
        let signers = data.by_ref().find(|part| part.any.header.class() != Class::ContextSpecific)?;
        data.end()?;
        let mut signers = Parts::within(&signers, Tag::Set)?;
        let signer = signers.next()?;
        // INVARIANT: one signer, so that none is checked and another believed
        signers.end()?;
        let mut signer = Parts::within(&signer, Tag::Sequence)?;
        signer.universal(Tag::Integer)?;
        signer.next()?;
        signer.algorithm(&[OF_SHA256])?;
        let attributes = signer.tagged(0)?;
        signer.algorithm(&[RSA, RSA_WITH_SHA256])?;
        let signature = signer.universal(Tag::OctetString)?.primitive()?;
        check_attributes(&attributes, &content)?;
        Some(Self { attributes: attributes.as_set()?, signature, content })
    }

    /// Believed by nobody yet: it says whose signature to expect.
    pub(super) fn unverified(&self) -> &[u8] {
        &self.content
    }

    /// Whether the key of one of these certificates, in DER, signed the content; gives which one.
    pub(super) fn signed_by<'c>(&self, certificates: impl Iterator<Item = &'c [u8]>) -> Option<usize> {
        let signed = |der: &[u8]| {
            let der = CertificateDer::from(der);
            EndEntityCert::try_from(&der).is_ok_and(|certificate| {
                let algorithm = algorithms::RSA_PKCS1_2048_8192_SHA256;
                certificate.verify_signature(algorithm, &self.attributes, self.signature).is_ok()
            })
        };
        certificates.enumerate().find(|(_, der)| signed(der)).map(|(place, _)| place)
    }
}

/// What binds the signature to the content: its type and its digest, each said once.
fn check_attributes(attributes: &Part<'_>, content: &[u8]) -> Option<()> {
    let (mut kinds, mut digests) = (0, 0);
    for attribute in Parts(attributes.any.data).take(MAX_PARTS + 1) {
        let mut attribute = Parts::within(&attribute, Tag::Sequence)?;
        let kind = attribute.universal(Tag::Oid)?.primitive()?;
        let value = attribute.universal(Tag::Set)?;
        attribute.end()?;
        if kind == CONTENT_TYPE {
            kinds += 1;
            let is_data = only(value.any.data)?.is(Tag::Oid)?.primitive()? == DATA;
            is_data.then_some(())?;
        }
        if kind == MESSAGE_DIGEST {
            digests += 1;
            let said = only(value.any.data)?.is(Tag::OctetString)?.primitive()?;
            (said == digest(&SHA256, content).as_ref()).then_some(())?;
        }
    }
    // what cannot be read ends the parts early, so that nothing behind it counts
    (kinds == 1 && digests == 1 && Parts(attributes.any.data).all_read()).then_some(())
}

/// An OCTET STRING, whole or in parts (X.690 §8.7.3).
fn content(part: &Part<'_>) -> Option<Vec<u8>> {
    part.is(Tag::OctetString)?;
    if !part.any.header.is_constructed() {
        return Some(part.any.data.to_vec());
    }
    let mut whole = Vec::new();
    let mut parts = Parts(part.any.data);
    for one in parts.by_ref().take(MAX_PARTS) {
        whole.extend_from_slice(one.is(Tag::OctetString)?.primitive()?);
    }
    parts.end()?;
    Some(whole)
}

/// The one thing that these bytes are.
fn only(bytes: &[u8]) -> Option<Part<'_>> {
    let mut parts = Parts(bytes);
    let part = parts.next()?;
    parts.end()?;
    Some(part)
}

/// One tagged value, and the bytes that it is.
struct Part<'a> {
    any: Any<'a>,
    raw: &'a [u8],
}

impl<'a> Part<'a> {
    fn is(&self, tag: Tag) -> Option<&Self> {
        (self.any.header.class() == Class::Universal && self.any.header.tag() == tag).then_some(self)
    }

    fn primitive(&self) -> Option<&'a [u8]> {
        self.any.header.is_primitive().then_some(self.any.data)
    }

    /// The bytes that are signed of an implicitly tagged SET: those of the SET itself (§5.4), which is in DER.
    fn as_set(&self) -> Option<Vec<u8>> {
        const SET: u8 = 0x31;
        matches!(self.any.header.length(), Length::Definite(_)).then_some(())?;
        let rest = self.raw.get(1..)?;
        Some([&[SET], rest].concat())
    }
}

/// Values one after the other.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn within(part: &Part<'a>, tag: Tag) -> Option<Self> {
        part.is(tag)?.any.header.is_constructed().then_some(Self(part.any.data))
    }

    fn universal(&mut self, tag: Tag) -> Option<Part<'a>> {
        self.next().filter(|part| part.is(tag).is_some())
    }

    /// What stands under a tag of the structure's own.
    fn tagged(&mut self, tag: u32) -> Option<Part<'a>> {
        self.next().filter(|part| {
            let header = &part.any.header;
            header.class() == Class::ContextSpecific && header.tag() == Tag(tag) && header.is_constructed()
        })
    }

    fn oid(&mut self, expected: &[u8]) -> Option<()> {
        (self.universal(Tag::Oid)?.primitive()? == expected).then_some(())
    }

    /// An algorithm that is one of these. Its parameters are nothing, or NULL.
    fn algorithm(&mut self, accepted: &[&[u8]]) -> Option<()> {
        let mut parts = Self::within(&self.next()?, Tag::Sequence)?;
        let found = parts.universal(Tag::Oid)?.primitive()?;
        let parameters = parts.next();
        parts.end()?;
        let none = parameters.is_none_or(|part| part.is(Tag::Null).is_some() && part.any.data.is_empty());
        (none && accepted.contains(&found)).then_some(())
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn all_read(mut self) -> bool {
        self.by_ref().take(MAX_PARTS).for_each(drop);
        self.0.is_empty()
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    /// None at the end, and at what is no value: then something is left.
    fn next(&mut self) -> Option<Part<'a>> {
        let (rest, any) = Any::from_ber(self.0).ok()?;
        let raw = self.0.get(..self.0.len().checked_sub(rest.len())?)?;
        self.0 = rest;
        Some(Part { any, raw })
    }
}
