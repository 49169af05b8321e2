//! A report as the XML that CI systems read as test results: a suite a document, a case a line.

use std::fmt::Write as _;

use super::{Judgement, Report};
use crate::line::Document;
use crate::verdict::Verdict;

pub(super) fn junit(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Judgement> = report.judgements.iter().collect();
    let _ = writeln!(xml, "<testsuites name=\"countersign conformance\"{}>", counts(&all));
    let mut documents: Vec<Document> = report.judgements.iter().map(|judgement| judgement.line.document).collect();
    documents.dedup();
    for document in documents {
        let cases: Vec<&Judgement> = all.iter().copied().filter(|it| it.line.document == document).collect();
        let _ = writeln!(xml, "  <testsuite name=\"{}\"{}>", escaped(document.name()), counts(&cases));
        for judgement in cases {
            xml.push_str(&case(judgement));
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts(cases: &[&Judgement]) -> String {
    let count = |which: fn(&Verdict) -> bool| cases.iter().filter(|it| which(&it.verdict)).count();
    let failed = count(|verdict| matches!(verdict, Verdict::Failed { .. }));
    let skipped = count(|verdict| matches!(verdict, Verdict::NotApplicable { .. } | Verdict::NotAsked { .. }));
    format!(" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"", cases.len())
}

fn case(judgement: &Judgement) -> String {
    let line = judgement.line;
    let name = escaped(&format!("{} {}: {}", line.number, line.section, line.expected));
    let open = format!("    <testcase classname=\"{}\" name=\"{name}\"", escaped(line.document.name()));
    match &judgement.verdict {
        Verdict::Passed { seen: _ } => format!("{open}/>\n"),
        Verdict::Failed { seen } => {
            format!("{open}>\n      <failure message=\"{}\"/>\n    </testcase>\n", escaped(seen))
        }
        Verdict::NotApplicable { reason } => skipped(&open, reason),
        Verdict::NotAsked { reason } => skipped(&open, reason),
    }
}

fn skipped(open: &str, reason: &str) -> String {
    format!("{open}>\n      <skipped message=\"{}\"/>\n    </testcase>\n", escaped(reason))
}

/// Fit for an attribute; what XML 1.0 cannot carry (§2.2) becomes a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}
