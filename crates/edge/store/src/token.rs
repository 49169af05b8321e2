//! Keys that never leave a PKCS#11 token (OASIS PKCS #11 3.0): made there, used there, and removed there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use issuer::{Signer, SigningFailed};

/// The curve P-256 as an object identifier in DER (RFC 5480 §2.1.1.1).
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// An uncompressed point stands in an OCTET STRING (PKCS #11 3.0 §6.3.3).
const OCTETS: [u8; 2] = [0x04, 65];
/// Length of `r` and of `s`, in bytes.
const HALF: usize = 32;
/// Whose the keys are, for people who look into the token.
const LABEL: &[u8] = b"countersign authority";

/// A token in which somebody has logged in.
pub struct Token {
    // one operation at a time: a session has one (PKCS #11 3.0 §5.6.6)
    session: Mutex<Session>,
}

/// A P-256 key in a token.
pub struct TokenSigner {
    token: Arc<Token>,
    key: ObjectHandle,
    point: Vec<u8>,
}

/// Why a token, or a key in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadToken {
    #[error("cannot read the PIN in `{}`", .path.display())]
    Pin { path: PathBuf, source: io::Error },
    #[error("the PKCS#11 module `{}` cannot be loaded", .path.display())]
    Module { path: PathBuf, source: Error },
    #[error("there is no token `{label}`")]
    NoToken { label: String },
    #[error("the token has no key `{id}`")]
    NoKey { id: String },
    #[error("the token's key `{id}` is not on the curve P-256")]
    Curve { id: String },
    #[error("the token refuses")]
    Refused(#[from] Error),
    #[error("without the system's randomness, no key can be named")]
    Randomness,
}

impl Token {
    /// Loads a module, and logs into its token of this label with the PIN in a file.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn open(module: &Path, label: &str, pin: &Path) -> Result<Arc<Self>, BadToken> {
        let text = std::fs::read_to_string(pin).map_err(|source| BadToken::Pin { path: pin.to_owned(), source })?;
        let loading = |source| BadToken::Module { path: module.to_owned(), source };
        let pkcs11 = Pkcs11::new(module).map_err(loading)?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // the module counts per process, and this one may have it already
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(source) => return Err(loading(source)),
        }
        let slots = pkcs11.get_slots_with_initialized_token()?;
        let named = |slot: &cryptoki::slot::Slot| {
            pkcs11.get_token_info(*slot).is_ok_and(|token| token.label().trim_end() == label)
        };
        let slot = slots.into_iter().find(named).ok_or_else(|| BadToken::NoToken { label: label.to_owned() })?;
        let session = pkcs11.open_rw_session(slot)?;
        match session.login(UserType::User, Some(&AuthPin::new(text.trim().into()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(refused) => return Err(refused.into()),
        }
        Ok(Arc::new(Self { session: Mutex::new(session) }))
    }

    /// Makes a key that cannot leave the token, and names it.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn make(self: &Arc<Self>) -> Result<(TokenSigner, String), BadToken> {
        let mut name = [0; 16];
        rand::fill(&mut name).or(Err(BadToken::Randomness))?;
        let id: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let named = [Attribute::Token(true), Attribute::Id(id.clone().into_bytes()), Attribute::Label(LABEL.to_vec())];
        let public = [&named[..], &[Attribute::EcParams(P256.to_vec()), Attribute::Verify(true)]].concat();
        let secret = [Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false)];
        let private = [&named[..], &secret, &[Attribute::Sign(true)]].concat();
        self.session().generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?;
        Ok((self.find(&id)?, id))
    }

    /// The key of this name.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn find(self: &Arc<Self>, id: &str) -> Result<TokenSigner, BadToken> {
        let session = self.session();
        let of = |class| find(&session, class, id);
        let (private, public) = (of(ObjectClass::PRIVATE_KEY)?, of(ObjectClass::PUBLIC_KEY)?);
        let none = || BadToken::NoKey { id: id.to_owned() };
        let (key, public) = (private.ok_or_else(none)?, public.ok_or_else(none)?);
        let attributes = session.get_attributes(public, &[AttributeType::EcPoint])?;
        let point = attributes.iter().find_map(|attribute| {
            let Attribute::EcPoint(der) = attribute else { return None };
            der.strip_prefix(&OCTETS).filter(|point| point.first() == Some(&4))
        });
        let point = point.ok_or_else(|| BadToken::Curve { id: id.to_owned() })?.to_vec();
        drop(session);
        Ok(TokenSigner { token: Arc::clone(self), key, point })
    }

    /// Removes the key of this name, if it is there.
    ///
    /// # Errors
    /// [`BadToken::Refused`].
    pub fn remove(&self, id: &str) -> Result<(), BadToken> {
        let session = self.session();
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            if let Some(object) = find(&session, class, id)? {
                session.destroy_object(object)?;
            }
        }
        Ok(())
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(session: &Session, class: ObjectClass, id: &str) -> Result<Option<ObjectHandle>, Error> {
    let template = [Attribute::Class(class), Attribute::KeyType(KeyType::EC), Attribute::Id(id.as_bytes().to_vec())];
    Ok(session.find_objects(&template)?.into_iter().next())
}

impl Signer for TokenSigner {
    fn sign_asn1(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let fixed = self.sign_fixed(message)?;
        let (r, s) = fixed.split_at_checked(HALF).ok_or(SigningFailed)?;
        Ok(sequence(r, s))
    }

    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        // tokens know raw ECDSA, and not all of them more
        let hash = digest(&SHA256, message);
        let signed = self.token.session().sign(&Mechanism::Ecdsa, self.key, hash.as_ref());
        signed.ok().filter(|signature| signature.len() == 2 * HALF).ok_or(SigningFailed)
    }

    fn public_point(&self) -> &[u8] {
        &self.point
    }
}

/// `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 §2.2.3). A token gives the two numbers alone, and no library here writes
/// them down: of 32 bytes each, every length fits one byte.
fn sequence(r: &[u8], s: &[u8]) -> Vec<u8> {
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap_or(u8::MAX)], body].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len().saturating_sub(1));
    let digits = bytes.get(zeros..).unwrap_or_default();
    // a first bit would make it negative
    let sign = digits.first().is_some_and(|first| *first >= 0x80).then_some(0);
    let content: Vec<u8> = sign.into_iter().chain(digits.iter().copied()).collect();
    [vec![0x02, u8::try_from(content.len()).unwrap_or(u8::MAX)], content].concat()
}

#[cfg(test)]
mod tests;
