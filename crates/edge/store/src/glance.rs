//! What the bytes of a record tell without being parsed: every record has one exact text, so that its kind and id stand
//! at fixed places, and inside a string every quote is escaped.

const JUDGEMENT: &[u8] = br#"{"kind":"judgement","id":""#;
const COUNTED: &[u8] = br#"{"kind":"counted","id":""#;
const OUTCOME: &[u8] = br#"{"kind":"outcome","of":""#;
const ALLOW: &[u8] = br#""decision":"allow""#;
const TRACE: &[u8] = br#","trace_id":""#;

/// Id of the judgement, if it is one.
pub(crate) fn judged(json: &[u8]) -> Option<&str> {
    value(json.strip_prefix(JUDGEMENT)?)
}

/// Id of the counter, if it is one.
pub(crate) fn counted(json: &[u8]) -> Option<&str> {
    value(json.strip_prefix(COUNTED)?)
}

/// Id of the judgement that this is the outcome of, if it is one.
pub(crate) fn settled(json: &[u8]) -> Option<&str> {
    value(json.strip_prefix(OUTCOME)?)
}

/// Whether a judgement lets something through.
pub(crate) fn allows(json: &[u8]) -> bool {
    position(json, ALLOW).is_some()
}

/// Trace of a judgement.
pub(crate) fn trace(json: &[u8]) -> Option<&str> {
    let rest = json.get(position(json, TRACE)?..)?;
    value(rest.strip_prefix(TRACE)?)
}

/// The text up to the next quote: ids are hex and escape nothing.
fn value(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(bytes.get(..end)?).ok()
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
