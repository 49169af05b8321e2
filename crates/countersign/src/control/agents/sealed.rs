//! What only one TPM gives out, and only where it has another key too: `TPM2_MakeCredential` without a TPM (Trusted Platform Module
//! Library, part 1, 24 and B.10, C.6).

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::digest::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use credential::{Challenge, EndorsementKey, EndorsementPublic, Point, TpmHash};
use net::challenge;

/// Labels are texts that end with a zero.
const IDENTITY: &[u8] = b"IDENTITY\0";
const STORAGE: &[u8] = b"STORAGE\0";
const INTEGRITY: &[u8] = b"INTEGRITY\0";

/// Contents of a `TPM2B_ID_OBJECT` and of a `TPM2B_ENCRYPTED_SECRET`.
pub(super) struct Sealed {
    pub(super) credential: Vec<u8>,
    pub(super) secret: Vec<u8>,
}

/// Seals `what` to an endorsement key, for the key of this name.
///
/// # Errors
/// For a point that is on no curve.
pub(super) fn seal(key: &EndorsementKey, name: &[u8], what: &Challenge) -> Result<Sealed, Unspecified> {
    let (seed, secret) = seed(key)?;
    let mut identity = sized(what);
    let storage = kdfa(key.hash, &seed, STORAGE, name, key.aes)?;
    encrypt(&storage, &mut identity)?;
    let hash = hmac_of(key.hash);
    let length = hash.digest_algorithm().output_len();
    let integrity = hmac::Key::new(hash, &kdfa(key.hash, &seed, INTEGRITY, &[], length)?);
    let tag = hmac::sign(&integrity, &[identity.as_slice(), name].concat());
    Ok(Sealed { credential: [sized(tag.as_ref()), identity].concat(), secret })
}

/// A seed that the TPM with this key finds too, and by what it does.
fn seed(key: &EndorsementKey) -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
    match &key.key {
        EndorsementPublic::Rsa(modulus) => {
            let public: PublicEncryptingKey =
                PublicKeyComponents { n: modulus.as_slice(), e: &[1_u8, 0, 1] }.try_into()?;
            let public = OaepPublicEncryptingKey::new(public)?;
            let (seed, mut sealed) = (challenge(), vec![0; public.ciphertext_size()]);
            let sealed = public.encrypt(&OAEP_SHA256_MGF1SHA256, &seed, &mut sealed, Some(IDENTITY))?.to_vec();
            Ok((seed.to_vec(), sealed))
        }
        EndorsementPublic::P256(point) => agreed(key.hash, &ECDH_P256, point),
        EndorsementPublic::P384(point) => agreed(key.hash, &ECDH_P384, point),
    }
}

fn agreed(
    hash: TpmHash,
    curve: &'static agreement::Algorithm,
    point: &Point,
) -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
    let own = PrivateKey::generate(curve)?;
    let public = own.compute_public_key()?;
    // an uncompressed point: 4, x, y
    let numbers = public.as_ref().get(1..).unwrap_or_default();
    let (x, y) = numbers.split_at(numbers.len() / 2);
    let peer = UnparsedPublicKey::new(curve, point.uncompressed());
    let seed = agreement::agree(&own, peer, Unspecified, |shared| Ok(kdfe(hash, shared, x, point.x())))?;
    Ok((seed, [sized(x), sized(y)].concat()))
}

/// `KDFe` (part 1, 11.4.10.3): one block is all that is needed.
fn kdfe(hash: TpmHash, shared: &[u8], own: &[u8], other: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 5] = [&1_u32.to_be_bytes(), shared, IDENTITY, own, other];
    digest(hmac_of(hash).digest_algorithm(), &parts.concat()).as_ref().to_vec()
}

/// `KDFa` (part 1, 11.4.10.2), of no more bytes than the hash has; there is no second context here.
fn kdfa(hash: TpmHash, key: &[u8], label: &[u8], context: &[u8], bytes: usize) -> Result<Vec<u8>, Unspecified> {
    let bits = u32::try_from(bytes * 8).or(Err(Unspecified))?;
    let parts: [&[u8]; 4] = [&1_u32.to_be_bytes(), label, context, &bits.to_be_bytes()];
    let made = hmac::sign(&hmac::Key::new(hmac_of(hash), key), &parts.concat());
    made.as_ref().get(..bytes).map(<[u8]>::to_vec).ok_or(Unspecified)
}

/// AES in CFB mode. The key is good for this once, so that it starts from nothing.
fn encrypt(key: &[u8], bytes: &mut [u8]) -> Result<(), Unspecified> {
    let cipher = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = EncryptingKey::cfb128(UnboundCipherKey::new(cipher, key)?)?;
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from([0; 16])))?;
    Ok(())
}

/// A `TPM2B`; what is sealed here has no more bytes than a digest.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

const fn hmac_of(hash: TpmHash) -> hmac::Algorithm {
    match hash {
        TpmHash::Sha256 => hmac::HMAC_SHA256,
        TpmHash::Sha384 => hmac::HMAC_SHA384,
    }
}

#[cfg(test)]
mod tests;
