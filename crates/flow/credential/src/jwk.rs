//! One public key of a set (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2), and the signatures that it verifies.
//!
//! An algorithm belongs to a key here, before any token is seen: a token's `alg` can only name a pairing that exists.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Digest;

use crate::cause::shown;
use crate::json::{Json, Object, quoted};
use crate::{Algorithm, BadKeySet, digest_of};

/// Members that only a private or symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1; `priv` of newer key types).
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

const RSA: &[(Algorithm, &RsaParameters)] = &[
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// A public key, parsed for every algorithm that it may be used with.
pub(crate) struct Key {
    kid: Option<String>,
    thumbprint: Digest,
    /// INVARIANT: not empty.
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// A curve: its name, the bytes of a coordinate, the one algorithm that it is used with.
struct Curve {
    name: &'static str,
    bytes: usize,
    algorithm: Algorithm,
    verification: &'static dyn VerificationAlgorithm,
}

const WEIERSTRASS: &[Curve] = &[
    Curve { name: "P-256", bytes: 32, algorithm: Algorithm::Es256, verification: &ECDSA_P256_SHA256_FIXED },
    Curve { name: "P-384", bytes: 48, algorithm: Algorithm::Es384, verification: &ECDSA_P384_SHA384_FIXED },
    Curve { name: "P-521", bytes: 66, algorithm: Algorithm::Es512, verification: &ECDSA_P521_SHA512_FIXED },
];
const EDWARDS: &[Curve] = &[Curve { name: "Ed25519", bytes: 32, algorithm: Algorithm::EdDsa, verification: &ED25519 }];

impl Key {
    /// Reads one member of `keys`; `None` is a sound key that is not for us. `place` counts from 1.
    ///
    /// # Errors
    /// [`BadKeySet`], for the whole set.
    pub(crate) fn read(member: &Json, place: usize) -> Result<Option<Self>, BadKeySet> {
        let Some(object) = member.as_object() else {
            return Err(BadKeySet::NotAnObject { key: format!("number {place}") });
        };
        let jwk = Jwk::named(object, place);
        jwk.refuse_secrets()?;
        let kid = jwk.text("kid")?.map(str::to_owned);
        let kty = jwk.needed("kty")?;
        let only = match jwk.text("alg")? {
            None => None,
            Some(alg) => match alg.parse() {
                Ok(algorithm) => Some(algorithm),
                Err(_unknown) => return Ok(None),
            },
        };
        if !jwk.is_for_verifying()? {
            return Ok(None);
        }
        let read = match kty {
            "RSA" => Some(jwk.rsa()?),
            "EC" => jwk.elliptic(WEIERSTRASS)?,
            "OKP" => jwk.elliptic(EDWARDS)?,
            _other => None,
        };
        let Some((thumbprint, mut verifiers)) = read else { return Ok(None) };
        if let Some(algorithm) = only {
            verifiers.retain(|(fitting, _)| *fitting == algorithm);
            if verifiers.is_empty() {
                return Err(BadKeySet::AlgorithmOfOtherType { key: jwk.label, algorithm });
            }
        }
        Ok(Some(Self { kid, thumbprint, verifiers }))
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// RFC 7638, with SHA-256.
    pub(crate) const fn thumbprint(&self) -> Digest {
        self.thumbprint
    }

    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.verifier(algorithm).is_some()
    }

    /// The key, ready to verify by this algorithm; `None` if the two do not belong together.
    pub(crate) fn verifier(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifiers.iter().find(|(fitting, _)| *fitting == algorithm).map(|(_, key)| key)
    }
}

/// Members of a public key that are handed on.
const PLAIN: &[&str] = &["kty", "kid", "alg", "crv", "x", "y", "n", "e"];

/// The key alone, as a JWK: what else is said of it, its `use` too, is left out.
///
/// # Errors
/// [`BadKeySet`] for a key that is private or symmetric.
pub(crate) fn plain(members: &Object) -> Result<String, BadKeySet> {
    Jwk::named(members, 1).refuse_secrets()?;
    let texts = PLAIN.iter().filter_map(|name| Some((name, members.find(name)?.as_str()?)));
    let plain = texts.map(|(name, text)| format!("\"{name}\":{}", quoted(text)));
    Ok(format!("{{{}}}", plain.collect::<Vec<_>>().join(",")))
}

/// Thumbprint, and a parsed key for each algorithm.
type Parsed = (Digest, Vec<(Algorithm, ParsedPublicKey)>);

/// A member of `keys`, and how it is called in messages.
struct Jwk<'a> {
    members: &'a Object,
    label: String,
}

impl<'a> Jwk<'a> {
    fn named(members: &'a Object, place: usize) -> Self {
        let label = match members.find("kid").and_then(Json::as_str) {
            Some(kid) => format!("`{}`", shown(kid)),
            None => format!("number {place}"),
        };
        Self { members, label }
    }

    fn refuse_secrets(&self) -> Result<(), BadKeySet> {
        if self.members.find("kty").and_then(Json::as_str) == Some("oct") {
            return Err(BadKeySet::Symmetric { key: self.label.clone() });
        }
        if let Some(member) = PRIVATE.iter().find(|name| self.members.find(name).is_some()) {
            return Err(BadKeySet::Private { key: self.label.clone(), member });
        }
        Ok(())
    }

    /// `use` (RFC 7517 §4.2) and `key_ops` (§4.3), where they are given.
    fn is_for_verifying(&self) -> Result<bool, BadKeySet> {
        if self.text("use")?.is_some_and(|purpose| purpose != "sig") {
            return Ok(false);
        }
        let Some(operations) = self.members.find("key_ops") else { return Ok(true) };
        let operations: Option<Vec<&str>> =
            operations.as_array().and_then(|operations| operations.iter().map(Json::as_str).collect());
        match operations {
            Some(operations) => Ok(operations.contains(&"verify")),
            None => Err(self.wrong_type("key_ops", "an array of strings")),
        }
    }

    fn rsa(&self) -> Result<Parsed, BadKeySet> {
        let (n_text, n) = self.unsigned("n")?;
        let (e_text, e) = self.unsigned("e")?;
        let bits = bits(&n);
        if !(2048..=8192).contains(&bits) {
            return Err(BadKeySet::ModulusSize { key: self.label.clone(), bits });
        }
        if !is_odd(&e) || e == [1] || self::bits(&e) > 33 {
            return Err(BadKeySet::Exponent { key: self.label.clone() });
        }
        if !is_odd(&n) {
            return Err(self.rejected());
        }
        let key = RsaPublicKeyComponents { n, e };
        let mut verifiers = Vec::with_capacity(RSA.len());
        for (algorithm, parameters) in RSA {
            let parsed = key.to_parsed_public_key(parameters).ok().ok_or_else(|| self.rejected())?;
            verifiers.push((*algorithm, parsed));
        }
        Ok((digest_of(format!(r#"{{"e":"{e_text}","kty":"RSA","n":"{n_text}"}}"#).as_bytes()), verifiers))
    }

    /// EC and OKP keys: a curve that is not on the list is not for us.
    fn elliptic(&self, curves: &[Curve]) -> Result<Option<Parsed>, BadKeySet> {
        let crv = self.needed("crv")?;
        let Some(curve) = curves.iter().find(|curve| curve.name == crv) else { return Ok(None) };
        let (x_text, x) = self.coordinate("x", curve)?;
        let (point, canonical) = if curve.algorithm == Algorithm::EdDsa {
            (x, format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x_text}"}}"#))
        } else {
            let (y_text, y) = self.coordinate("y", curve)?;
            // SEC 1 §2.3.3: an uncompressed point
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            (point, format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x_text}","y":"{y_text}"}}"#))
        };
        let parsed = ParsedPublicKey::new(curve.verification, point).ok().ok_or_else(|| self.rejected())?;
        Ok(Some((digest_of(canonical.as_bytes()), vec![(curve.algorithm, parsed)])))
    }

    /// Base64urlUInt (RFC 7518 §2).
    fn unsigned(&self, name: &'static str) -> Result<(&'a str, Vec<u8>), BadKeySet> {
        let (text, bytes) = self.octets(name)?;
        match bytes.first() {
            None | Some(0) => Err(BadKeySet::NotMinimal { key: self.label.clone(), name }),
            Some(_) => Ok((text, bytes)),
        }
    }

    fn coordinate(&self, name: &'static str, curve: &Curve) -> Result<(&'a str, Vec<u8>), BadKeySet> {
        let (text, bytes) = self.octets(name)?;
        if bytes.len() != curve.bytes {
            let (found, expected) = (bytes.len(), curve.bytes);
            return Err(BadKeySet::CoordinateSize { key: self.label.clone(), name, found, expected });
        }
        Ok((text, bytes))
    }

    /// A member in base64url, as it is written (the one spelling that its bytes have) and decoded.
    fn octets(&self, name: &'static str) -> Result<(&'a str, Vec<u8>), BadKeySet> {
        let text = self.needed(name)?;
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) => Ok((text, bytes)),
            Err(_) => Err(BadKeySet::Base64 { key: self.label.clone(), name }),
        }
    }

    fn needed(&self, name: &'static str) -> Result<&'a str, BadKeySet> {
        self.text(name)?.ok_or_else(|| BadKeySet::MemberMissing { key: self.label.clone(), name })
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, BadKeySet> {
        let Some(json) = self.members.find(name) else { return Ok(None) };
        json.as_str().map(Some).ok_or_else(|| self.wrong_type(name, "a string"))
    }

    fn wrong_type(&self, name: &'static str, expected: &'static str) -> BadKeySet {
        BadKeySet::MemberType { key: self.label.clone(), name, expected }
    }

    fn rejected(&self) -> BadKeySet {
        BadKeySet::Rejected { key: self.label.clone() }
    }
}

/// Bits of an unsigned number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    let leading = number.first().map_or(0, |byte| byte.leading_zeros());
    (number.len() * 8).saturating_sub(usize::try_from(leading).unwrap_or(0))
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte % 2 == 1)
}
