//! One demand of the standards: where it stands, what it says in our words, and how it is judged.

use std::fmt;

use crate::seen::Seen;
use crate::verdict::Judged;

/// A demand, by its number in this project's list of the standards.
pub struct Line {
    pub number: u16,
    pub document: Document,
    pub section: &'static str,
    pub stability: Stability,
    /// What is expected, in own words.
    pub expected: &'static str,
    pub(crate) check: Check,
}

/// A document of the standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Document {
    SpiffeId,
    X509Svid,
    JwtSvid,
    WitSvid,
    Bundle,
    Federation,
    Endpoint,
    WorkloadApi,
    Broker,
}

/// How firm a demand is, by the standards' own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    Stable,
    Incubating,
}

/// How a line is judged.
pub(crate) enum Check {
    By(fn(&Seen) -> Judged),
    /// Never, from here, and why.
    Outside(&'static str),
}

impl Line {
    pub(crate) const fn stable(
        number: u16,
        document: Document,
        section: &'static str,
        expected: &'static str,
        check: Check,
    ) -> Self {
        Self { number, document, section, stability: Stability::Stable, expected, check }
    }

    pub(crate) const fn incubating(
        number: u16,
        document: Document,
        section: &'static str,
        expected: &'static str,
        check: Check,
    ) -> Self {
        Self { number, document, section, stability: Stability::Incubating, expected, check }
    }

    /// Whether anything can be seen of it from outside.
    pub const fn can_be_checked(&self) -> bool {
        matches!(self.check, Check::By(_))
    }
}

impl Document {
    /// As the standards name the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpiffeId => "SPIFFE-ID.md",
            Self::X509Svid => "X509-SVID.md",
            Self::JwtSvid => "JWT-SVID.md",
            Self::WitSvid => "WIT-SVID.md",
            Self::Bundle => "SPIFFE_Trust_Domain_and_Bundle.md",
            Self::Federation => "SPIFFE_Federation.md",
            Self::Endpoint => "SPIFFE_Workload_Endpoint.md",
            Self::WorkloadApi => "SPIFFE_Workload_API.md",
            Self::Broker => "SPIFFE_Broker_API.md",
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Stability {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Incubating => "incubating",
        }
    }
}
