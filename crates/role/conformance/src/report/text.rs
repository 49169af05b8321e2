//! A report for people: by document, failures with what was seen.

use std::fmt::Write as _;

use super::{Judgement, Report};
use crate::line::Document;
use crate::verdict::Verdict;

pub(super) fn text(report: &Report) -> String {
    let mut text = format!("Workload API at {}", report.socket);
    if let Some(identity) = &report.identity {
        let _ = write!(text, ", as {identity}");
    }
    if let Some(bundle) = &report.bundle {
        let _ = write!(text, "\nbundle endpoint at {bundle}");
    }
    text.push('\n');
    let mut document: Option<Document> = None;
    let asked = |judgement: &&Judgement| !matches!(judgement.verdict, Verdict::NotAsked { .. });
    for judgement in report.judgements.iter().filter(asked) {
        if document != Some(judgement.line.document) {
            document = Some(judgement.line.document);
            let _ = write!(text, "\n{}\n", judgement.line.document);
        }
        text.push_str(&line(judgement));
    }
    let left_out = report.judgements.iter().filter(|judgement| !asked(judgement)).count();
    let (passed, failed, others) = (report.passed(), report.failed(), report.not_applicable() - left_out);
    let _ = write!(text, "\n{passed} passed, {failed} failed, {others} not applicable, {left_out} not asked for\n");
    if let Some(advice) = &report.advice {
        let _ = write!(text, "\n{advice}\n");
    }
    text
}

fn line(judgement: &Judgement) -> String {
    let line = judgement.line;
    let (mark, more) = match &judgement.verdict {
        Verdict::Passed { seen: _ } => ("pass", String::new()),
        Verdict::Failed { seen } => ("FAIL", format!("            seen: {seen}\n")),
        Verdict::NotApplicable { reason } => ("n/a ", format!("            {reason}\n")),
        Verdict::NotAsked { reason } => ("n/a ", format!("            {reason}\n")),
    };
    format!("  {mark} {:>4}  {}: {}\n{more}", line.number, line.section, line.expected)
}
