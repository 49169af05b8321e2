//! What control says to planes, line by line: what is in force, what is revoked, and that it still lives. Each line is
//! signed by a key of its own, so that whoever carries lines or keeps them can neither write nor change one. And the little
//! that planes say to control.

use audit::{Signer, Unsigned, verify_signature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use store::{Position, RevocationAct};

use crate::epochs::Publication;

/// First line of what is signed.
const TITLE: &str = "countersign feed v1";
/// Longest line, in bytes: an estate, its JSON, and that as a string of another.
pub const MAX_LINE: usize = 256 * 1024 * 1024;

/// One statement of control. Planes take those of their own environment alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub environment: String,
    pub says: Says,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Says {
    Snapshot(Box<Publication>),
    Revocations(Acts),
    Heartbeat(Heartbeat),
}

/// Every act with a number above `after`, up to `through`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acts {
    pub after: u64,
    pub through: u64,
    pub acts: Vec<(u64, RevocationAct)>,
}

/// What is in force now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    pub reached: Reached,
    /// By control's clock, RFC 3339.
    pub time: String,
}

/// How far somebody is: what it decides by. Numbers alone would not do: after a backup came back, they are given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    pub generation: u64,
    pub epoch: u64,
    /// Digest of the estate.
    pub snapshot: String,
    /// Number of the last revocation or restoration, and the record of it; 0 and nothing before the first.
    pub revocation_seq: u64,
    pub revocation_record: String,
}

/// Body of `POST /v1/enrol`, by a plane: with its token, or with its SVID to have another.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// A certificate request (PKCS #10) in PEM.
    pub csr: String,
    /// The public key that signs what it tells services of their callers: an uncompressed P-256 point, in base64url.
    pub assertion_key: String,
}

/// Why a line says nothing.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    #[error("a line of the feed has at most {MAX_LINE} bytes")]
    TooLong,
    #[error("it is not a line of the feed")]
    Json(#[from] serde_json::Error),
    #[error("its signature is not base64")]
    Base64(#[from] base64::DecodeError),
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    #[error("it is of environment `{found}`, and this is `{expected}`")]
    OtherEnvironment { found: String, expected: String },
}

/// Why nothing was said.
#[derive(Debug, thiserror::Error)]
pub enum Unsaid {
    #[error("it cannot be written")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Signing(#[from] audit::SigningFailed),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    statement: String,
    signature: String,
}

/// Whose word is taken, and for which environment.
#[derive(Debug, Clone)]
pub struct Voice {
    pub environment: String,
    /// SubjectPublicKeyInfo in DER.
    pub key: Vec<u8>,
}

impl Reached {
    pub const fn position(&self) -> Position {
        Position { generation: model::Generation(self.generation), epoch: model::Epoch(self.epoch) }
    }

    /// Whether both decide by the same. What was revoked in a generation before, and is not known to control any more, stays
    /// revoked where it was heard: the first revocations of a new generation are all that still stand.
    pub fn is(&self, other: &Self) -> bool {
        self.decides_by(other) && self.of_generation() == other.of_generation()
    }

    fn decides_by(&self, other: &Self) -> bool {
        self.position() == other.position() && self.snapshot == other.snapshot
    }

    /// The last revocation, if it is of this generation.
    fn of_generation(&self) -> Option<(u64, &str)> {
        let first = store::first_change(model::Generation(self.generation));
        Some((self.revocation_seq, self.revocation_record.as_str())).filter(|(seq, _)| *seq >= first)
    }
}

/// A signed line, without its end.
///
/// # Errors
/// [`Unsaid`].
pub fn line(statement: &Statement, signer: &impl Signer) -> Result<String, Unsaid> {
    let statement = serde_json::to_string(statement)?;
    let signature = STANDARD.encode(signer.sign(&signed(&statement))?);
    Ok(serde_json::to_string(&Line { statement, signature })?)
}

impl Voice {
    /// Reads a line, and believes it if it was signed by control for this environment.
    ///
    /// # Errors
    /// [`BadLine`].
    pub fn hear(&self, line: &[u8]) -> Result<Says, BadLine> {
        if line.len() > MAX_LINE {
            return Err(BadLine::TooLong);
        }
        let Line { statement, signature } = serde_json::from_slice(line)?;
        verify_signature(&signed(&statement), &STANDARD.decode(signature)?, &self.key)?;
        let Statement { environment, says } = serde_json::from_str(&statement)?;
        if environment != self.environment {
            return Err(BadLine::OtherEnvironment { found: environment, expected: self.environment.clone() });
        }
        Ok(says)
    }
}

fn signed(statement: &str) -> Vec<u8> {
    format!("{TITLE}\n{statement}").into_bytes()
}

#[cfg(test)]
mod tests;
