//! The record, field by field, as `api/ledger.md` promises it. Absent values are null, never missing.

use serde::{Deserialize, Serialize};

/// One frame of a ledger: what every kind has, and the body of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub stamp: Stamp,
    pub body: Body,
}

/// Where a record stands in its writer's chain. Given by the writer, never by who asks to record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub writer: String,
    /// Counts every frame of the writer from 1, without a gap.
    pub seq: u64,
    /// SHA-256 of the previous frame's JSON, as 64 hex digits; 64 zeros for the first.
    pub prev: String,
    /// When it was judged, settled or written: RFC 3339, UTC, microseconds.
    pub time: String,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Judgement(Box<Judgement>),
    Outcome(Outcome),
    Checkpoint { head: String },
    Counted(Counted),
    Recovered(Recovered),
}

/// One judgement: who asked, for what, what was answered and from which inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// 32 hex digits.
    pub id: String,
    pub trace_id: String,
    /// Which door was knocked at: `gateway`, `control`.
    pub door: String,
    pub protocol: Option<String>,
    /// The catalog's operation, or method and path where none matched; null for a request without a readable head.
    pub operation: Option<String>,
    pub presented: Vec<Presented>,
    pub principal: Option<Principal>,
    pub subject: Option<Principal>,
    pub actors: Vec<Principal>,
    pub verdicts: Vec<Verdict>,
    /// Names of the facts that were proved.
    pub evidence: Vec<String>,
    pub generation: u64,
    pub epoch: u64,
    pub revocation_seq: u64,
    pub inputs: Inputs,
    /// No effect after this instant: RFC 3339, or null for a refusal.
    pub deadline: Option<String>,
}

/// Verification's result for one credential; never the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presented {
    pub source: Option<String>,
    /// `jwt`, `x509-svid`, `x509`, `kernel`.
    pub kind: String,
    pub binding: String,
    pub credential_id: Option<String>,
    /// `sha256:` and the digest of the exact bytes.
    pub digest: String,
    pub issued: Option<String>,
    pub expires: Option<String>,
    /// Until when it proves anything: RFC 3339.
    pub until: Option<String>,
    /// The claims used as identity, in the order of the source's `identityKey`; null if verification refused it.
    pub key: Option<Vec<String>>,
    /// Facts that the source's conditions on claims established.
    pub facts: Vec<String>,
    /// Claims that the source lists for display, as pairs of path and value; never identity.
    pub display: Vec<(String, String)>,
    /// Name of the key that signed it: a token's `kid`, the key identifier of a certificate's authority. Records of the
    /// first format have none.
    #[serde(default)]
    pub key_id: Option<String>,
    /// RFC 7638 thumbprint of the key that verified a token, digest of a certificate's own key.
    pub key_thumbprint: Option<String>,
    /// Code of the refusal, if verification refused it.
    pub refused: Option<String>,
}

/// A principal as it stood when it was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    pub id: String,
    pub kind: String,
    pub owner: String,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    pub action: Option<String>,
    pub resource: Option<String>,
    pub tier: Option<String>,
    /// `allow` or `deny`.
    pub decision: String,
    pub layer: Option<String>,
    pub code: Option<String>,
    /// For operators: why, in a sentence.
    pub reason: Option<String>,
    /// The policies that decided, by id.
    pub policies: Vec<String>,
    /// Facts that would have changed the answer.
    pub missing: Vec<String>,
    pub obligations: Vec<String>,
}

/// What the decision read, by content or by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// `sha256:` digest of the estate in force.
    pub snapshot: String,
    /// `sha256:` digest of the key sets in force.
    pub keys: String,
    pub context: Context,
}

/// What the door said of the request: the rest of what a policy can read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub service: Option<String>,
    /// Whether the operation asked for no caller.
    pub public: bool,
    /// Decoded path parameters, in the order of the path.
    pub params: Vec<(String, String)>,
}

/// What became of an effect that was let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Id of the judgement.
    pub of: String,
    pub result: OutcomeResult,
    /// The status that the caller got, if any.
    pub status: Option<u16>,
    /// Why it failed, where the closed list has a code for it.
    pub code: Option<String>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    /// From the complete head of the request to the last byte of the answer.
    pub micros: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeResult {
    Delivered,
    /// The effect happens elsewhere; only the answer was given here.
    Answered,
    Failed,
    /// A crash came between.
    Unknown,
}

/// Judgements that were not recorded one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    pub id: String,
    pub source: Option<String>,
    pub code: String,
    pub first: String,
    pub last: String,
    pub count: u64,
}

/// What recovery found at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovered {
    /// Bytes of a torn tail that were cut off.
    pub cut_bytes: u64,
    /// Judgements without an outcome, each of which gets one with the result `unknown`.
    pub open: u64,
    /// The chain that this one follows, where an operator began a new one.
    pub follows: Option<String>,
}
