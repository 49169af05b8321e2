//! Signed checkpoints: how far each writer's chain had come, to be kept elsewhere. They catch what a chain cannot show
//! by itself: that its end was cut off, or that all of it was written anew.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Digest, Time};
use serde::{Deserialize, Serialize};

use crate::signature::{Signer, SigningFailed, Unsigned, verify_signature};

/// First line of the signed text; names the format, so that a signature made for another purpose never fits.
const TITLE: &str = "countersign ledger checkpoint v1";
/// Longest checkpoint that is read, in bytes.
const MAX_JSON: usize = 1 << 20;
/// Longest name of a writer, in bytes.
const MAX_WRITER: usize = 64;

/// How far one writer's chain had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub writer: String,
    pub seq: u64,
    pub head: Digest,
    pub time: Time,
}

/// Heads and the signature over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    heads: Vec<Head>,
    signature: Vec<u8>,
}

/// Why a checkpoint proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum BadCheckpoint {
    #[error("a checkpoint has at most {MAX_JSON} bytes")]
    TooLong,
    #[error("the checkpoint is not the JSON of one")]
    Json(#[from] serde_json::Error),
    #[error("the checkpoint names no writer")]
    Empty,
    #[error("the checkpoint names the writer `{writer}` twice")]
    Repeated { writer: String },
    #[error("`{value}` is not a checkpoint's `{field}`")]
    Field { field: &'static str, value: String },
    #[error("the signature is not base64")]
    Base64(#[from] base64::DecodeError),
    #[error("the key is not an Ed25519 public key")]
    Key,
    #[error("the checkpoint was not signed by this key")]
    Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointJson {
    heads: Vec<HeadJson>,
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadJson {
    writer: String,
    seq: u64,
    head: String,
    time: String,
}

impl Checkpoint {
    /// Signs `heads`.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(heads: Vec<Head>, signer: &impl Signer) -> Result<Self, SigningFailed> {
        let signature = signer.sign(&signed_text(&heads))?;
        Ok(Self { heads, signature })
    }

    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The file that is handed elsewhere.
    ///
    /// # Errors
    /// None is known: every field is text or a number.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let heads = self.heads.iter().map(HeadJson::from).collect();
        let mut json =
            serde_json::to_vec_pretty(&CheckpointJson { heads, signature: STANDARD.encode(&self.signature) })?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads a checkpoint and checks that `public_key`, a SubjectPublicKeyInfo in DER, signed it.
    ///
    /// # Errors
    /// [`BadCheckpoint`].
    pub fn verify(json: &[u8], public_key: &[u8]) -> Result<Self, BadCheckpoint> {
        if json.len() > MAX_JSON {
            return Err(BadCheckpoint::TooLong);
        }
        let CheckpointJson { heads, signature } = serde_json::from_slice(json)?;
        let heads = heads.into_iter().map(Head::try_from).collect::<Result<Vec<_>, _>>()?;
        check_writers(&heads)?;
        let signature = STANDARD.decode(signature)?;
        verify_signature(&signed_text(&heads), &signature, public_key).map_err(|why| match why {
            Unsigned::Key => BadCheckpoint::Key,
            Unsigned::Signature => BadCheckpoint::Signature,
        })?;
        Ok(Self { heads, signature })
    }
}

/// The exact bytes that are signed: the title and then one line a head, each ended by a line feed.
fn signed_text(heads: &[Head]) -> Vec<u8> {
    let mut text = format!("{TITLE}\n");
    for Head { writer, seq, head, time } in heads {
        text.push_str(&format!("{writer} {seq} {head} {time}\n"));
    }
    text.into_bytes()
}

fn check_writers(heads: &[Head]) -> Result<(), BadCheckpoint> {
    if heads.is_empty() {
        return Err(BadCheckpoint::Empty);
    }
    let mut writers: Vec<&str> = heads.iter().map(|head| head.writer.as_str()).collect();
    writers.sort_unstable();
    let repeated = writers.iter().zip(writers.iter().skip(1)).find(|(one, next)| one == next);
    match repeated {
        Some((writer, _)) => Err(BadCheckpoint::Repeated { writer: (*writer).to_owned() }),
        None => Ok(()),
    }
}

impl From<&Head> for HeadJson {
    fn from(head: &Head) -> Self {
        Self { writer: head.writer.clone(), seq: head.seq, head: head.head.to_string(), time: head.time.to_string() }
    }
}

impl TryFrom<HeadJson> for Head {
    type Error = BadCheckpoint;

    /// Accepts only what stands in the signed text exactly as in the JSON.
    fn try_from(json: HeadJson) -> Result<Self, BadCheckpoint> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if json.writer.is_empty() || json.writer.len() > MAX_WRITER || !json.writer.bytes().all(plain) {
            return Err(BadCheckpoint::Field { field: "writer", value: json.writer });
        }
        let head = exact(&json.head, "head")?;
        let time = exact(&json.time, "time")?;
        Ok(Self { writer: json.writer, seq: json.seq, head, time })
    }
}

fn exact<T: FromStr + ToString>(text: &str, field: &'static str) -> Result<T, BadCheckpoint> {
    let value = text.parse::<T>().ok().filter(|value| value.to_string() == text);
    value.ok_or_else(|| BadCheckpoint::Field { field, value: text.to_owned() })
}
