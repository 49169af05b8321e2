//! Structures of a TPM 2.0 as it writes them (Trusted Platform Module Library, part 2): keys, quotes and signatures. Total and bounded;
//! of each, only what is accepted here can be read at all.

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, ParsedPublicKey, UnparsedPublicKey,
};

/// Longest structure that is read, in bytes.
const MAX: usize = 2048;

const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_SHA256: u16 = 0x000b;
const ALG_SHA384: u16 = 0x000c;
const ALG_NULL: u16 = 0x0010;
const ALG_ECDSA: u16 = 0x0018;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const ECC_P256: u16 = 0x0003;
const ECC_P384: u16 = 0x0004;

/// `TPMA_OBJECT`: it cannot be duplicated, not even with its parent; the TPM made its secret; it is used as the TPM's own structures
/// ask for it and for nothing else; for decryption, for signatures.
const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;
const RESIDENT: u32 = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED;

/// `TPM_GENERATED_VALUE`: nothing that comes from elsewhere and that a restricted key signs starts so.
const GENERATED: u32 = 0xff54_4347;
const ATTEST_QUOTE: u16 = 0x8018;

/// An endorsement key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndorsementKey {
    pub key: EndorsementPublic,
    /// By which its name is made, and what is sealed to it.
    pub hash: TpmHash,
    /// Bytes of the AES key by which it protects what is sealed to it.
    pub aes: usize,
}

/// Its public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndorsementPublic {
    /// The modulus of 2048 bits; the exponent is 65537.
    Rsa(Vec<u8>),
    P256(Point),
    P384(Point),
}

/// A point of a curve: two numbers of the curve's length, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point(Vec<u8>);

/// A hash of a TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TpmHash {
    Sha256,
    Sha384,
}

/// A key that signs what its TPM says and nothing else: ECDSA of P-256 with SHA-256.
pub(super) struct AttestationKey {
    point: Point,
}

/// What a quote says.
pub(super) struct Quote<'a> {
    pub(super) qualifying: &'a [u8],
    /// Of the PCRs 0 to 7 in the bank of SHA-256; none of others.
    pub(super) pcrs: Option<&'a [u8]>,
}

impl Point {
    /// As SEC 1 writes it without compression.
    pub fn uncompressed(&self) -> Vec<u8> {
        [&[4], self.0.as_slice()].concat()
    }

    pub fn x(&self) -> &[u8] {
        self.0.get(..self.0.len() / 2).unwrap_or_default()
    }
}

impl EndorsementKey {
    /// Reads a `TPMT_PUBLIC`; none for any other key.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes)?;
        let (kind, hash) = (reader.u16()?, TpmHash::read(reader.u16()?)?);
        let attributes = reader.u32()?;
        if attributes & (RESIDENT | DECRYPT | SIGN) != RESIDENT | DECRYPT {
            return None;
        }
        let _policy = reader.sized()?;
        let (cipher, bits, mode, scheme) = (reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?);
        if (cipher, mode, scheme) != (ALG_AES, ALG_CFB, ALG_NULL) {
            return None;
        }
        let aes = match bits {
            128 => 16,
            256 => 32,
            _ => return None,
        };
        let key = match kind {
            ALG_RSA => {
                let (bits, exponent) = (reader.u16()?, reader.u32()?);
                let modulus = reader.sized()?;
                let sound = bits == 2048 && [0, 65_537].contains(&exponent) && modulus.len() == 256;
                // as what is sealed to it is made here
                (sound && hash == TpmHash::Sha256).then(|| EndorsementPublic::Rsa(modulus.to_vec()))?
            }
            ALG_ECC => {
                let (curve, scheme) = (reader.u16()?, reader.u16()?);
                let half = match curve {
                    ECC_P256 => 32,
                    ECC_P384 => 48,
                    _ => return None,
                };
                let point = (scheme == ALG_NULL).then(|| reader.point(half)).flatten()?;
                if curve == ECC_P256 { EndorsementPublic::P256(point) } else { EndorsementPublic::P384(point) }
            }
            _ => return None,
        };
        reader.end()?;
        Some(Self { key, hash, aes })
    }

    /// As a certificate has it (RFC 5280, SubjectPublicKeyInfo); none for a point that is on no curve.
    pub fn info(&self) -> Option<Vec<u8>> {
        let of_point = |algorithm: &'static EcdsaVerificationAlgorithm, point: &Point| {
            let key = ParsedPublicKey::new(algorithm, point.uncompressed()).ok()?;
            AsDer::<PublicKeyX509Der<'_>>::as_der(&key).ok()
        };
        let der = match &self.key {
            EndorsementPublic::Rsa(modulus) => {
                let key = PublicKeyComponents { n: modulus.as_slice(), e: &[1, 0, 1] };
                AsDer::<PublicKeyX509Der<'_>>::as_der(&key).ok()
            }
            EndorsementPublic::P256(point) => of_point(&ECDSA_P256_SHA256_FIXED, point),
            EndorsementPublic::P384(point) => of_point(&ECDSA_P384_SHA384_FIXED, point),
        };
        Some(der?.as_ref().to_vec())
    }
}

