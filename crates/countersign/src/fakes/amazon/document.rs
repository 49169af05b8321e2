//! The identity document of the instance, and the region's signature over it (CMS, RFC 5652).

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::Time;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, SerialNumber};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use yasna::models::{ObjectIdentifier, UTCTime};
use yasna::{DERWriter, DERWriterSeq, Tag, construct_der};

use super::super::NoClouds;
use super::super::keys::{Signing, SigningKey};
use super::{ACCOUNT, INSTANCE, REGION};

const NAME: &str = "Sample Web Services LLC";
const SERIAL: u64 = 7;
const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
const SIGNED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 2];
const CONTENT_TYPE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 3];
const MESSAGE_DIGEST: &[u64] = &[1, 2, 840, 113_549, 1, 9, 4];
const SIGNING_TIME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 5];
const OF_SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const RSA: &[u64] = &[1, 2, 840, 113_549, 1, 1, 1];
const COMMON_NAME: &[u64] = &[2, 5, 4, 3];

/// A region, by its key.
pub(super) struct Region {
    key: SigningKey,
    certificate: String,
}

impl Region {
    pub(super) fn open(directory: &Path) -> Result<Self, NoClouds> {
        let key = SigningKey::named(directory, "aws-eu-central-2", Signing::Rs256)?;
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(key.pkcs8()), &PKCS_RSA_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.serial_number = Some(SerialNumber::from(SERIAL));
        let certificate = issuer::pem::encode("CERTIFICATE", params.self_signed(&pair)?.der());
        Ok(Self { key, certificate })
    }

    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The document within its signature, as `instance-identity/rsa2048` gives it.
    pub(super) fn signed(&self, at: Time) -> Result<String, Unspecified> {
        let document = document();
        let attributes = construct_der(|writer| attributes(writer, document.as_bytes(), at));
        let signature = self.key.sign(&attributes)?;
        let message = construct_der(|writer| message(writer, document.as_bytes(), &attributes, &signature));
        let text = BASE64_STANDARD.encode(message);
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        Ok(lines.join("\n"))
    }
}

pub(super) fn document() -> String {
    let document = json!({
        "accountId": ACCOUNT, "architecture": "x86_64", "availabilityZone": format!("{REGION}b"), "billingProducts": null,
        "devpayProductCodes": null, "marketplaceProductCodes": null, "imageId": "ami-5fb8c835", "instanceId": INSTANCE,
        "instanceType": "m7g.large", "kernelId": null, "pendingTime": "2026-11-02T08:15:09Z", "privateIp": "10.158.112.84",
        "ramdiskId": null, "region": REGION, "version": "2017-09-30",
    });
    format!("{document:#}")
}

fn oid(parts: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(parts)
}

/// What the signer says of the content, as it is signed.
fn attributes(writer: DERWriter<'_>, content: &[u8], at: Time) {
    writer.write_set_of(|set| {
        attribute(set.next(), CONTENT_TYPE, |value| value.write_oid(&oid(DATA)));
        attribute(set.next(), MESSAGE_DIGEST, |value| value.write_bytes(digest(&SHA256, content).as_ref()));
        if let Some(time) = signing_time(at) {
            attribute(set.next(), SIGNING_TIME, |value| value.write_utctime(&time));
        }
    });
}

fn attribute(writer: DERWriter<'_>, kind: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|sequence| {
        sequence.next().write_oid(&oid(kind));
        sequence.next().write_set(|values| value(values.next()));
    });
}

/// Of a year up to 2049.
fn signing_time(at: Time) -> Option<UTCTime> {
    let text: String = at.to_string().chars().take(19).filter(char::is_ascii_digit).collect();
    UTCTime::parse(format!("{}Z", text.get(2..)?).as_bytes())
}

fn message(writer: DERWriter<'_>, content: &[u8], attributes: &[u8], signature: &[u8]) {
    writer.write_sequence(|info| {
        info.next().write_oid(&oid(SIGNED_DATA));
        info.next().write_tagged(Tag::context(0), |data| {
            data.write_sequence(|data| {
                data.next().write_u8(1);
                data.next().write_set_of(|algorithms| algorithm(algorithms.next(), OF_SHA256));
                data.next().write_sequence(|encapsulated| {
                    encapsulated.next().write_oid(&oid(DATA));
                    encapsulated.next().write_tagged(Tag::context(0), |inside| inside.write_bytes(content));
                });
                data.next().write_set_of(|signers| {
                    signers.next().write_sequence(|signer| signer_info(signer, attributes, signature));
                });
            });
        });
    });
}

fn signer_info(signer: &mut DERWriterSeq<'_>, attributes: &[u8], signature: &[u8]) {
    /// A context's own tag 0, constructed: instead of a SET's (RFC 5652 §5.4).
    const OWN: u8 = 0xa0;
    signer.next().write_u8(1);
    signer.next().write_sequence(|issuer| {
        issuer.next().write_sequence(|name| {
            name.next().write_set(|part| {
                part.next().write_sequence(|pair| {
                    pair.next().write_oid(&oid(COMMON_NAME));
                    pair.next().write_utf8_string(NAME);
                });
            });
        });
        issuer.next().write_u64(SERIAL);
    });
    algorithm(signer.next(), OF_SHA256);
    let tagged = [&[OWN], attributes.get(1..).unwrap_or_default()].concat();
    signer.next().write_der(&tagged);
    algorithm(signer.next(), RSA);
    signer.next().write_bytes(signature);
}

fn algorithm(writer: DERWriter<'_>, kind: &[u64]) {
    writer.write_sequence(|algorithm| {
        algorithm.next().write_oid(&oid(kind));
        algorithm.next().write_null();
    });
}
