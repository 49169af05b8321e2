//! What was found: how bad it is, and what to do.

use std::fmt;

use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    Warning,
    Problem,
}

pub(super) struct Finding {
    pub(super) level: Level,
    topic: &'static str,
    what: String,
    advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(topic: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Ok, topic, what: what.into(), advice: None }
    }

    /// Something that will be a problem, or may be one.
    pub(super) fn warning(topic: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Warning, topic, what: what.into(), advice: Some(advice.into()) }
    }

    pub(super) fn problem(topic: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Problem, topic, what: what.into(), advice: Some(advice.into()) }
    }

    pub(super) fn json(&self) -> Value {
        json!({"level": self.level.name(), "topic": self.topic, "what": self.what, "advice": self.advice})
    }
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9}{:<13}{}", self.level.name(), self.topic, self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{:22}do: {advice}", ""),
            None => Ok(()),
        }
    }
}