impl TpmHash {
    const fn read(algorithm: u16) -> Option<Self> {
        match algorithm {
            ALG_SHA256 => Some(Self::Sha256),
            ALG_SHA384 => Some(Self::Sha384),
            _ => None,
        }
    }
}

/// The name of a key (part 1, 16): its hash, and what that is of its `TPMT_PUBLIC`; none where it is no key of a TPM.
pub fn tpm_name(public: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(public)?;
    let _kind = reader.u16()?;
    let algorithm = reader.u16()?;
    let sum = match TpmHash::read(algorithm)? {
        TpmHash::Sha256 => digest(&SHA256, public),
        TpmHash::Sha384 => digest(&SHA384, public),
    };
    Some([&algorithm.to_be_bytes(), sum.as_ref()].concat())
}

impl AttestationKey {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes)?;
        let kind = (reader.u16()?, reader.u16()?);
        let attributes = reader.u32()?;
        let resident = attributes & (RESIDENT | DECRYPT | SIGN) == RESIDENT | SIGN;
        let _policy = reader.sized()?;
        let parameters = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let point = reader.point(32)?;
        reader.end()?;
        let sound = kind == (ALG_ECC, ALG_SHA256)
            && parameters == [ALG_NULL, ALG_ECDSA, ALG_SHA256, ECC_P256, ALG_NULL]
            && resident;
        sound.then_some(Self { point })
    }

    /// Whether it signed what its TPM quoted: a `TPMT_SIGNATURE`.
    pub(super) fn signed(&self, quoted: &[u8], signature: &[u8]) -> bool {
        let Some(signature) = fixed(signature) else { return false };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.point.uncompressed());
        key.verify(quoted, &signature).is_ok()
    }
}

/// The two numbers of a signature by ECDSA with SHA-256, each of 32 bytes.
fn fixed(signature: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(signature)?;
    if (reader.u16()?, reader.u16()?) != (ALG_ECDSA, ALG_SHA256) {
        return None;
    }
    let numbers = [reader.number(32)?, reader.number(32)?];
    reader.end()?;
    Some(numbers.concat())
}

impl<'a> Quote<'a> {
    /// Reads a `TPMS_ATTEST`; none for what is no quote.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes)?;
        if (reader.u32()?, reader.u16()?) != (GENERATED, ATTEST_QUOTE) {
            return None;
        }
        let _signer = reader.sized()?;
        let qualifying = reader.sized()?;
        // clock, resetCount, restartCount, safe; firmwareVersion
        reader.take(8 + 4 + 4 + 1 + 8)?;
        let mut selects = Vec::new();
        for _ in 0..reader.u32()?.min(16) {
            let (bank, length) = (reader.u16()?, reader.u8()?);
            selects.push((bank, reader.take(usize::from(length))?));
        }
        let found = reader.sized()?;
        reader.end()?;
        let boot =
            matches!(selects.as_slice(), [(ALG_SHA256, [0xff, rest @ ..])] if rest.iter().all(|byte| *byte == 0));
        Some(Self { qualifying, pcrs: boot.then_some(found) })
    }
}

/// Numbers are big endian.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() <= MAX).then_some(Self(bytes))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A `TPM2B`.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A number in a `TPM2B`, which may be written without its leading zeros.
    fn number(&mut self, length: usize) -> Option<Vec<u8>> {
        let written = self.sized()?;
        let zeros = length.checked_sub(written.len())?;
        Some([vec![0; zeros], written.to_vec()].concat())
    }

    fn point(&mut self, half: usize) -> Option<Point> {
        Some(Point([self.number(half)?, self.number(half)?].concat()))
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
