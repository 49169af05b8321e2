//! Who reads JOSE and who knows Cedar: one crate each that decides by it, so that there is one place to proofread.

use crate::finding::Finding;
use crate::source::Parsed;

/// The one that decides by it, and the one that judges others', which shares no reader with what it judges.
const READERS: &[&str] = &["crates/flow/credential/", "crates/role/conformance/"];
/// The one crate that decides by Cedar, and the benchmark that measures it beside Cedar alone.
const KNOW_CEDAR: &[&str] = &["crates/flow/policy/", "bench/"];

/// Who signs tokens, and reads none: the issuer, and sample parties of `dev`.
const SIGNERS: &[&str] = &["crates/deliver/issuer/", "crates/countersign/src/fakes/keys.rs"];

/// Words without which nobody can read a JWS or a JWK: base64url, and public keys that are not our own Ed25519 ones.
const JOSE: &[&str] = &[
    "URL_SAFE",
    "URL_SAFE_NO_PAD",
    "BASE64_URL_SAFE",
    "BASE64_URL_SAFE_NO_PAD",
    "RsaPublicKeyComponents",
    "RsaParameters",
    "EcdsaVerificationAlgorithm",
];

pub(crate) fn check(source: &Parsed<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for token in &source.tokens {
        if token.is_word("cedar_policy") && !KNOW_CEDAR.iter().any(|path| source.path.starts_with(path)) {
            let text = "`cedar_policy`: only crates/flow/policy knows the engine";
            findings.push(Finding::new(source.path, token.line, "cedar", text));
        }
    }
    let may_not = source.path.starts_with("crates/") && !READERS.iter().any(|reader| source.path.starts_with(reader));
    if !may_not || SIGNERS.iter().any(|signer| source.path.starts_with(signer)) {
        return findings;
    }
    for token in &source.shipped {
        if let Some(word) = token.word().filter(|word| JOSE.contains(word)) {
            let text = format!("`{word}`: only crates/flow/credential reads JOSE");
            findings.push(Finding::new(source.path, token.line, "jose", text));
        }
    }
    findings
}
