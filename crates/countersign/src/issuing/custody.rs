//! Where the private keys of authorities are made and used: sealed in the state and opened in memory, or in a token that they never
//! leave, of which the state then has the name alone.

use std::sync::Arc;

use issuer::Signer;
use store::{P256Signer, Token};

use super::IssuingFailed;

/// What the sealed name of a key in a token begins with; PKCS #8 never does.
const IN_TOKEN: &[u8] = b"pkcs11:";

/// Where new keys are made.
pub enum Custody {
    State,
    Token(Arc<Token>),
}

impl Custody {
    /// A new key, and what is to be sealed of it.
    pub(super) fn make(&self) -> Result<(Box<dyn Signer>, Vec<u8>), IssuingFailed> {
        match self {
            Self::State => {
                let (signer, pkcs8) = P256Signer::make()?;
                Ok((Box::new(signer), pkcs8))
            }
            Self::Token(token) => {
                let (signer, name) = token.make()?;
                Ok((Box::new(signer), [IN_TOKEN, name.as_bytes()].concat()))
            }
        }
    }

    /// The key of authority `id`, by what was sealed of it. One that is sealed itself signs wherever new ones are made.
    pub(super) fn open(&self, id: &str, secret: &[u8]) -> Result<Box<dyn Signer>, IssuingFailed> {
        let elsewhere = || IssuingFailed::Elsewhere { id: id.to_owned() };
        match (named(secret), self) {
            (Some(name), Self::Token(token)) => Ok(Box::new(token.find(name)?)),
            (Some(_), Self::State) => Err(elsewhere()),
            (None, _) => {
                let signer = P256Signer::from_pkcs8(secret);
                Ok(Box::new(signer.map_err(|source| IssuingFailed::Unreadable { id: id.to_owned(), source })?))
            }
        }
    }

    /// A key that signs no more is nowhere any more. Where it cannot be removed, it is of no use: nobody knows it.
    pub(super) fn forget(&self, secret: &[u8]) {
        if let (Some(name), Self::Token(token)) = (named(secret), self)
            && let Err(error) = token.remove(name)
        {
            tracing::warn!(name, error = net::causes::chain(&error), "a key that signs no more is left in its token");
        }
    }
}

fn named(secret: &[u8]) -> Option<&str> {
    std::str::from_utf8(secret.strip_prefix(IN_TOKEN)?).ok()
}
