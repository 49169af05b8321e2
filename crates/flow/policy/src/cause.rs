//! Why a policy does not load, in words that tell its author how to mend it.

use cedar_policy::ffi::DetailedError;
use model::{BadName, PolicyId};

use crate::explain::listed;
use crate::scan;
use crate::vocabulary::{PolicyFile, PolicyProblem};

/// Largest policy file, in bytes.
pub(crate) const MAX_FILE: usize = 1 << 20;

/// Ids that one problem names.
const MAX_IDS: usize = 10;

/// One cause of refusal; the place is told apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    #[error("a policy file has at most {MAX_FILE} bytes, this one has {found}")]
    FileTooLarge { found: usize },
    #[error("brackets are nested deeper than {}", scan::MAX_DEPTH)]
    TooDeep,
    #[error("a policy has at most {} operators, this one has {found}", scan::MAX_OPERATORS)]
    TooLong { found: usize },
    /// Cedar's own words, from its parser, its validator or its warnings.
    #[error("{detail}")]
    Cedar { detail: String, help: Option<String> },
    #[error("`{slot}`: templates are not supported")]
    Slot { slot: String },
    #[error("the policy has no `@{name}(\"…\")`")]
    AnnotationMissing { name: &'static str },
    #[error("`@{name}` is empty")]
    AnnotationEmpty { name: String },
    #[error("unknown annotation `@{name}`")]
    AnnotationUnknown { name: String, nearest: Option<String> },
    #[error("`@{name}` cannot be read")]
    AnnotationUnfit { name: &'static str, source: BadName },
    #[error("the policy has no `@environment(\"…\")`, and the estate has several environments")]
    EnvironmentMissing { known: Vec<String> },
    #[error("environment `{name}` is not declared here")]
    EnvironmentUnknown { name: String, nearest: Option<String> },
    #[error("`{id}`: a policy id has only letters, digits, `.`, `_`, `-`, `/` and `:`")]
    IdCharacters { id: String },
    #[error("`{id}`: ids that start with `countersign/` belong to the shipped policies")]
    IdReserved { id: String },
    #[error("`{id}` is the id of another policy, in {file}, line {line}")]
    IdTaken { id: String, file: String, line: usize },
    #[error("the estate declares no `{uid}`")]
    Undeclared { uid: String, nearest: Option<String> },
    #[error("`{uid}`: parameters have no name of their own")]
    NamedParams { uid: String },
    #[error("no trust source of the estate establishes the fact `{fact}`")]
    UnknownFact { fact: String, nearest: Option<String> },
    #[error("`context.protocol` can only narrow, so a permit cannot depend on it")]
    ProtocolInPermit,
    #[error("`==` on the base action `{action}` leaves out the declared actions that are in it")]
    BaseActionEquals { action: String },
    #[error("`context` can only be read field by field")]
    WholeContext,
    #[error("one question would be put to {found} policies, at most {limit} may be: {question}; they are {}", told(.ids))]
    Crowded { found: usize, limit: usize, question: String, ids: Vec<PolicyId> },
}

impl Cause {
    /// Cedar's words about a policy, without its name for it.
    pub(crate) fn cedar(error: DetailedError) -> Self {
        let detail = match error.message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
            Some((_, detail)) => detail.to_owned(),
            None => error.message,
        };
        let label = error.source_locations.into_iter().find_map(|label| label.label);
        Self::Cedar { detail, help: error.help.or(label) }
    }

    /// How to mend it.
    fn suggestion(&self) -> Option<String> {
        let mean = |name: &Option<String>| name.as_ref().map(|name| format!("did you mean `{name}`?"));
        match self {
            Self::Cedar { help, .. } => help.clone(),
            Self::Slot { .. } => Some("name the principal or resource, or write `in Group::\"…\"`".to_owned()),
            Self::AnnotationMissing { .. } => {
                Some("every policy has an `@id`, an `@owner` and a `@purpose`, before `permit` or `forbid`".to_owned())
            }
            Self::TooDeep | Self::TooLong { .. } => Some("split it into several policies".to_owned()),
            Self::EnvironmentMissing { known } => Some(format!("say which one it is for: {}", known.join(" or "))),
            Self::AnnotationUnknown { nearest, .. }
            | Self::EnvironmentUnknown { nearest, .. }
            | Self::Undeclared { nearest, .. }
            | Self::UnknownFact { nearest, .. } => mean(nearest),
            Self::NamedParams { .. } => Some("read `context.params.getTag(\"…\")`".to_owned()),
            Self::ProtocolInPermit => Some("put the condition into a `forbid`".to_owned()),
            Self::BaseActionEquals { action } => Some(format!("write `action in Action::\"{action}\"`")),
            Self::Crowded { .. } => Some(
                "narrow their scopes by principal, action or resource, or raise `policy.maxCandidates` of the Environment"
                    .to_owned(),
            ),
            Self::WholeContext => Some("write `context.evidence`, `context.params`, …".to_owned()),
            Self::FileTooLarge { .. }
            | Self::AnnotationEmpty { .. }
            | Self::AnnotationUnfit { .. }
            | Self::IdCharacters { .. }
            | Self::IdReserved { .. }
            | Self::IdTaken { .. } => None,
        }
    }

    /// This cause, at an offset of a file.
    pub(crate) fn at(self, file: &PolicyFile, at: usize) -> PolicyProblem {
        let (line, column) = scan::place(&file.text, at);
        let mut message = self.to_string();
        let mut source = std::error::Error::source(&self);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        PolicyProblem { file: file.name.clone(), line, column, message, suggestion: self.suggestion() }
    }
}

fn told(ids: &[PolicyId]) -> String {
    let (named, more) = ids.split_at(ids.len().min(MAX_IDS));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", listed(named))
}

/// The candidate nearest to `text`, if it is near at all.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|name| (strsim::osa_distance(text, name), name));
    scored.filter(|(distance, name)| *distance <= 1 + name.len() / 4).min().map(|(_, name)| name)
}
