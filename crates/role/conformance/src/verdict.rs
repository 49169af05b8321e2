//! What is said of a line, and how a judge comes to it.

/// How a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed {
        seen: String,
    },
    Failed {
        seen: String,
    },
    NotApplicable {
        reason: String,
    },
    /// The selection leaves it out.
    NotAsked {
        reason: &'static str,
    },
}

/// A judge's word: what was seen where the line holds.
pub(crate) type Judged = Result<String, Against>;

/// Why a judge does not say that a line holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Against {
    /// It does not, by what was seen.
    Broken(String),
    /// There is nothing to judge by.
    Unseen(String),
}

/// Longest text of a peer that is shown, in characters.
const SHOWN: usize = 160;

impl From<Judged> for Verdict {
    fn from(judged: Judged) -> Self {
        match judged {
            Ok(seen) => Self::Passed { seen },
            Err(Against::Broken(seen)) => Self::Failed { seen },
            Err(Against::Unseen(reason)) => Self::NotApplicable { reason },
        }
    }
}

/// The line is broken.
pub(crate) fn broken<T>(seen: impl Into<String>) -> Result<T, Against> {
    Err(Against::Broken(seen.into()))
}

/// There is nothing to judge by.
pub(crate) fn unseen<T>(reason: impl Into<String>) -> Result<T, Against> {
    Err(Against::Unseen(reason.into()))
}

/// Judges every one of `items`, each by its name; `kind` is what they are.
pub(crate) fn every<T>(
    kind: &str,
    items: impl IntoIterator<Item = (String, T)>,
    judge: impl Fn(&T) -> Result<(), String>,
) -> Judged {
    let (mut looked, mut wrong) = (0_usize, Vec::new());
    for (name, item) in items {
        looked += 1;
        if let Err(seen) = judge(&item) {
            wrong.push(format!("{}: {seen}", shown(&name)));
        }
    }
    match (looked, wrong.is_empty()) {
        (0, _) => unseen(format!("there was no {kind} to look at")),
        (_, true) => Ok(format!("{looked} × {kind}")),
        (_, false) => broken(wrong.join("; ")),
    }
}

/// A demand on one thing.
pub(crate) fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A peer's text, fit to be printed.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect::<String>().escape_debug().to_string();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}
