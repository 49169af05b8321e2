//! Every answer code that can be reached, compared byte for byte, and the record that stands behind it.

mod codes;

use crate::harness::{Answer, golden};

/// The answer as it was, but for what differs each time; then what the ledger says of it.
pub fn shown(answer: &Answer, verdict: &serde_json::Value) -> String {
    let head = answer.head.replace("\r\n", "\n");
    let mut text = format!("{head}{}", answer.text());
    for (name, varies) in [("record", answer.header("countersign-record")), ("date", answer.header("date"))] {
        if let Some(varies) = varies {
            text = text.replace(varies, &format!("<{name}>"));
        }
    }
    let word = |name: &str| verdict[name].as_str().unwrap_or("-").to_owned();
    format!("{}\n\nledger: {} {} {}\n", text.trim_end(), word("decision"), word("layer"), word("code"))
}

/// Compares an answer with what is promised.
#[track_caller]
pub fn compare(name: &str, answer: &Answer, verdict: &serde_json::Value) {
    golden(&format!("answers/{name}.txt"), &shown(answer, verdict));
}
