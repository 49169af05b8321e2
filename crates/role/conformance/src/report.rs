//! What is said of a server: every line's verdict, as text, as JSON and as JUnit's XML.

mod junit;
mod text;

use serde::Serialize;

use crate::Options;
use crate::line::{Check, Line};
use crate::seen::Seen;
use crate::standard::lines;
use crate::verdict::Verdict;

/// Every line's verdict, and about what.
pub struct Report {
    pub socket: String,
    pub bundle: Option<String>,
    /// The caller's first SPIFFE ID.
    pub identity: Option<String>,
    /// What to do where most could not be looked at.
    pub advice: Option<String>,
    pub judgements: Vec<Judgement>,
}

/// A line, and how it stands.
pub struct Judgement {
    pub line: &'static Line,
    pub verdict: Verdict,
}

#[derive(Serialize)]
struct Document<'a> {
    socket: &'a str,
    bundle: Option<&'a str>,
    identity: Option<&'a str>,
    advice: Option<&'a str>,
    ok: bool,
    passed: usize,
    failed: usize,
    not_applicable: usize,
    lines: Vec<Judged<'a>>,
}

#[derive(Serialize)]
struct Judged<'a> {
    line: u16,
    document: &'static str,
    section: &'static str,
    stability: &'static str,
    result: &'static str,
    expected: &'static str,
    seen: Option<&'a str>,
    reason: Option<&'a str>,
}

impl Report {
    pub(crate) fn of(options: &Options, seen: &Seen) -> Self {
        let judgements = lines().map(|line| Judgement { line, verdict: verdict(options, line, seen) }).collect();
        Self {
            socket: options.socket.display().to_string(),
            bundle: options.bundle.clone(),
            identity: seen.identity().map(str::to_owned),
            advice: advice(seen),
            judgements,
        }
    }

    /// Whether all that can be looked at was, and holds.
    pub fn is_ok(&self) -> bool {
        self.failed() == 0 && self.advice.is_none()
    }

    pub fn passed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Passed { .. }))
    }

    pub fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Failed { .. }))
    }

    pub fn not_applicable(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::NotApplicable { .. } | Verdict::NotAsked { .. }))
    }

    fn count(&self, which: impl Fn(&Verdict) -> bool) -> usize {
        self.judgements.iter().filter(|judgement| which(&judgement.verdict)).count()
    }

    /// For programs: a contract.
    pub fn json(&self) -> serde_json::Value {
        let document = Document {
            socket: &self.socket,
            bundle: self.bundle.as_deref(),
            identity: self.identity.as_deref(),
            advice: self.advice.as_deref(),
            ok: self.is_ok(),
            passed: self.passed(),
            failed: self.failed(),
            not_applicable: self.not_applicable(),
            lines: self.judgements.iter().map(Judged::of).collect(),
        };
        serde_json::to_value(document).unwrap_or_default()
    }

    /// For people.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// For systems that show test results.
    pub fn junit(&self) -> String {
        junit::junit(self)
    }
}

impl<'a> Judged<'a> {
    fn of(judgement: &'a Judgement) -> Self {
        let Judgement { line, verdict } = judgement;
        let (result, seen, reason) = match verdict {
            Verdict::Passed { seen } => ("pass", Some(seen.as_str()), None),
            Verdict::Failed { seen } => ("fail", Some(seen.as_str()), None),
            Verdict::NotApplicable { reason } => ("not_applicable", None, Some(reason.as_str())),
            Verdict::NotAsked { reason } => ("not_applicable", None, Some(*reason)),
        };
        Self {
            line: line.number,
            document: line.document.name(),
            section: line.section,
            stability: line.stability.name(),
            result,
            expected: line.expected,
            seen,
            reason,
        }
    }
}

fn verdict(options: &Options, line: &Line, seen: &Seen) -> Verdict {
    if let Some(reason) = options.selection.leaves_out(line) {
        return Verdict::NotAsked { reason };
    }
    match line.check {
        Check::Outside(reason) => Verdict::NotApplicable { reason: reason.to_owned() },
        Check::By(judge) => judge(seen).into(),
    }
}

/// What to do where lines stand open that could be looked at.
fn advice(seen: &Seen) -> Option<String> {
    if !seen.is_entitled() {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        return Some(format!(
            "the server gives this process (uid {uid}, gid {gid}) no identity, so that most lines could not be looked at: \
             register a workload with selector unix:uid:{uid}, or run the kit as a workload that is registered"
        ));
    }
    let unanswered = seen.unanswered();
    (!unanswered.is_empty()).then(|| {
        format!(
            "lines about these could not be looked at, try again when the server is ready: {}",
            unanswered.join("; ")
        )
    })
}
